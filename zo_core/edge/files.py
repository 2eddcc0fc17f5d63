"""Writing a folder so that whoever looks sees all of it or nothing: a kill or a full disk leaves no half."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from zo_core.edge.package import RECEIPT, WEIGHTS, PackageError
from zo_core.engine.flat import Numbers
from zo_core.receipt import Receipt


def save(folder: Path, weights: Numbers, receipt: Receipt) -> None:
    """Write erased weights and their receipt into a new folder, or nothing; raises PackageError."""
    with new_folder(folder) as new:
        write_numbers(new / WEIGHTS, weights)
        (new / RECEIPT).write_text(receipt.to_json(), encoding="utf-8")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write into that comes to be called `path` if nothing is raised, and is removed otherwise.

    Raises:
        PackageError: there is something of that name, which stays as it is, or it cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise PackageError(f"{path} is there already: give another --out, or remove it")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        yield temporary
        _flush(temporary)
        temporary.chmod(0o755)
        temporary.rename(path)
    except OSError as error:
        raise PackageError(f"cannot write {path}: {error.strerror or error}; nothing has changed") from None
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def write_numbers(path: Path, numbers: Numbers) -> None:
    """As `Package` reads them."""
    np.save(path, np.ascontiguousarray(numbers, dtype="<f4"), allow_pickle=False)


def _flush(folder: Path) -> None:
    """What is in a folder is on the disk before the folder gets its name."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
