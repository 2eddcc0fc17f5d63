"""Writing a file so that a reader, or a crash, sees the old one or the new one and never a half."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

READABLE_FOR_EVERYONE = 0o644


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` if nothing is raised and is removed otherwise.

    A link stays and its target is replaced. What is no regular file, such as /dev/stdout, is written to directly.

    Raises:
        OSError: it cannot be written; its `filename` is `path`.
    """
    try:
        with path.open("wb") if path.exists() and not path.is_file() else _beside(path.resolve()) as file:
            yield file
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, readable for everyone; raises OSError as `replacing` does."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(temporary).chmod(READABLE_FOR_EVERYONE)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
