"""`zo-bench`: its table of commands, and what a run of it is called."""

import importlib
import re
import tomllib
from collections.abc import Callable

import pytest

from bench.base.paths import ROOT
from bench.commands import COMMANDS, main
from bench.run.command_line import SUITE, as_typed


def help_of(run: Callable[[list[str]], int], *arguments: str) -> int | str | None:
    """The exit code; argparse leaves by way of an exception."""
    try:
        return run([*arguments, "--help"])
    except SystemExit as ended:
        return ended.code


def without_the_time(text: str) -> str:
    """A default of pytest-benchmark's has it, wherever the line is broken."""
    return re.sub(r"_\d{8}_\d{6}", "", "".join(text.split()))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_module_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both say the same of themselves, and pip knows the extra."""
    assert help_of(main, name) == 0
    ours = capsys.readouterr().out
    assert help_of(importlib.import_module(COMMANDS[name].module).main) == 0
    theirs = capsys.readouterr().out
    assert without_the_time(ours) == without_the_time(theirs) != ""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert COMMANDS[name].extra in project["optional-dependencies"]


def test_an_unknown_command_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nope"])
    assert ended.value.code == 2
    assert ", ".join(repr(name) for name in COMMANDS) in capsys.readouterr().err.replace('"', "'")


def test_a_run_is_called_what_was_typed() -> None:
    assert as_typed([*SUITE, "-k", "zo-ga or forward"]) == "zo-bench run -k 'zo-ga or forward'"
    assert as_typed(["bench/", "-k", "zo-ga or forward"]) == "pytest bench/ -k 'zo-ga or forward'"
