"""Scenarios: which training samples are to be forgotten, and what is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from bench.base.seeds import generator
from bench.workloads.images.samples import ImageData, Images
from bench.workloads.requests import places, read_list

FORMS = (
    "class:K (a name or an index), random:F (a fraction between 0 and 1), random:N (a number of samples) or files:LIST "
    "(a text or CSV file with paths)"
)


@dataclass(frozen=True)
class Split:
    """Indices into the training data, and which test data count.

    Attributes:
        forget, retain: (N,) int64 indices; together every training sample once.
        test: (N,) int64 indices into the test data; a class scenario leaves the class out.
        unseen: (N,) int64 indices of the test data that are of the forget set's kind: the class's, or all of them.
        forgotten_class: the label of a class scenario, else None.
    """

    forget: Tensor
    retain: Tensor
    test: Tensor
    unseen: Tensor
    forgotten_class: int | None

    def evaluating(self, retain: int | None, seed: int) -> "Split":
        """The same with so many of the retain set's samples, drawn by `seed`; all of them for None."""
        drawing = generator(seed, "evaluation")
        return replace(self, retain=_some(self.retain, retain, drawing))

    def following(self, each: int | None, seed: int) -> "Split":
        """The same with at most so many samples of each set, drawn by `seed`, and none of the unseen ones; itself for
        None.
        """
        if each is None:
            return self
        drawing = generator(seed, "following")
        forget, retain, test = (_some(places, each, drawing) for places in (self.forget, self.retain, self.test))
        return replace(self, forget=forget, retain=retain, test=test, unseen=self.unseen[:0])


def check_scenario(scenario: str) -> None:
    """Raise ValueError unless `scenario` has one of the known forms, and its list can be read; no data are needed."""
    kind, _, value = scenario.partition(":")
    known = {"class": bool(value), "files": bool(value), "random": _is_share(value) or _is_number(value)}
    if not known.get(kind):
        raise ValueError(f"unknown scenario {scenario!r}; write {FORMS}")
    if kind == "files":
        read_list(Path(value))


def split(data: ImageData, scenario: str, seed: int) -> Split:
    """Split the training data by scenario; `seed` picks the samples of `random:`.

    Raises:
        ValueError: the scenario has no known form, or names a class or samples that are not in the data.
    """
    check_scenario(scenario)
    kind, _, value = scenario.partition(":")
    if kind == "class":
        label = _label(data.classes, value)
        forget, test = data.train.labels == label, data.test.labels != label
        return Split(_where(forget), _where(~forget), _where(test), _where(~test), label)
    everything = torch.arange(len(data.test))
    forget = torch.zeros(len(data.train), dtype=torch.bool)
    forget[places(Path(value), data) if kind == "files" else _drawn(value, len(forget), seed)] = True
    return Split(_where(forget), _where(~forget), everything, everything, None)


def some_of_each(labels: Tensor, among: Tensor, shots: int, classes: int, drawing: torch.Generator) -> list[Tensor]:
    """Places of so many samples of each class, or fewer where there are fewer; the fewer are the first of the more.

    Args:
        labels: of all samples.
        among: (n,) places of those that may be drawn.
    """
    order = among[torch.randperm(len(among), generator=drawing)]
    return [order[labels[order] == label][:shots] for label in range(classes)]


def batches_once(
    images: Images, labels: Tensor, indices: Tensor, batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every sample at `indices` once, in their order; the last batch may be smaller than the others."""
    for batch in indices.split(batch_size):
        yield images[batch].to(device), labels[batch].to(device)


def endless_batches(
    images: Images,
    labels: Tensor,
    indices: Tensor,
    batch_size: int,
    order: torch.Generator,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches over `indices` without end, as `endless_places` has them.

    Yields:
        ((batch_size, C, H, W), (batch_size,)) on `device`.
    """
    for batch in endless_places(indices, batch_size, order):
        yield images[batch].to(device), labels[batch].to(device)


def endless_places(indices: Tensor, batch_size: int, order: torch.Generator) -> Iterator[Tensor]:
    """(batch_size,) of `indices` without end: every one once before any comes again, each round shuffled anew.

    Every batch is full, also where the samples do not divide evenly: it then reaches into the next round.

    Args:
        order: decides which sample comes when; see `bench.base.seeds`.
    """
    queue = indices[:0]
    while True:
        while len(queue) < batch_size:
            queue = torch.cat([queue, indices[torch.randperm(len(indices), generator=order)]])
        batch, queue = queue[:batch_size], queue[batch_size:]
        yield batch


def _label(classes: tuple[str, ...], value: str) -> int:
    if value in classes:
        return classes.index(value)
    by_place = not any(map(_is_numeral, classes))  # class:1 would mean the folder 1 or 1.0, and class:0 it, too
    if by_place and value.isdecimal() and int(value) < len(classes):
        return int(value)
    rule = "" if by_place else "; with numbers for names, only names count"
    raise ValueError(f"scenario class:{value}: no such class in the data; choose from: {', '.join(classes)}{rule}")


def _drawn(value: str, count: int, seed: int) -> Tensor:
    """Which of `count` samples `seed` picks: a share of them, or so many."""
    order = torch.randperm(count, generator=generator(seed, "split"))
    return order[: int(value) if _is_number(value) else max(1, round(float(value) * count))]


def _some(places: Tensor, most: int | None, drawing: torch.Generator) -> Tensor:
    """So many of them, in their order."""
    order = torch.randperm(len(places), generator=drawing)
    return places[order[:most].sort().values]


def _where(mask: Tensor) -> Tensor:
    return mask.nonzero().flatten()


def _is_number(value: str) -> bool:
    return value.isdecimal() and int(value) > 0


def _is_numeral(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _is_share(value: str) -> bool:
    try:
        return 0 < float(value) < 1
    except ValueError:
        return False
