"""Images by name, held in memory as one tensor each for training and testing.

`digits` comes with scikit-learn; the torchvision sets are read from a folder and downloaded only when asked;
`imagefolder:PATH` takes a user's own images; `fake:CxHxW` is for cost at any resolution and learns nothing.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import functional as TF

from bench.base.registry import Registry
from bench.workloads.models import ImageSpec

FAKE_TRAIN, FAKE_TEST, FAKE_CLASSES, MOST_FAKE = 512, 128, 10, 4096


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


@dataclass(frozen=True)
class ImageData:
    """A data set in memory.

    Attributes:
        train_images, test_images: (N, C, H, W) float32, each channel standardized over the training images.
        train_labels, test_labels: (N,) int64.
        classes: class names; a label is an index into them.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    @property
    def spec(self) -> ImageSpec:
        """What a model for this data must take and give."""
        return ImageSpec(self.train_images.shape[1], self.train_images.shape[2], len(self.classes))

    @cached_property
    def fingerprint(self) -> str:
        """A hash over every pixel and label."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


Loader = Callable[[Source], ImageData]
datasets: Registry[Loader] = Registry("dataset")


def check_dataset(name: str) -> None:
    """Raise ValueError if no loader is registered for `name`, without loading anything."""
    datasets.get(name.partition(":")[0])


@dataclass(frozen=True)
class PerClass:
    """How many samples of each class are used, the first ones of the data; None for all."""

    train: int | None = None
    test: int | None = None


def load_dataset(name: str, source: Source, per_class: PerClass = PerClass()) -> ImageData:
    """Load a data set by its name, resized and standardized.

    Raises:
        ValueError: the name is unknown, or the data are not where they should be; the message names the way out.
    """
    kind, _, argument = name.partition(":")
    data = datasets.get(kind)(replace(source, argument=argument))
    train, test = _first(data.train_labels, per_class.train), _first(data.test_labels, per_class.test)
    data = ImageData(
        data.train_images[train], data.train_labels[train], data.test_images[test], data.test_labels[test], data.classes
    )
    mean = data.train_images.mean(dim=(0, 2, 3), keepdim=True)
    deviation = data.train_images.std(dim=(0, 2, 3), keepdim=True).clamp_min(1e-6)
    return replace(
        data,
        train_images=(_resized(data.train_images, source.image_size) - mean) / deviation,
        test_images=(_resized(data.test_images, source.image_size) - mean) / deviation,
    )


Library = Callable[[str, int], ImageData]


def library(
    root: Path | None = None,
    download: bool = False,
    test_fraction: float | None = None,
    per_class: PerClass = PerClass(),
) -> Library:
    """`load_dataset` for a name and an image size in pixels; each is loaded once."""
    return cache(lambda name, size: load_dataset(name, Source("", size, root, download, test_fraction), per_class))


def _first(labels: Tensor, count: int | None) -> Tensor:
    """Indices of the first `count` samples of each class, in their order."""
    places = torch.arange(len(labels))
    if count is None:
        return places
    return torch.cat([places[labels == label][:count] for label in labels.unique()]).sort().values


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


@datasets.register("digits")
def digits(source: Source) -> ImageData:
    """1,797 handwritten digits, 8x8, a fifth of each class held out (Alpaydin and Kaynak 1998, by scikit-learn)."""
    from sklearn.datasets import load_digits  # a second, which who only lists the cases need not wait for

    _takes_no_argument("digits", source)
    bundle = load_digits()
    images = torch.from_numpy(bundle.images).float().unsqueeze(1) / 16
    labels = torch.from_numpy(bundle.target).long()
    return _held_out(images, labels, tuple(str(digit) for digit in range(10)), fraction=0.2)


@datasets.register("fake")
def fake(source: Source) -> ImageData:
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
    return ImageData(images[:FAKE_TRAIN], labels[:FAKE_TRAIN], images[FAKE_TRAIN:], labels[FAKE_TRAIN:], names)


@datasets.register("imagefolder")
def image_folder(source: Source) -> ImageData:
    """Images of the user's own, one folder a class, under `train/` and `test/` or to be split.

    A path that is not absolute counts from the root, or from where the command is run if there is no root.
    """
    folder = (source.root or Path()) / source.argument
    if not source.argument or not folder.is_dir():
        raise ValueError(
            f"imagefolder:{source.argument}: there is no such folder; write imagefolder:PATH, which counts from "
            "--data-root if that is given"
        )
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train, test = _read_folder(folder / "train", source), _read_folder(folder / "test", source)
        if train[2] != test[2]:
            raise ValueError(f"imagefolder:{source.argument}: train/ and test/ must have the same class folders")
        return ImageData(*train[:2], *test[:2], train[2])
    if source.test_fraction is None:
        raise ValueError(f"imagefolder:{source.argument}: make train/ and test/ in it, or set test_fraction")
    return _held_out(*_read_folder(folder, source), fraction=source.test_fraction)


def _read_folder(folder: Path, source: Source) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    try:
        files = torchvision.datasets.ImageFolder(str(folder), transform=_square(source.image_size))
        images = torch.stack([image for image, _ in files])
    except OSError as error:  # an empty class, or a file that is no image
        raise ValueError(f"imagefolder:{source.argument}: {str(error).splitlines()[0]}") from None
    return images, torch.tensor(files.targets), tuple(files.classes)


def _square(size: int) -> Callable[[Any], Tensor]:
    """Shorter side to `size`, then the centre square, as float in [0, 1]."""
    return lambda image: TF.to_tensor(TF.center_crop(TF.resize(image, size, antialias=True), [size, size]))


def _held_out(images: Tensor, labels: Tensor, classes: tuple[str, ...], fraction: float) -> ImageData:
    """Hold out the same stratified share in every run."""
    from sklearn.model_selection import train_test_split  # as above

    try:
        train, test = train_test_split(range(len(labels)), test_size=fraction, stratify=labels, random_state=0)
    except ValueError as error:
        found = f"cannot hold out {fraction:g} of {len(labels)} images in {len(classes)} classes ({error})"
        raise ValueError(f"{found}; change test_fraction, or make train/ and test/") from None
    return ImageData(images[train], labels[train], images[test], labels[test], classes)


def _takes_no_argument(name: str, source: Source) -> None:
    if source.argument:
        raise ValueError(f"dataset {name!r} takes nothing behind a colon, so not {name}:{source.argument}")


def _torchvision_set(name: str, open_split: Callable[[str, bool, bool], Any]) -> Loader:
    def load(source: Source) -> ImageData:
        _takes_no_argument(name, source)
        if source.root is None:
            raise ValueError(f"dataset {name!r} needs --data-root DIR, and --download the first time")
        try:
            train, test = (open_split(str(source.root), part, source.download) for part in (True, False))
        except RuntimeError:
            raise ValueError(f"dataset {name!r} is not in {source.root}: add --download to fetch it") from None
        except OSError as error:
            raise ValueError(f"dataset {name!r} could not be read or fetched: {error}") from None
        return ImageData(*in_memory(train), *in_memory(test), _class_names(train))

    return load


def in_memory(dataset: Any) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1] as (N, C, H, W), and labels, of torchvision's array-backed data sets."""
    pixels = torch.as_tensor(dataset.data)
    labels = torch.as_tensor(dataset.targets if hasattr(dataset, "targets") else dataset.labels).long()
    if pixels.ndim == 3:  # MNIST and its kin: (N, H, W)
        pixels = pixels.unsqueeze(1)
    elif pixels.shape[-1] == 3:  # CIFAR: (N, H, W, C); SVHN is (N, C, H, W) already
        pixels = pixels.permute(0, 3, 1, 2)
    return pixels.float().div(255).contiguous(), labels


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
