"""Modules of a user's own, named on a command line."""

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
