"""A table of named things that a user can add to with one decorator, and that says what exists when asked amiss."""

import importlib
import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from bench.base.sources import source_digest

T = TypeVar("T")

OURS = ("bench", "reports")  # packages that a module of the user's imports from the suite, whatever else bears the name


class Registry(Generic[T]):
    """Names to entries, in the order of registration.

    Args:
        what: the noun used in error messages ("model").
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._entries: dict[str, T] = {}
        self._modules: dict[str, str] = {}

    def register(self, name: str, module: str | None = None) -> Callable[[T], T]:
        """Decorator that files an entry under `name`; raises ValueError if the name is taken.

        Args:
            module: whose entry it is, if not the caller's.
        """
        owner = module or sys._getframe(1).f_globals["__name__"]

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.what} {name!r} is already registered")
            self._entries[name] = entry
            self._modules[name] = owner
            return entry

        return add

    def get(self, name: str) -> T:
        """The entry; raises ValueError naming the valid choices."""
        if name not in self._entries:
            raise ValueError(f"unknown {self.what} {name!r}; choose from: {', '.join(self.choices())}")
        return self._entries[name]

    def choices(self) -> list[str]:
        """What `get` takes, for an error message."""
        return list(self)

    def module(self, name: str) -> str:
        """The module that registered the entry: whoever imports it has the entry, too."""
        self.get(name)
        return self._modules[name]

    def source(self, name: str) -> str:
        """A hash over the code that the entry is made by."""
        return source_digest([self.module(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


def add_modules_option(parser: ArgumentParser) -> None:
    """Give a command line `-p MODULE`, as pytest has it; the names are in `modules`, for `import_modules`."""
    parser.add_argument(
        "-p", dest="modules", action="append", default=[], metavar="MODULE", help="with arms or models of your own"
    )


def import_modules(names: Iterable[str]) -> None:
    """Import modules that register entries of the user's own.

    Raises:
        ValueError: there is no such module where Python looks.
    """
    look_here()
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            if _is_there(name, error):
                raise
            raise ValueError(why_not_imported(name, error)) from None


def look_here() -> None:
    """Have Python look for modules in the current folder, too, after all others, as it does not for a program."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def why_not_imported(name: str, error: Exception) -> str:
    """In a line why a user's module could not be imported, and the way out or the place where it fails."""
    missing = (error.name or "") if isinstance(error, ImportError) else ""
    hint = f"; {' and '.join(OURS)} are the suite's own: give a package of yours another name"
    hint = hint if missing.partition(".")[0] in OURS else ""
    if not _is_there(name, error):
        stem = Path(name).name.removesuffix(".py")
        hint = hint if stem == name else f"; give a module's name, such as {stem}, without folders and .py"
        return f"-p {name}: no such module here or on PYTHONPATH{hint}"
    bodies = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    place = f" ({bodies[-1].filename}, line {bodies[-1].lineno})" if bodies else ""
    return f"-p {name}: {type(error).__name__}: {error}{place}{hint}"


def _is_there(name: str, error: Exception) -> bool:
    """Whether it is something in the module that failed, and not that there is none of the name."""
    if isinstance(error, ModuleNotFoundError):
        return error.name is None or not f"{name}.".startswith(f"{error.name}.")
    return not (name.startswith(".") or name == "")  # importlib takes such a name for a relative one, or for none
