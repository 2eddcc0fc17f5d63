"""Make a package of a network: its graph without weights, its weights, and what a device needs to know of them."""

import importlib
import sys
from argparse import ArgumentParser, Namespace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from torch import nn

from zo_core.edge.package import PackageError
from zo_core.edge.workstation.export import export
from zo_core.edge.workstation.state import fit, state_in

GROUP = "zo_core.networks"  # of entry points: functions (name, weights, channels, size, classes) -> nn.Module


def add_arguments(parser: ArgumentParser) -> None:
    """What the command line may say."""
    add = parser.add_argument
    add("--model", required=True, help="a network of the suite's by name, or MODULE:FUNCTION that returns a module")
    add("--weights", help="file with its state dict (.safetensors, .pt), or torchvision's weights by name")
    add("--image-size", type=int, required=True, metavar="PIXELS", help="of the square that the network takes")
    add(
        "--classes",
        nargs="+",
        required=True,
        metavar="N|NAME|FOLDER",
        help="how many, or names in order, or folders of them",
    )
    add("--channels", type=int, default=3, choices=(1, 3))
    add("--mean", type=float, nargs="+", metavar="M", help="of each channel, in [0, 1]; 0 if not given")
    add("--std", type=float, nargs="+", metavar="S", help="of each channel; 1 if not given")
    add(
        "--resize", type=int, nargs="+", metavar="PIXELS", help="the shorter side, or height and width, before cropping"
    )
    add("--interpolation", default="bilinear", choices=("nearest", "bilinear", "bicubic"))
    add("--out", type=Path, required=True, metavar="FOLDER", help="the package, to be made")


def run(options: Namespace) -> int:
    """Run the command; returns the exit code."""
    classes = _classes(options.classes)
    if options.resize is not None and len(options.resize) > 2:
        raise PackageError("--resize takes the shorter side, or height and width")
    resize = options.resize[0] if options.resize and len(options.resize) == 1 else options.resize
    package = export(
        _network(options, len(classes)),
        options.out,
        image_size=options.image_size,
        classes=classes,
        channels=options.channels,
        mean=options.mean,
        std=options.std,
        resize=tuple(resize) if isinstance(resize, list) else resize,
        interpolation=options.interpolation,
    )
    layout = package.layout
    how = layout.preprocessing
    sys.stdout.write(
        f"{options.out}: {layout.numbers:,} parameters, {len(classes)} classes, images of {how.size} pixels resized to "
        f"{how.resize} ({how.interpolation}), mean {how.mean}, std {how.std}; as right as torch\n"
    )
    return 0


def _classes(given: list[str]) -> list[str]:
    if len(given) == 1 and given[0].isdecimal():
        return [str(number) for number in range(int(given[0]))]
    if len(given) == 1 and (folder := Path(given[0])).is_dir():
        given = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(set(given)) != len(given):
        raise PackageError("two classes have one name")
    return given


def _network(options: Namespace, classes: int) -> nn.Module:
    """The network with its weights."""
    module, colon, function = options.model.rpartition(":")
    if colon and (made := _own(module, function)) is not None:
        if options.weights is not None:
            path = Path(options.weights)
            fit(made, state_in(_content(path), path), options.weights)
        return made
    found = list(entry_points(group=GROUP))
    if not found:
        raise PackageError(
            f"model {options.model!r}: give MODULE:FUNCTION, or install the suite's networks: "
            "pip install 'zo-unlearning-bench[bench]'"
        )
    network: nn.Module = found[0].load()(options.model, options.weights, options.channels, options.image_size, classes)
    return network


def _own(module: str, function: str) -> nn.Module | None:
    """What a function of the user's returns; None where there is no such module, and the name is a library's."""
    if not (function.isidentifier() and module.replace(".", "").isidentifier()):
        return None
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        return None
    finally:
        sys.path.pop(0)
    if not callable(make := getattr(found, function, None)):
        return None
    try:
        made = make()
    except Exception as error:  # the user's function may do anything
        said = str(error).strip().splitlines() or [""]
        raise PackageError(f"{module}:{function}: {type(error).__name__}: {said[0]}") from None
    if not isinstance(made, nn.Module):
        raise PackageError(f"{module}:{function} returns a {type(made).__name__}, not a torch.nn.Module")
    return made


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackageError(f"weights {path}: {error.strerror}") from None
