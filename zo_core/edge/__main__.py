"""`python -m zo_core.edge COMMAND`: each command imports what it needs, and no other."""

import argparse
import importlib
import sys
from dataclasses import dataclass
from typing import NoReturn

PROGRAM = "python -m zo_core.edge"
UNUSABLE, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Command:
    """A command: the extra that pip installs for it, and what it does, in a line."""

    extra: str
    what: str


COMMANDS = {
    "export": Command("export", "make a package of a network and its weights, on a workstation"),
    "erase": Command("edge", "have a package forget images, on a device"),
    "measure": Command("edge", "what a step takes of this device: peak of the process, and time"),
    "replay": Command("edge", "do again what a receipt says, without the data"),
    "verify": Command("edge", "hold a receipt against a package and erased weights"),
    "load": Command("export", "put erased weights back into a file of torch's or safetensors"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 2 if something cannot be used, else the command's own."""
    given = sys.argv[1:] if arguments is None else arguments
    name: str = _parser().parse_args(given[:1]).command
    try:
        command = importlib.import_module(f"zo_core.edge.commands.{name}")
        parser = _Parser(prog=f"{PROGRAM} {name}", description=command.__doc__)
        command.add_arguments(parser)
        return int(command.run(parser.parse_args(given[1:])))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "zo_core":
            raise
        wanted = f"pip install 'zo-unlearning-bench[{COMMANDS[name].extra}]'"
        return _refused(name, f"{error.name} is not installed: {wanted}")
    except (ValueError, FloatingPointError, OSError) as error:
        return _refused(name, str(error))
    except MemoryError:
        return _refused(name, "out of memory; nothing has been written")
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted; nothing has been written\n")
        return INTERRUPTED


def _refused(name: str, reason: str) -> int:
    sys.stderr.write(f"{name}: {' '.join(reason.splitlines())}\n")
    return UNUSABLE


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and leaves the usage to --help."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.removeprefix(f"{PROGRAM} ")
        sys.exit(_refused(name, f"{message}; see {self.prog} --help"))


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:<9}{command.what}" for name, command in COMMANDS.items())
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [OPTION ...]",
        description="Unlearning on an inference engine, without backpropagation and without torch.",
        epilog=f"commands, each with --help:\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
