"""Requests that name their samples: reading the list, finding them in the data, and the digest that names them."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from bench.base.errors import some_of
from bench.record import Erased, Sample
from bench.workloads.images.samples import ImageData

COLUMN = "path"


def read_list(path: Path) -> tuple[str, ...]:
    """The paths in a list: one a line, or in the column `path` of a CSV file. Lines without anything do not count.

    Raises:
        ValueError: there is no such file, it is no text, it has no such column, or it is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"files:{path}: it is no text in UTF-8; write a path a line, or a CSV file") from None
    except OSError as error:
        raise ValueError(f"files:{path}: {error.strerror}; the list counts from where the command is run") from None
    paths = _column(path, text) if path.suffix.lower() == ".csv" else text.splitlines()
    found = tuple(one.strip() for one in paths if one.strip())
    if not found:
        raise ValueError(f"files:{path}: the list is empty, so there is nothing to forget")
    return found


def places(path: Path, data: ImageData) -> list[int]:
    """Where the samples of a list are in the training data, ascending.

    A path is as the data name it (`train/cat/1.jpg`), without `train/`, absolute, or counts from where the command is
    run.

    Raises:
        ValueError: a path is not in the training data, or twice in the list, or a class is what they are, or the same
            file is in the training data under another name, where it would be kept.
    """
    given = read_list(path)
    train, test = ({name: place for place, name in enumerate(part.names)} for part in (data.train, data.test))
    names = [
        next((name for name in _readings(one, data.folder) if name in train or name in test), None) for one in given
    ]
    _refuse(path, "are not in the data", [one for one, name in zip(given, names, strict=True) if name is None])
    known = [name for name in names if name is not None]
    _refuse(
        path, "are test images, from which nothing is to have been learned", [name for name in known if name in test]
    )
    _refuse(path, "are there more than once", [name for name, count in Counter(known).items() if count > 1])
    found = sorted(train[name] for name in known)
    _refuse_a_class(path, found, data)
    _refuse(path, "have copies that it does not name", _copied(found, data))
    return found


def erased(data: ImageData, forget: Tensor, target: float) -> Erased:
    """The samples at `forget` as a record names them; complete at a forget accuracy of `target` percent."""
    named = digest(samples(data, forget))
    return Erased(samples=len(forget), of=len(data.train), digest=named, target=target)


def digest(request: Iterable[Sample]) -> str:
    """SHA-256 over the lines that `sha256sum` would print of the samples' files."""
    return sha256("".join(f"{one.sha256}  {one.name}\n" for one in request).encode()).hexdigest()


def samples(data: ImageData, forget: Tensor) -> tuple[Sample, ...]:
    """The samples at `forget`, by name."""
    found = (Sample(name=data.train.names[place], sha256=data.train.sha256(place)) for place in forget.tolist())
    return tuple(sorted(found, key=lambda one: one.name))


def _column(path: Path, text: str) -> Iterable[str]:
    rows = csv.DictReader(text.splitlines())
    if COLUMN not in (rows.fieldnames or ()):
        columns = ", ".join(rows.fieldnames or ()) or "none"
        raise ValueError(f"files:{path}: it has no column {COLUMN!r}, but: {columns}")
    return [row[COLUMN] or "" for row in rows]


def _readings(given: str, folder: Path | None) -> Iterable[str]:
    """What a path of a list may be called in the data."""
    path = os.path.normpath(given.replace("\\", "/"))
    yield path
    yield f"train/{path}"
    if folder is not None:
        yield os.path.relpath(path, folder)


def _refuse(path: Path, what: str, names: Sequence[str]) -> None:
    if names:
        raise ValueError(f"files:{path}: {len(names)} of its paths {what}: {some_of(names)}")


def _copied(forget: Sequence[int], data: ImageData) -> list[str]:
    """Samples whose bytes are in the training data once more, each with the copy that would be kept."""
    asked = {data.train.sha256(place): data.train.names[place] for place in forget}
    kept = sorted(set(range(len(data.train))) - set(forget))
    copies = ((asked.get(data.train.sha256(place)), data.train.names[place]) for place in kept)
    return [f"{name} is {copy}" for name, copy in copies if name is not None]


def _refuse_a_class(path: Path, forget: Sequence[int], data: ImageData) -> None:
    """Raise ValueError if the samples are a class, no more and no less: its test data then count apart."""
    labels = data.train.labels
    label = int(labels[forget[0]])
    if set(forget) == set((labels == label).nonzero().flatten().tolist()):
        name = data.classes[label]
        raise ValueError(f"files:{path}: it names all of the class {name!r} and nothing else; write class:{name}")
