"""`-p MODULE` under pytest, which imports it before any conftest: found, or told in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from tests.bench.conftest import Here
from tests.bench.run.conftest import usage_error

BROKEN = {
    "needs_more": (
        "\nimport not_there_at_all",
        "ModuleNotFoundError: No module named 'not_there_at_all' (",
        ", line 2)",
    ),
    "half_written": ("def f(:", "SyntaxError: invalid syntax (half_written.py, line 1)", ""),
    "twice": (
        "from bench.workloads.models import models\n\nmodels.register('cnn')(print)",
        "ValueError: model 'cnn' is already registered (",
        "twice.py, line 3)",
    ),
    "of_their_own": (
        "from bench.sizes_of_theirs import size",
        "ModuleNotFoundError: No module named 'bench.sizes_of_theirs' (",
        ", line 1); bench and reports are the suite's own: give a package of yours another name",
    ),
    "no_plugin": ("def pytest_addoption(nonsense): ...", "PluginValidationError: ", ""),
}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "-p nowhere: no such module here or on PYTHONPATH"),
        ("nowhere.at_all", "-p nowhere.at_all: no such module here or on PYTHONPATH"),
        (
            "./mine.py",
            "-p ./mine.py: no such module here or on PYTHONPATH; give a module's name, such as mine, without",
        ),
        ("mine.py", "-p mine.py: no such module here or on PYTHONPATH; give a module's name, such as mine, without"),
        (
            "bench.mine",
            "-p bench.mine: no such module here or on PYTHONPATH; bench and reports are the suite's own: give",
        ),
        ("names_another", "-p nowhere: no such module here or on PYTHONPATH"),
    ],
)
def test_no_such_module(name: str, words: str, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "names_another.py").write_text("pytest_plugins = ['nowhere']")
    assert words in usage_error(here, "-p", name)


@pytest.mark.parametrize("name", BROKEN)
def test_a_module_that_fails_is_told_with_the_place(
    name: str, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, begins, ends = BROKEN[name]
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(text)
    line = usage_error(here, "-p", name)
    assert f"-p {name}: {begins}" in line
    assert line.endswith(ends)


def test_pytests_own_names_are_left_to_it(here: Here) -> None:
    """A plugin of pytest's, one that is known by an entry point, one that is turned off."""
    code, said = here("-p", "pytester", "-p", "xdist", "-p", "no:doctest", "--collect-only", "-q")
    assert code == 0, said


def collected(folder: Path, *start: str) -> subprocess.CompletedProcess[str]:
    """What Python says from a folder that is neither the clone nor, by itself, looked into for modules."""
    command = [
        sys.executable,
        *start,
        "-p",
        "own_net",
        ROOT / "bench",
        "-p",
        "no:cacheprovider",
        "--collect-only",
        "-q",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_module_in_the_current_folder_is_found_from_outside_the_clone(tmp_path: Path) -> None:
    (tmp_path / "own_net.py").write_text("from bench.base.paths import ROOT\nprint('imported for', ROOT)")
    done = collected(tmp_path, "-P", "-m", "pytest")
    assert done.returncode == 0, done.stderr
    assert f"imported for {ROOT}\n" in done.stdout
    assert "bench/test_step_cost.py::test_step_cost[resnet18-b8-zo-ga]" in done.stdout.splitlines()


def test_a_module_that_is_nowhere_is_told_from_outside_the_clone(tmp_path: Path) -> None:
    done = collected(tmp_path, "-P", "-m", "pytest")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stdout == ""
    assert done.stderr.strip() == "ERROR: -p own_net: no such module here or on PYTHONPATH"
