"""`zo-bench COMMAND`: the command lines of the suite and of the report, under one name."""

import argparse
import importlib
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command line.

    Attributes:
        module: whose `main`, from arguments to an exit code, it is.
        extra: what pip installs for it, `zo-unlearning-bench[EXTRA]`.
        what: what it does, in a line.
    """

    module: str
    extra: str
    what: str


COMMANDS = {
    "run": Command("bench.run.command_line", "bench", "run the cases of a profile; pytest's options are known, too"),
    "gate": Command("bench.gate.__main__", "bench", "fail when memory has grown"),
    "tune": Command("bench.tune.__main__", "bench", "find the learning rates of a profile, and write them into it"),
    "erase": Command("bench.erase.__main__", "bench", "one erasure: a model, images and a list of files to forget"),
    "example": Command("bench.erase.example", "bench", "a model, images and a request to try that with"),
    "forecast": Command("bench.forecast.__main__", "bench", "the peak of a step, without allocating it"),
    "report": Command("reports.__main__", "reports", "draw the report, or say what changed between two runs"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    given = sys.argv[1:] if arguments is None else arguments
    name: str = _parser().parse_args(given[:1]).command
    command = COMMANDS[name]
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("bench", "reports", "zo_core"):
            raise
        wanted = f"pip install 'zo-unlearning-bench[{command.extra}]'"
        sys.stderr.write(f"zo-bench {name}: {error.name} is not installed: {wanted}\n")
        return 2
    return int(module.main(given[1:]))


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:<10}{command.what}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="zo-bench",
        usage="zo-bench COMMAND [OPTION ...]",
        description="Machine unlearning without backpropagation: what it costs and does.",
        epilog=f"commands, each with --help:\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do")
    return parser
