"""From what a source has to what a network takes: chosen, decoded, resized, standardized.

Little data are kept as float32, so that a batch is drawn as fast as ever; of the rest the 8-bit pixels are kept, and
each batch is made of them when it is asked for.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from bench.base.sizes import MIB
from bench.profiles import Preprocessing
from bench.record import Inventory
from bench.workloads.images.folder import Files
from bench.workloads.images.inventory import by_reason, refuse_unreadable
from bench.workloads.images.pixels import CHANNELS, Chosen, Pixels, decode_all
from bench.workloads.images.preprocessing import square
from bench.workloads.images.samples import ImageData, Images, PerClass, RawData, Samples

MOST_AS_FLOATS = 256 * MIB
CHUNK = 16 * MIB  # of float32 at a time, where all images are gone through
FRAMES = "with more frames than the first, which is read"


@dataclass(frozen=True)
class Means:
    """How images are made.

    Attributes:
        scratch: folder for decoded pixels that are too many for memory.
        tell: is told, in a line, how far it is.
    """

    how: Preprocessing
    per_class: PerClass
    scratch: Path
    tell: Callable[[str], None]


@dataclass(frozen=True)
class Standardized:
    """Images that are made when they are asked for.

    Attributes:
        pixels: uint8, which become [0, 1], or floating point.
        shape: (N, C, size, size) of the images.
        mean, deviation: (C, 1, 1).
        resized: (n, C, H, W) to (n, C, size, size).
    """

    pixels: Pixels
    shape: torch.Size
    mean: Tensor
    deviation: Tensor
    resized: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: Tensor) -> Tensor:
        return (self.resized(_as_floats(self.pixels[places])) - self.mean) / self.deviation


@dataclass(frozen=True)
class _Part:
    """Training or test data before they are standardized; `shape` is that of one image, before it is `resized`."""

    pixels: Pixels
    shape: torch.Size
    labels: Tensor
    names: tuple[str, ...]
    sha256: Callable[[int], str]
    resized: Callable[[Tensor], Tensor]


def prepare(name: str, raw: RawData, size: int, means: Means) -> ImageData:
    """Make images of `size` x `size` pixels.

    Raises:
        ValueError: files cannot be read, a class has none, or the channels are not as many as the profile says.
    """
    how = means.how
    channels = CHANNELS if isinstance(raw.train_images, Files) else raw.train_images.shape[1]
    if how.mean is not None and len(how.mean) != channels:
        raise ValueError(f"data.mean has {len(how.mean)} numbers, and images of {name} have {channels} channels")
    left_out = dict(raw.left_out)
    if isinstance(raw.train_images, Files):
        train, test = _of_files(name, raw, size, means, left_out)
    else:
        train, test = _of_tensors(raw, size, means)
    mean, deviation = _moments(train) if how.mean is None else (torch.tensor(how.mean), torch.tensor(how.std))
    small = 4 * channels * size * size * (len(train.labels) + len(test.labels)) <= MOST_AS_FLOATS

    def samples(part: _Part) -> Samples:
        shape = torch.Size((len(part.labels), channels, size, size))
        images = Standardized(part.pixels, shape, mean.view(-1, 1, 1), deviation.view(-1, 1, 1), part.resized)
        return Samples(_made(images) if small else images, part.labels, part.names, part.sha256)

    inventory = Inventory(
        dataset=name,
        train=_counts(train.labels, raw.classes),
        test=_counts(test.labels, raw.classes),
        left_out={reason: tuple(names) for reason, names in left_out.items()},
    )
    return ImageData(samples(train), samples(test), raw.classes, inventory, how, raw.folder)


def _of_tensors(raw: RawData, size: int, means: Means) -> tuple[_Part, _Part]:
    def part(name: str, images: Tensor, labels: Tensor, some: int | tuple[int, int] | None) -> _Part:
        places = _some(labels, some)
        pixels = images if some is None else images[places]
        return _Part(
            pixels,
            images.shape[1:],
            labels[places],
            tuple(f"{name}/{place:05d}" for place in places.tolist()),
            lambda place: hashlib.sha256(pixels[place].contiguous().numpy().data).hexdigest(),
            partial(square, size=size, how=means.how),
        )

    assert isinstance(raw.train_images, Tensor)
    assert isinstance(raw.test_images, Tensor)
    return (
        part("train", raw.train_images, raw.train_labels, means.per_class.train),
        part("test", raw.test_images, raw.test_labels, means.per_class.test),
    )


def _of_files(name: str, raw: RawData, size: int, means: Means, left_out: dict[str, list[str]]) -> tuple[_Part, _Part]:
    """Decoded squares; `left_out` is told of files that cannot be read and of frames that are not."""
    assert isinstance(raw.train_images, Files)
    assert isinstance(raw.test_images, Files)
    train, test = _some(raw.train_labels, means.per_class.train), _some(raw.test_labels, means.per_class.test)
    files = raw.train_images[train] + raw.test_images[test]
    labels = torch.cat([raw.train_labels[train], raw.test_labels[test]])
    found = decode_all(files, size, means.how, means.scratch, means.tell)
    unreadable = {**raw.unreadable, **{files.names[place]: found.reasons[place] for place in sorted(found.reasons)}}
    if not means.how.skip_unreadable:
        refuse_unreadable(name, unreadable)
    left_out |= {f"unreadable, {reason}": names for reason, names in by_reason(unreadable).items()}
    if found.animated:
        left_out[FRAMES] = found.animated

    def part(places: range) -> _Part:
        kept = torch.tensor([place for place in places if place not in found.reasons], dtype=torch.int64)
        hashes = [found.sha256[place] for place in kept.tolist()]
        return _Part(
            Chosen(found.pixels, kept),
            torch.Size((CHANNELS, size, size)),
            labels[kept],
            files[kept].names,
            hashes.__getitem__,
            lambda pixels: pixels,
        )

    parts = part(range(len(train))), part(range(len(train), len(files)))
    if not len(parts[1].labels):
        raise ValueError(f"{name}: there are no test images that can be read")
    check_filled(name, parts[0].labels, raw.classes)
    return parts


def check_filled(name: str, labels: Tensor, classes: tuple[str, ...]) -> None:
    """Raise ValueError unless every class has a sample."""
    empty = [label for label, count in _counts(labels, classes).items() if not count]
    if empty:
        raise ValueError(f"{name}: no images to train on in the class folders: {', '.join(empty)}; remove them")


def _some(labels: Tensor, some: int | tuple[int, int] | None) -> Tensor:
    """Places of the samples of each class that `PerClass` names, in their order."""
    places = torch.arange(len(labels))
    if some is None:
        return places
    part = slice(*some) if isinstance(some, tuple) else slice(some)
    return torch.cat([places[:0], *(places[labels == label][part] for label in labels.unique())]).sort().values


def _counts(labels: Tensor, classes: tuple[str, ...]) -> dict[str, int]:
    return dict(zip(classes, labels.bincount(minlength=len(classes)).tolist(), strict=False))


def _as_floats(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels.float()


def _chunks(count: int, shape: torch.Size) -> Iterator[Tensor]:
    yield from torch.arange(count).split(max(1, CHUNK // (4 * shape.numel())))


def _moments(part: _Part) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over all images, (C,) float32, from sums in float64."""
    total, squares = torch.zeros(2, part.shape[0], dtype=torch.float64)
    for places in _chunks(len(part.labels), part.shape):
        values = _as_floats(part.pixels[places]).double()
        total += values.sum((0, 2, 3))
        squares += values.square_().sum((0, 2, 3))
    count = len(part.labels) * part.shape[1:].numel()
    mean = total / count
    variance = (squares - count * mean.square()) / max(1, count - 1)
    return mean.float(), variance.clamp_min(0).sqrt().clamp_min(1e-6).float()


def _made(images: Images) -> Tensor:
    """All of them at once."""
    made = torch.empty(images.shape)
    for places in _chunks(len(images), images.shape[1:]):
        made[places] = images[places]
    return made
