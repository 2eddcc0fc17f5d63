"""Requests that name their samples: reading the list, finding them in the data, and the digest that names them."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from bench.base.paths import PROFILES
from bench.record import Erased, Sample
from bench.workloads.images.samples import ImageData
from zo_core.edge.device.forget_set import listed
from zo_core.edge.words import some_of


def read_list(path: Path) -> tuple[str, ...]:
    """The paths in a list, as `zo_core.edge` reads it; raises ValueError, which says `files:` as profiles do.

    It counts from where the command is run; one that is not there may come with the suite, beside its profiles.
    """
    ours = PROFILES / path
    try:
        return listed(ours if not path.exists() and ours.is_file() else path)
    except ValueError as error:
        raise ValueError(f"files:{error}") from None


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
