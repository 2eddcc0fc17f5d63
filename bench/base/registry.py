"""A table of named things that a user can add to with one decorator, and that says what exists when asked amiss."""

import importlib
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


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
            raise ValueError(f"unknown {self.what} {name!r}; choose from: {', '.join(self)}")
        return self._entries[name]

    def module(self, name: str) -> str:
        """The module that registered the entry: whoever imports it has the entry, too."""
        self.get(name)
        return self._modules[name]

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
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ValueError(f"-p {name}: no such module here or on PYTHONPATH") from None
