"""Data sets by name: where their images and labels come from. What is done to them is in `images/`.

`digits` comes with scikit-learn; the torchvision sets are read from a folder and downloaded only when asked;
`imagefolder:PATH` takes a user's own images; `fake:CxHxW` is for cost at any resolution and learns nothing.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from bench.base.registry import Registry
from bench.profiles import Preprocessing
from bench.workloads.images.folder import BESIDE_PARTS, ClassFolders, Files, Left, class_folders
from bench.workloads.images.prepare import Means, check_filled, prepare
from bench.workloads.images.samples import ImageData, PerClass, RawData

FAKE_TRAIN, FAKE_TEST, FAKE_CLASSES, MOST_FAKE = 512, 128, 10, 4096
PARTS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
EVERYTHING, AS_THEY_ARE = PerClass(), Preprocessing()


@dataclass(frozen=True)
class Source:
    """Where data may come from.

    Attributes:
        argument: what stands behind the colon of the name; empty without one.
        image_size: wanted width and height in pixels.
        root: folder of the torchvision sets and of image folders, or None if the user named none.
        download: whether a missing set may be fetched.
        test_fraction: share held out of an image folder that has no `test/`.
    """

    argument: str
    image_size: int
    root: Path | None
    download: bool
    test_fraction: float | None


Loader = Callable[[Source], RawData]
datasets: Registry[Loader] = Registry("dataset")


def check_dataset(name: str) -> None:
    """Raise ValueError if no loader is registered for `name`, without loading anything."""
    datasets.get(name.partition(":")[0])


def load_dataset(name: str, source: Source, means: Means) -> ImageData:
    """Load a data set by its name, ready for a network.

    Raises:
        ValueError: the name is unknown, or the data are not where they should be; the message names the way out.
    """
    kind, _, argument = name.partition(":")
    raw = datasets.get(kind)(replace(source, argument=argument))
    for labels in (raw.train_labels, raw.test_labels):
        _check_labels(name, labels, len(raw.classes))
    return prepare(name, _in_order(name, raw, means.how.classes), source.image_size, means)


def _in_order(name: str, raw: RawData, classes: Sequence[str] | None) -> RawData:
    """The data with their classes in another order.

    Raises:
        ValueError: it is not one of the same classes.
    """
    if classes is None:
        return raw
    differing = sorted(set(classes) ^ set(raw.classes))
    if differing:
        raise ValueError(
            f"data.classes is to name the classes of {name}, {', '.join(raw.classes)}; only one of the two has: "
            f"{', '.join(differing)}"
        )
    place = torch.tensor([classes.index(label) for label in raw.classes])
    return replace(
        raw, train_labels=place[raw.train_labels], test_labels=place[raw.test_labels], classes=tuple(classes)
    )


def _check_labels(name: str, labels: Tensor, classes: int) -> None:
    """Raise ValueError unless each sample has one label, an index into the classes."""
    if labels.ndim != 1 or labels.is_floating_point():
        found = f"labels of shape {tuple(labels.shape)} in {str(labels.dtype).removeprefix('torch.')}"
        raise ValueError(f"dataset {name!r} has {found}: give each sample one class, (N,) int64; not several labels")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        found = f"labels from {labels.min()} to {labels.max()}"
        raise ValueError(f"dataset {name!r} has {found} but {classes} classes, which count from 0")


Library = Callable[[str, int], ImageData]


def library(
    root: Path | None = None,
    download: bool = False,
    test_fraction: float | None = None,
    per_class: PerClass = EVERYTHING,
    how: Preprocessing = AS_THEY_ARE,
    scratch: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Library:
    """`load_dataset` for a name and an image size in pixels; each is loaded once.

    Args:
        scratch: folder for pixels that are too many for memory, the system's for None.
        tell: is told, in a line every so often, how far it is.
    """
    means = Means(how, per_class, scratch or Path(tempfile.gettempdir()), tell)
    return cache(lambda name, size: load_dataset(name, Source("", size, root, download, test_fraction), means))


@datasets.register("digits")
def digits(source: Source) -> RawData:
    """1,797 handwritten digits, 8x8, a fifth of each class held out (Alpaydin and Kaynak 1998, by scikit-learn)."""
    from sklearn.datasets import load_digits  # a second, which who only lists the cases need not wait for

    _takes_no_argument("digits", source)
    bundle = load_digits()
    images = torch.from_numpy(bundle.images).float().unsqueeze(1) / 16
    labels = torch.from_numpy(bundle.target).long()
    return _held_out(images, labels, tuple(str(digit) for digit in range(10)), fraction=0.2)


@datasets.register("fake")
def fake(source: Source) -> RawData:
    """Gaussian images of a given shape, for cost alone."""
    try:
        channels, height, width = (int(part) for part in source.argument.split("x"))
    except ValueError:
        raise ValueError(f"fake:{source.argument}: write fake:CxHxW, such as fake:3x224x224") from None
    if not 0 < channels <= MOST_FAKE or not 0 < height == width <= MOST_FAKE:
        raise ValueError(
            f"fake:{source.argument}: images must be square, and neither side nor channels above {MOST_FAKE}"
        )
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(FAKE_TRAIN + FAKE_TEST, channels, height, width, generator=generator)
    labels = torch.arange(len(images)) % FAKE_CLASSES
    names = tuple(f"class{label}" for label in range(FAKE_CLASSES))
    return RawData(images[:FAKE_TRAIN], labels[:FAKE_TRAIN], images[FAKE_TRAIN:], labels[FAKE_TRAIN:], names)


@datasets.register("imagefolder")
def image_folder(source: Source) -> RawData:
    """Images of the user's own, one folder a class, under `train/` and `test/` or to be split.

    A path that is not absolute counts from the root, or from where the command is run if there is no root.
    """
    name, folder = f"imagefolder:{source.argument}", (source.root or Path()) / source.argument
    left = Left(folder)
    if not source.argument or not folder.is_dir():
        raise ValueError(
            f"{name}: there is no such folder; write imagefolder:PATH, which counts from --data-root if that is given"
        )
    try:
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return replace(_two_parts(name, folder, left), folder=folder)
        if source.test_fraction is None:
            raise ValueError(f"{name}: make train/ and test/ in it, or set test_fraction")
        found = class_folders(folder, left)
    except OSError as error:
        raise ValueError(f"{name}: cannot read {error.filename}: {error.strerror}") from None
    _check_classes(name, found, left)
    data = _held_out(found.files, torch.tensor(found.labels), found.classes, source.test_fraction)
    return replace(data, left_out=left.out, unreadable=left.unreadable, folder=folder)


def _two_parts(name: str, folder: Path, left: Left) -> RawData:
    """The images of train/ and test/."""
    for path in sorted(folder.iterdir()):
        if path.name not in ("train", "test"):
            left.leave(BESIDE_PARTS, path)
    train, test = (class_folders(folder / part, left) for part in ("train", "test"))
    _check_classes(name, train, left)
    if not test.labels and not left.unreadable:
        raise ValueError(f"{name}: there are no images in test/")
    for one, other, lacking in (
        ("train", "test", set(train.classes) - set(test.classes)),
        ("test", "train", set(test.classes) - set(train.classes)),
    ):
        if lacking:
            raise ValueError(
                f"{name}: train/ and test/ must have the same class folders, if need be empty ones in test/: {one}/ "
                f"has {', '.join(sorted(lacking))}, {other}/ has not"
            )
    labels = torch.tensor(train.labels), torch.tensor(test.labels, dtype=torch.int64)
    return RawData(train.files, labels[0], test.files, labels[1], train.classes, left.out, left.unreadable)


def _check_classes(name: str, found: ClassFolders, left: Left) -> None:
    """Raise ValueError unless there are two classes with images; a folder that may not be read is told later."""
    if found.classes and {label.lower() for label in found.classes} <= PARTS:
        parts = ", ".join(found.classes)
        raise ValueError(f"{name}: {parts}: that is how parts are called, no classes; call them train and test")
    if len(found.classes) < 2:
        there = f"only {found.classes[0]}" if found.classes else "none"
        raise ValueError(f"{name}: it takes two class folders with images in them, but there is {there}")
    if not left.unreadable:
        check_filled(name, torch.tensor(found.labels, dtype=torch.int64), found.classes)


def _held_out(images: Tensor | Files, labels: Tensor, classes: tuple[str, ...], fraction: float) -> RawData:
    """Hold out the same stratified share in every run."""
    from sklearn.model_selection import train_test_split  # as above

    try:
        train, test = train_test_split(range(len(labels)), test_size=fraction, stratify=labels, random_state=0)
    except ValueError as error:
        found = f"cannot hold out {fraction:g} of {len(labels)} images in {len(classes)} classes ({error})"
        raise ValueError(f"{found}; change test_fraction, or make train/ and test/") from None
    train, test = torch.tensor(train), torch.tensor(test)
    return RawData(images[train], labels[train], images[test], labels[test], classes)


def _takes_no_argument(name: str, source: Source) -> None:
    if source.argument:
        raise ValueError(f"dataset {name!r} takes nothing behind a colon, so not {name}:{source.argument}")


def _torchvision_set(name: str, open_split: Callable[[str, bool, bool], Any]) -> Loader:
    def load(source: Source) -> RawData:
        _takes_no_argument(name, source)
        if source.root is None:
            raise ValueError(f"dataset {name!r} needs --data-root DIR, and --download the first time")
        try:
            train, test = (open_split(str(source.root), part, source.download) for part in (True, False))
        except RuntimeError:
            raise ValueError(f"dataset {name!r} is not in {source.root}: add --download to fetch it") from None
        except OSError as error:
            raise ValueError(f"dataset {name!r} could not be read or fetched: {error}") from None
        return RawData(*in_memory(train), *in_memory(test), _class_names(train))

    return load


def in_memory(dataset: Any) -> tuple[Tensor, Tensor]:
    """Pixels as (N, C, H, W) uint8, and labels, of torchvision's array-backed data sets."""
    pixels = torch.as_tensor(dataset.data)
    labels = torch.as_tensor(dataset.targets if hasattr(dataset, "targets") else dataset.labels).long()
    if pixels.ndim == 3:  # MNIST and its kin: (N, H, W)
        pixels = pixels.unsqueeze(1)
    elif pixels.shape[-1] == 3:  # CIFAR: (N, H, W, C); SVHN is (N, C, H, W) already
        pixels = pixels.permute(0, 3, 1, 2)
    return pixels.contiguous(), labels


def _class_names(dataset: Any) -> tuple[str, ...]:
    return tuple(dataset.classes) if hasattr(dataset, "classes") else tuple(str(digit) for digit in range(10))


_SETS = torchvision.datasets
datasets.register("mnist")(_torchvision_set("mnist", lambda root, train, get: _SETS.MNIST(root, train, download=get)))
datasets.register("fashion-mnist")(
    _torchvision_set("fashion-mnist", lambda root, train, get: _SETS.FashionMNIST(root, train, download=get))
)
datasets.register("cifar10")(
    _torchvision_set("cifar10", lambda root, train, get: _SETS.CIFAR10(root, train, download=get))
)
datasets.register("cifar100")(
    _torchvision_set("cifar100", lambda root, train, get: _SETS.CIFAR100(root, train, download=get))
)
datasets.register("svhn")(
    _torchvision_set("svhn", lambda root, train, get: _SETS.SVHN(root, "train" if train else "test", download=get))
)
