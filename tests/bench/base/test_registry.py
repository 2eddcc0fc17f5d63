"""Modules of a user's own, named on a command line."""

import importlib
import statistics
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from bench.base.registry import add_modules_option, import_modules


def test_modules_are_imported_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own_first", "own_second"):
        (tmp_path / f"{name}.py").write_text("")
        monkeypatch.delitem(sys.modules, name, raising=False)
    parser = ArgumentParser()
    add_modules_option(parser)
    import_modules(parser.parse_args(["-p", "own_first", "-p", "own_second"]).modules)
    assert [name for name in sys.modules if name.startswith("own_")] == ["own_first", "own_second"]


def test_a_missing_module_is_told_and_a_missing_dependency_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "needs_more.py").write_text("import not_there_at_all")
    with pytest.raises(ValueError, match=r"-p nowhere\.to_be_found: no such module here or on PYTHONPATH"):
        import_modules(["nowhere.to_be_found"])
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        import_modules(["needs_more"])


@pytest.mark.parametrize("name", ["./own_plain", "folder/own_plain", "own_plain.py", "./folder/own_plain.py"])
def test_a_file_in_the_place_of_a_name_is_told_with_the_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_plain.py").write_text("")
    with pytest.raises(ValueError, match=f"-p {name}: no such module .*; give a module's name, such as own_plain, "):
        import_modules([name])


def test_a_module_in_the_current_folder_is_found_after_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that pip installed does not look there by itself; and a file there may bear any name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    for name in ("own_here", "statistics", "zo_core"):
        (tmp_path / f"{name}.py").write_text("import nothing_of_the_kind" if name != "own_here" else "")
    import_modules(["own_here"])
    assert sys.modules["own_here"].__file__ == str(tmp_path / "own_here.py")
    assert sys.path[-1] == str(tmp_path)
    importlib.reload(statistics)
    import_modules(["own_here"])
    assert sys.path.count(str(tmp_path)) == 1
