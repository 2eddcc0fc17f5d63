"""A pytest plugin, loaded before all others (`addopts` in pyproject.toml), for what pytest does before any conftest.

pytest-benchmark's `--benchmark-json` demands a value: it gets a default. A module that `-p` names is looked for in the
current folder, too; and one that cannot be imported is told in one line.
"""

from collections.abc import Callable
from typing import Any

import pytest

from bench.base.paths import DEFAULT_JSON
from bench.base.registry import look_here, why_not_imported


class _OptionalValue:
    """Waits for pytest-benchmark to declare its options, before or after us."""

    def __init__(self, parser: pytest.Parser) -> None:
        self.parser = parser

    def pytest_plugin_registered(self, plugin: Any) -> None:
        for option in self.parser.getgroup("benchmark").options:
            if "--benchmark-json" in option.names():
                option.attrs().update(nargs="?", const=DEFAULT_JSON)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Called when this plugin is loaded, which is when the parser is first at hand."""
    pluginmanager.register(_OptionalValue(parser), "optional-benchmark-json")
    look_here()
    pluginmanager.import_plugin = _told(pluginmanager.import_plugin)  # type: ignore[assignment, method-assign]


def _told(import_plugin: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
    """The same, but what goes wrong is a usage error; pytest has a traceback, or a line without the way out."""

    def told(modname: str, consider_entry_points: bool = False) -> None:
        try:
            import_plugin(modname, consider_entry_points)
        except Exception as error:
            original = _original(error)
            if isinstance(original, pytest.UsageError):
                raise
            raise pytest.UsageError(why_not_imported(modname, original)) from None

    return told


def _original(error: Exception) -> Exception:
    """What the module itself raised: pytest 9.1 raises an ImportError from one, 9.2 errors of its own from any."""
    pytests = isinstance(error, ImportError | pytest.UsageError) or type(error).__module__.startswith("_pytest.")
    return error.__cause__ if pytests and isinstance(error.__cause__, Exception) else error
