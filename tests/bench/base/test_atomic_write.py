"""A file is the old one or the new one, never a half."""

from pathlib import Path

import pytest

from bench.base.atomic_write import write_text


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["file"]
