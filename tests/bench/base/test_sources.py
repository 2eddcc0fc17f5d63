"""What of a user's code counts: all that a module imports, however it does, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.sources import source_digest

MINE = """
import json, torch
from bench.workloads.models import models
from mine_helper import WIDTH
import mine_package.inner as inner

def build(spec):
    from mine_lazily import activation
    return activation
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of a user's own, what it imports, and what it does not."""
    (tmp_path / "mine_package").mkdir()
    for name, text in {
        "mine": MINE,
        "mine_helper": "WIDTH = 8",
        "mine_lazily": "activation = 'relu'",
        "mine_package/__init__": "from . import beside",
        "mine_package/inner": "from .deeper import depth",
        "mine_package/deeper": "depth = 2",
        "mine_package/beside": "",
        "mine_package/unused": "",
        "unrelated": "",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in list(sys.modules):
        if name.startswith("mine"):
            monkeypatch.delitem(sys.modules, name)
    return tmp_path


IMPORTED = ["mine", "mine_helper", "mine_lazily", "mine_package/__init__", "mine_package/inner", "mine_package/deeper"]


@pytest.mark.parametrize("changed", [*IMPORTED, "mine_package/beside"])
def test_a_change_in_what_is_imported_counts(folder: Path, changed: str) -> None:
    before = source_digest(["mine"])
    file = folder / f"{changed}.py"
    file.write_text(file.read_text() + "\n")
    assert source_digest(["mine"]) != before


def test_a_change_elsewhere_does_not(folder: Path) -> None:
    before = source_digest(["mine"])
    for name in ("unrelated", "mine_package/unused"):
        (folder / f"{name}.py").write_text("changed = True")
    assert source_digest(["mine"]) == before


def test_what_else_is_loaded_plays_no_part(folder: Path) -> None:
    """In a fresh process, with nothing imported and with everything: the same hash as here."""
    code = "; from bench.base.sources import source_digest; print(source_digest(['mine']))"
    path = f"import sys; sys.path.insert(0, {str(folder)!r})"
    said = {
        subprocess.run(
            [sys.executable, "-c", f"{path}; {first}{code}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for first in ("pass", "import mine_package.unused, unrelated", "import mine_helper, mine_package.inner")
    }
    assert said == {source_digest(["mine"])}


def test_a_module_that_pip_installed_counts_if_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own package, and without the others beside it."""
    site = tmp_path / "site-packages"
    for package in ("plugged_in", "another"):
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("")
    (site / "plugged_in" / "nets.py").write_text("import another\nfrom plugged_in import parts\n")
    (site / "plugged_in" / "parts.py").write_text("")
    monkeypatch.syspath_prepend(site)
    before = source_digest(["plugged_in.nets"])
    (site / "another" / "__init__.py").write_text("changed = True")
    assert source_digest(["plugged_in.nets"]) == before
    (site / "plugged_in" / "parts.py").write_text("changed = True")
    assert source_digest(["plugged_in.nets"]) != before


@pytest.mark.parametrize("raised", ["RuntimeError('no display')", "SystemExit(1)"])
def test_a_package_that_cannot_be_imported_here_is_no_error(folder: Path, raised: str) -> None:
    """A module that imports it only where it is needed works without it."""
    (folder / "mine_broken").mkdir()
    (folder / "mine_broken" / "__init__.py").write_text(f"raise {raised}")
    (folder / "mine_broken" / "inner.py").write_text("")
    (folder / "mine_helper.py").write_text("def draw():\n    import mine_broken.inner\n")
    before = source_digest(["mine"])
    (folder / "mine_broken" / "__init__.py").write_text(f"raise {raised}  # changed")
    assert source_digest(["mine"]) != before
