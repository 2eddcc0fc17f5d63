"""A data set as the rest of the suite sees it: images that are made when they are asked for, labels, names, hashes."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from bench.profiles import Preprocessing
from bench.record import Inventory
from bench.workloads.images.folder import Files
from bench.workloads.models import ImageSpec


class Images(Protocol):
    """(N, C, H, W) float32, by (n,) int64 places: standardized, ready for a network. A tensor is one."""

    @property
    def shape(self) -> torch.Size:
        """(N, C, H, W)."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class Samples:
    """Training or test data.

    Attributes:
        labels: (N,) int64.
        names: paths of the files in the data folder, with "/"; for data without files such as "train/00017".
        sha256: by place, the hash of the file's bytes, or of the pixels as the source has them.
    """

    images: Images
    labels: Tensor
    names: tuple[str, ...]
    sha256: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: Tensor) -> "Samples":
        """Those at (n,) int64 places, in that order."""
        kept = places.tolist()
        names = tuple(self.names[place] for place in kept)
        return Samples(_Some(self.images, places), self.labels[places], names, lambda place: self.sha256(kept[place]))


@dataclass(frozen=True)
class _Some:
    """Some of the images, in an order of their own."""

    images: Images
    places: Tensor

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.places), *self.images.shape[1:]))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, places: Tensor, /) -> Tensor:
        return self.images[self.places[places]]


@dataclass(frozen=True)
class ImageData:
    """A data set, prepared for a network.

    Attributes:
        classes: class names; a label is an index into them.
        inventory: what was found, and what was left out.
        preprocessing: what was done to the images.
        folder: where the names count from; None for data without files.
    """

    train: Samples
    test: Samples
    classes: tuple[str, ...]
    inventory: Inventory
    preprocessing: Preprocessing
    folder: Path | None = None

    @property
    def spec(self) -> ImageSpec:
        """What a model for this data must take and give."""
        return ImageSpec(self.train.images.shape[1], self.train.images.shape[2], len(self.classes))

    @property
    def _done(self) -> str:
        return self.preprocessing.model_dump_json(exclude={"transforms", "skip_unreadable"})

    @cached_property
    def fingerprint(self) -> str:
        """A hash over every file, or every pixel of the source, every label, and what was done to them."""
        digest = hashlib.sha256("\0".join([*self.classes, repr(self.spec), self._done]).encode())
        for part in (self.train, self.test):
            digest.update("".join(map(part.sha256, range(len(part)))).encode())
            digest.update(part.labels.numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class RawData:
    """What a source has, before anything is done to it; this is what a registered loader returns.

    Attributes:
        train_images, test_images: (N, C, H, W), in uint8, or in floating point as they are; or files.
        train_labels, test_labels: (N,) int64.
        classes: class names; a label is an index into them.
        left_out: by reason, the names of files and folders that no sample is to be made of.
        unreadable: by name, why files and folders could not be read; those of the images come to it.
        folder: where the files' names count from.
    """

    train_images: Tensor | Files
    train_labels: Tensor
    test_images: Tensor | Files
    test_labels: Tensor
    classes: tuple[str, ...]
    left_out: Mapping[str, list[str]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class PerClass:
    """Which samples of each class are used: so many, the first ones of the data; those from one place up to another; or
    all, for None.
    """

    train: int | tuple[int, int] | None = None
    test: int | tuple[int, int] | None = None
