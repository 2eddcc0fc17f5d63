"""The pictures that are to be forgotten: which they are, and batches of them."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zo_core.edge.device.images import read_image
from zo_core.edge.package import Package, PackageError
from zo_core.edge.words import some_of
from zo_core.engine.flat import Numbers
from zo_core.engine.streams import permutation

COLUMN = "path"

Batch = tuple[Numbers, np.ndarray[Any, np.dtype[np.int64]]]


@dataclass(frozen=True)
class ForgetSet:
    """Pictures on the disk, which are read when their batch comes: as little memory as a batch takes.

    Attributes:
        paths: of the pictures, each once.
        labels: (N,) class indices, as the network was taught them.
    """

    package: Package
    paths: tuple[Path, ...]
    labels: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, size: int, seed: int, repeated: int = 1) -> Iterator[Batch]:
        """Batches without end, in an order that is drawn anew for each time through the set, each `repeated` times.

        Args:
            size: samples a batch; where the set ends within one, the next time through begins in it.
        """
        order: list[int] = []
        again = 0
        while True:
            while len(order) < size:
                order += permutation(len(self), seed, again)
                again += 1
            batch, order = self._read(order[:size]), order[size:]
            for _ in range(repeated):
                yield batch

    def once(self, size: int) -> Iterator[Batch]:
        """All of it in order, in batches."""
        for first in range(0, len(self), size):
            yield self._read(list(range(first, min(first + size, len(self)))))

    def _read(self, places: list[int]) -> Batch:
        how = self.package.layout.preprocessing
        return np.stack([read_image(self.paths[place], how) for place in places]), self.labels[places]


def forget_set(package: Package, folder: Path, *, label: str | None = None, request: Path | None = None) -> ForgetSet:
    """The pictures in a folder, or those of them that a request names.

    Args:
        folder: of folders that are called like classes; or of pictures of one class, which is given as `label`.
        request: a list as `listed` reads it; its paths count from `folder`, or from where the command is run.

    Raises:
        ValueError: there is no such folder, class or list, or no picture in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise PackageError(f"{folder}: no such folder of images")
    paths = _of_request(folder, request) if request is not None else _in_folder(folder, label)
    labels = [package.label(label or path.parent.name) for path in paths]
    if not paths:
        raise PackageError(f"{folder}: no images in it")
    for path in paths:
        read_image(path, package.layout.preprocessing)  # before anything is changed
    return ForgetSet(package, tuple(paths), np.asarray(labels, dtype=np.int64))


def listed(path: Path) -> tuple[str, ...]:
    """The paths in a list: one a line, or in the column `path` of a CSV file. Lines without anything do not count.

    Raises:
        ValueError: there is no such file, it is no text, it has no such column, or it is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: it is no text in UTF-8; write a path a line, or a CSV file") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; the list counts from where the command is run") from None
    paths = _column(path, text) if path.suffix.lower() == ".csv" else text.splitlines()
    found = tuple(one.strip() for one in paths if one.strip())
    if not found:
        raise ValueError(f"{path}: the list is empty, so there is nothing to forget")
    return found


def _column(path: Path, text: str) -> Iterable[str]:
    rows = csv.DictReader(text.splitlines())
    if COLUMN not in (rows.fieldnames or ()):
        columns = ", ".join(rows.fieldnames or ()) or "none"
        raise ValueError(f"{path}: it has no column {COLUMN!r}, but: {columns}")
    return [row[COLUMN] or "" for row in rows]


def _of_request(folder: Path, request: Path) -> list[Path]:
    names = listed(request)
    found = {name: next((path for path in (folder / name, Path(name)) if path.is_file()), None) for name in names}
    if absent := [name for name, path in found.items() if path is None]:
        raise PackageError(f"{request}: {len(absent)} of its paths are not in {folder}: {some_of(absent)}")
    paths = [path for name in names if (path := found[name]) is not None]
    if twice := [str(path) for path, count in Counter(path.resolve() for path in paths).items() if count > 1]:
        raise PackageError(f"{request}: {len(twice)} of its paths are there more than once: {some_of(twice)}")
    return paths


def _in_folder(folder: Path, label: str | None) -> list[Path]:
    """The files of one class's folder, or of all classes'."""
    if label is not None:
        return _files(folder)
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise PackageError(f"{folder}: no folders that are called like classes in it: say with --label what they show")
    return [path for of_class in folders for path in _files(of_class)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
