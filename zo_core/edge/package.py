"""A network as a folder that a device can run and change: graph, weights, pool of noise, and what they mean.

| file | holds |
|---|---|
| `graph.onnx` | the network without its weights, which are inputs of the graph |
| `weights.npy` | all parameters, one after the other, float32 |
| `pool.npy` | the numbers that directions are made of, float32 |
| `layout.json` | names and shapes of the parameters, preprocessing, hashes, versions |
"""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import file_digest
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np

from zo_core.edge.words import some_of
from zo_core.engine.flat import Numbers
from zo_core.receipt import layout_hash, numbers_hash

FORMAT, VERSION = "zo_core.edge package", 1
GRAPH, WEIGHTS, POOL, LAYOUT, RECEIPT = "graph.onnx", "weights.npy", "pool.npy", "layout.json", "receipt.json"
MOST_CLASSES = 20  # that a message names
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
IMAGES, LOGITS, FEATURES = "images", "logits", "features"  # of the graph


class PackageError(ValueError):
    """A package, or what was asked of it, that cannot be used; the message is one line."""


@dataclass(frozen=True)
class Parameter:
    """A parameter's name and shape, as the network has them."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)


@dataclass(frozen=True)
class Preprocessing:
    """What becomes of a picture before the network sees it.

    Attributes:
        channels: 1 for grey, 3 for red, green and blue.
        size: width and height of the square that the network takes, in pixels.
        resize: pixels of the shorter side, or height and width, before that square is cut out of the centre.
        interpolation: nearest, bilinear or bicubic, antialiased.
        mean, std: of each channel, in [0, 1]: subtracted, and divided by.
        background: red, green and blue that transparent pixels are laid on.
    """

    channels: int
    size: int
    resize: int | tuple[int, int]
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    background: tuple[int, int, int] = (255, 255, 255)

    def check(self) -> None:
        """Raise PackageError if pictures cannot be treated so."""
        if self.channels not in (1, 3):
            raise PackageError(f"images have 1 or 3 channels, not {self.channels}")
        if self.interpolation not in INTERPOLATIONS:
            choices = ", ".join(INTERPOLATIONS)
            raise PackageError(f"unknown interpolation {self.interpolation!r}; choose from: {choices}")
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        if isinstance(self.resize, tuple) and len(sides) != 2:
            raise PackageError(f"images are resized to their shorter side, or to height and width, not to {sides}")
        if not all(type(side) is int for side in (self.size, *sides)) or not 1 <= self.size <= min(sides):
            raise PackageError(f"no square of {self.size} pixels can be cut out of images resized to {self.resize}")
        numbers = self.mean + self.std
        if not (len(self.mean) == len(self.std) == self.channels and all(map(isfinite, numbers)) and min(self.std) > 0):
            raise PackageError(
                f"mean and std must be {self.channels} finite numbers each, std above 0: not {self.mean} and {self.std}"
            )
        if len(self.background) != 3 or not all(type(part) is int and 0 <= part < 256 for part in self.background):
            raise PackageError(f"background must be red, green and blue from 0 to 255, not {self.background}")


@dataclass(frozen=True)
class Head:
    """The last layer, where it is linear: names of its (classes, features) weight and its (classes,) bias."""

    weight: str
    bias: str | None


@dataclass(frozen=True)
class Layout:
    """What the numbers of a package mean.

    Attributes:
        parameters: in the order in which they lie in `weights.npy`.
        tails: for block, layer and stage, names of the parameters that such a tail moves; as `zo_core.ascent.tail` has
            them.
        head: the last layer; None where it is not linear.
        classes: their names, in the order of the logits.
        preprocessing: of pictures.
        sha256: of graph, weights and pool.
        versions: of what made the package, by name.
    """

    parameters: tuple[Parameter, ...]
    tails: Mapping[str, tuple[str, ...]]
    head: Head | None
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    sha256: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def numbers(self) -> int:
        """How many numbers all parameters have."""
        return sum(parameter.size for parameter in self.parameters)

    @property
    def hash(self) -> str:
        """Of names and shapes, as receipts have it."""
        return layout_hash((parameter.name, parameter.shape) for parameter in self.parameters)

    def moved(self, tail: str) -> tuple[str, ...]:
        """Names of the parameters that a tail moves; raises PackageError for a tail that there is none of."""
        if tail == "all":
            return tuple(parameter.name for parameter in self.parameters)
        if tail not in self.tails:
            raise PackageError(f"unknown tail {tail!r}; choose from: {', '.join(['all', *self.tails])}")
        return self.tails[tail]

    def views(self, weights: Numbers) -> dict[str, Numbers]:
        """Each parameter's part of `weights`, flat, by its name."""
        ends = np.cumsum([parameter.size for parameter in self.parameters]).tolist()
        names = [parameter.name for parameter in self.parameters]
        return dict(zip(names, np.split(weights, ends[:-1]), strict=True))

    def to_json(self) -> str:
        """As `layout.json` holds it."""
        return json.dumps({"format": FORMAT, "version": VERSION} | asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Read what `to_json` wrote; raises ValueError, KeyError or TypeError for anything else."""
        content = json.loads(text)
        if (content.pop("format"), content.pop("version")) != (FORMAT, VERSION):
            raise ValueError("another version")
        how, head = content.pop("preprocessing"), content.pop("head")
        layout = cls(
            parameters=tuple(Parameter(one["name"], tuple(one["shape"])) for one in content.pop("parameters")),
            tails={name: tuple(moved) for name, moved in content.pop("tails").items()},
            head=None if head is None else Head(**head),
            classes=tuple(content.pop("classes")),
            preprocessing=Preprocessing(**{name: _frozen(value) for name, value in how.items()}),
            **content,
        )
        layout._check()
        return layout

    def _check(self) -> None:
        """Raise ValueError for what no export writes; what is in the other files, their hashes say."""
        names = [parameter.name for parameter in self.parameters]
        sizes = [size for parameter in self.parameters for size in parameter.shape]
        named = [*names, *self.classes, *(name for moved in self.tails.values() for name in moved)]
        if self.head is not None:
            named += [self.head.weight] + ([] if self.head.bias is None else [self.head.bias])
        right = (
            all(isinstance(name, str) for name in named)
            and set(named) <= {*names, *self.classes}
            and len(set(names)) == len(names) > 0
            and all(type(size) is int and size >= 0 for size in sizes)
            and set(self.sha256) == {GRAPH, WEIGHTS, POOL}
            and isinstance(self.versions, dict)
        )
        if not right:
            raise ValueError("no export wrote this")
        self.preprocessing.check()


class Package:
    """A package in a folder.

    Args:
        folder: where it is.

    Raises:
        PackageError: it is none, not whole, or of another version.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        try:
            self.layout = Layout.from_json(self._path(LAYOUT).read_text(encoding="utf-8"))
        except OSError:
            raise PackageError(f"{folder}: no package, which `python -m zo_core.edge export` makes") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise PackageError(f"{folder}: {LAYOUT} is damaged, or of another version: export it again") from None

    @cached_property
    def graph(self) -> Path:
        """The graph's file, once its hash is found to be right."""
        path = self._path(GRAPH)
        try:
            with path.open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PackageError(f"{path}: {error.strerror}") from None
        self._check(GRAPH, found)
        return path

    def weights(self) -> Numbers:
        """(numbers,) float32, read anew."""
        return self._numbers(WEIGHTS)

    def pool(self) -> Numbers:
        """(3 N,) float32, read anew."""
        return self._numbers(POOL)

    def label(self, name: str) -> int:
        """The place of a class that is given by its name."""
        if name not in self.layout.classes:
            raise PackageError(f"unknown class {name!r}; the package has: {some_of(self.layout.classes, MOST_CLASSES)}")
        return self.layout.classes.index(name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works with the package meanwhile; raises PackageError if somebody does."""
        with self._path(LAYOUT).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise PackageError(f"{self.folder}: another erasure is at work on this package: wait for it") from None
            yield

    def _numbers(self, name: str) -> Numbers:
        path = self._path(name)
        numbers = read_numbers(path)
        self._check(name, numbers_hash(numbers))
        if name == WEIGHTS and len(numbers) != self.layout.numbers:
            raise PackageError(f"{path}: {len(numbers)} numbers, and not {self.layout.numbers} as {LAYOUT} says")
        return numbers

    def _check(self, name: str, found: str) -> None:
        if found != self.layout.sha256.get(name):
            raise PackageError(f"{self._path(name)}: not what {LAYOUT} says (its SHA-256 differs): export it again")

    def _path(self, name: str) -> Path:
        return self.folder / name


def read_numbers(path: Path) -> Numbers:
    """A 1-D float32 array from a file; raises PackageError."""
    try:
        numbers = np.load(path, allow_pickle=False)
    except OSError as error:
        raise PackageError(f"{path}: {error.strerror or error}") from None
    except MemoryError:
        raise
    except Exception:  # whatever a damaged header makes numpy say
        raise PackageError(f"{path}: truncated, or no numpy array") from None
    if not isinstance(numbers, np.ndarray) or numbers.ndim != 1 or numbers.dtype != np.float32:
        raise PackageError(f"{path}: no flat float32 array")
    return numbers


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
