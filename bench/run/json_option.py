"""A pytest plugin, loaded before all others (`addopts` in pyproject.toml), that gives `--benchmark-json` a default.

pytest-benchmark's option demands a value. It is declared before any conftest is read, so this cannot live in one.
"""

from typing import Any

import pytest

from bench.base.paths import DEFAULT_JSON


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
