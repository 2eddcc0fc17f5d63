"""Put erased weights back into a file of weights: the original's state dict, with the parameters that they came to."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from zo_core.edge.package import WEIGHTS, Package, PackageError, read_numbers
from zo_core.edge.workstation.load import load
from zo_core.edge.workstation.state import SAFETENSORS, as_safetensors, state_in


def add_arguments(parser: ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("package", type=Path, help="folder that `export` made")
    parser.add_argument("erased", type=Path, help="folder that `erase` or `replay` wrote, or its weights.npy")
    parser.add_argument("--weights", type=Path, required=True, help="file with the state dict that was exported")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors, to be written")


def run(options: Namespace) -> int:
    """Run the command; returns the exit code."""
    if options.out.suffix != SAFETENSORS:
        raise PackageError(f"--out {options.out}: call it *{SAFETENSORS}")
    if options.out.exists():
        raise PackageError(f"{options.out} is there already: give another --out, or remove it")
    path = options.erased / WEIGHTS if options.erased.is_dir() else options.erased
    try:
        content = options.weights.read_bytes()
    except OSError as error:
        raise PackageError(f"weights {options.weights}: {error.strerror}") from None
    found = load(state_in(content, options.weights), Package(options.package), read_numbers(path))
    temporary = options.out.with_name(f".{options.out.name}.part")
    try:
        temporary.write_bytes(as_safetensors(found, {}))
        temporary.rename(options.out)
    finally:
        temporary.unlink(missing_ok=True)
    sys.stdout.write(f"{options.out} is written\n")
    return 0
