"""Writing a folder so that whoever looks sees all of it or nothing: a kill or a full disk leaves no half."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    check_new(path)
    temporary: Path | None = None
    try:
        there, prefix = _there(path), f".{path.name}.part-"
        _clear_away(there, prefix)
        temporary = Path(tempfile.mkdtemp(dir=there, prefix=prefix))
        with _held(temporary):
            yield temporary
            _flush(temporary)
            temporary.chmod(0o755)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(path)
    except OSError as error:
        raise PackageError(f"cannot write {path}: {error.strerror or error}; nothing has changed") from None
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def check_new(path: Path) -> None:
    """Raise PackageError if no folder of that name can be made."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise PackageError(f"{path} is there already: give another --out, or remove it")
    there = _there(path)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise PackageError(f"cannot write {path}: {there} is no folder that may be written to")


def _there(path: Path) -> Path:
    """The nearest folder above it that there is: others are made when there is something to put into them."""
    return next(folder for folder in path.absolute().parents if folder.exists())


def _clear_away(folder: Path, prefix: str) -> None:
    """Remove what a killed process left unfinished; what a living one is at work on is locked."""
    for left in folder.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError), _held(left):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder is locked meanwhile, by this process and as long as it lives; raises OSError if another has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def write_numbers(path: Path, numbers: Numbers) -> None:
    """As `Package` reads them."""
    np.save(path, np.ascontiguousarray(numbers, dtype="<f4"), allow_pickle=False)


def _flush(folder: Path) -> None:
    """What is in a folder is on the disk before the folder gets its name."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
