"""How the parameters lie in memory: flat views of them, in pieces that a perturbation can be added to."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]
Place = tuple[torch.UntypedStorage, int, int]  # storage, first element, number of elements


class Layout:
    """Flat views of the trainable parameters of every group, cut into pieces of at most `longest` elements.

    Memory that several parameters share (tied weights) is in it once, in the first group that has it.

    Attributes:
        chunks: the 1-D views, a list for each group.

    Raises:
        ValueError: a parameter is in half precision or not dense in memory, or two overlap in part.
    """

    def __init__(self, groups: Sequence[Group], longest: int) -> None:
        self._places = [[_place(parameter) for parameter in _trainable(group)] for group in groups]
        _refuse_overlaps({place for places in self._places for place in places})
        seen: set[Place] = set()
        self.chunks: list[list[Tensor]] = []
        for group in groups:
            self.chunks.append([])
            for parameter in _trainable(group):
                if (place := _place(parameter)) not in seen:
                    seen.add(place)
                    self.chunks[-1] += _flat(parameter).split(longest)

    def holds(self, groups: Sequence[Group]) -> bool:
        """Whether the same parameters are still to be trained, and still lie where they lay."""
        return self._places == [[_place(parameter) for parameter in _trainable(group)] for group in groups]


def count(groups: Sequence[Group]) -> int:
    """How many numbers the trainable parameters of all groups have."""
    return sum(parameter.numel() for group in groups for parameter in _trainable(group))


def _trainable(group: Group) -> Iterable[Tensor]:
    return (parameter for parameter in group["params"] if parameter.requires_grad and parameter.numel() > 0)


def _place(parameter: Tensor) -> Place:
    return parameter.untyped_storage(), int(parameter.storage_offset()), parameter.numel()


def _flat(parameter: Tensor) -> Tensor:
    """The parameter's elements in the order of memory: C order, channels last, or any other without gaps."""
    if parameter.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"ZOSGD needs float32 or float64 parameters, not {parameter.dtype}: in half precision they would drift by "
            "per cents with every hundred steps; call model.float()"
        )
    order = sorted(range(parameter.dim()), key=parameter.stride, reverse=True)
    try:
        flat = parameter.detach().permute(order).view(-1)
    except RuntimeError:
        flat = None
    if flat is None or (flat.numel() > 1 and flat.stride(0) != 1):
        raise ValueError("ZOSGD needs parameters without gaps: call parameter.data = parameter.data.contiguous()")
    return flat


def _refuse_overlaps(places: set[Place]) -> None:
    by_memory = sorted(places, key=lambda place: (id(place[0]), place[1]))
    for (storage, start, numbers), (next_storage, next_start, _) in pairwise(by_memory):
        if storage is next_storage and next_start < start + numbers:
            raise ValueError("two parameters overlap in memory without being the same: give the optimizer one of them")
