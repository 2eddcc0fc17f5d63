"""The pictures that are to be forgotten: which they are, and batches of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zo_core.edge.device.images import read_image
from zo_core.edge.package import Package, PackageError
from zo_core.engine.flat import Numbers
from zo_core.engine.streams import permutation

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
        order, again = [], 0
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


def forget_set(package: Package, folder: Path, label: str | None = None) -> ForgetSet:
    """The pictures in a folder.

    Args:
        folder: of pictures of one class, which is given as `label`, or of folders that are called like classes.

    Raises:
        PackageError: there is no such folder or class, or no picture in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise PackageError(f"{folder}: no such folder of images")
    names = [label] if label is not None else sorted(path.name for path in folder.iterdir() if path.is_dir())
    if not names:
        raise PackageError(f"{folder}: no folders that are called like classes in it: say with --label what they show")
    found = [(path, package.label(name)) for name in names for path in _files(folder if label else folder / name)]
    if not found:
        raise PackageError(f"{folder}: no images in it")
    for path, _ in found:
        read_image(path, package.layout.preprocessing)  # before anything is changed
    paths, labels = zip(*found, strict=True)
    return ForgetSet(package, paths, np.asarray(labels, dtype=np.int64))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
