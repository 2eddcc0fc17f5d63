"""How the parameters lie in memory: flat views of them, in pieces that a perturbation can be added to."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]
Extent = tuple[torch.UntypedStorage, int, int, torch.dtype]  # storage, first byte, one past the last, what they mean


class Layout:
    """Flat views of the trainable parameters of every group, cut into pieces of at most `longest` elements.

    Memory that several parameters share (tied weights) is in it once, in the first group that has it. The views keep
    the memory alive, also when the parameters have been moved elsewhere, until there is a new layout.

    Attributes:
        chunks: the 1-D views, a list for each group.
        accelerators: the devices other than the CPU that they lie on.

    Raises:
        ValueError: a parameter is not float32 or float64 or not dense in memory, or two overlap in part.
    """

    def __init__(self, groups: Sequence[Group], longest: int) -> None:
        self._places = _places(groups)
        self.chunks: list[list[Tensor]] = []
        seen: set[Extent] = set()
        for group in groups:
            self.chunks.append([])
            for parameter in _trainable(group):
                flat = _flat(parameter)
                if (extent := _extent(flat)) not in seen:
                    seen.add(extent)
                    self.chunks[-1] += flat.split(longest)
        _refuse_overlaps(seen)
        devices = dict.fromkeys(chunk.device for chunks in self.chunks for chunk in chunks)
        self.accelerators = [device for device in devices if device.type not in ("cpu", "meta")]

    def holds(self, groups: Sequence[Group]) -> bool:
        """Whether the same parameters are still to be trained, and still lie where they lay."""
        return self._places == _places(groups)


def count(groups: Sequence[Group]) -> int:
    """How many numbers the trainable parameters of all groups have."""
    return sum(parameter.numel() for group in groups for parameter in _trainable(group))


def _trainable(group: Group) -> Iterator[Tensor]:
    return (parameter for parameter in group["params"] if parameter.requires_grad and parameter.numel() > 0)


def _places(groups: Sequence[Group]) -> list[list[tuple[Any, ...]]]:
    return [
        [(p.untyped_storage(), p.storage_offset(), p.numel(), p.stride(), p.dtype) for p in _trainable(group)]
        for group in groups
    ]


def _flat(parameter: Tensor) -> Tensor:
    """The parameter's elements in the order of memory: C order, channels last, or any other without gaps."""
    if parameter.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"ZOSGD needs float32 or float64 parameters, not {parameter.dtype} (half precision would drift by per "
            "cents with every hundred steps): call model.float()"
        )
    order = sorted(range(parameter.dim()), key=parameter.stride, reverse=True)
    try:
        flat = parameter.detach().permute(order).view(-1)
    except RuntimeError:
        flat = None
    if flat is None or (flat.numel() > 1 and flat.stride(0) != 1):
        raise ValueError("ZOSGD needs parameters without gaps: call parameter.data = parameter.data.contiguous()")
    return flat


def _extent(flat: Tensor) -> Extent:
    start = int(flat.storage_offset()) * flat.element_size()
    return flat.untyped_storage(), start, start + flat.nbytes, flat.dtype


def _refuse_overlaps(extents: set[Extent]) -> None:
    in_order = sorted(extents, key=lambda extent: (id(extent[0]), extent[1]))
    for (storage, _, end, _), (next_storage, next_start, _, _) in pairwise(in_order):
        if storage is next_storage and next_start < end:
            raise ValueError("two parameters overlap in memory without being the same: give the optimizer one of them")
