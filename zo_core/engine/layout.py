"""How the parameters lie in memory: flat views of them, in pieces that a perturbation can be added to."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from zo_core.engine.cuts import pieces

Group = dict[str, Any]
Extent = tuple[torch.UntypedStorage, int, int, torch.dtype]  # storage, first byte, one past the last, what they mean


class Block:
    """A share of all trainable numbers.

    Args:
        groups: how many there are.

    Attributes:
        chunks: 1-D views of it, a list for each group.
        parameters: those that it has a part of.
    """

    def __init__(self, groups: int) -> None:
        self.chunks: list[list[Tensor]] = [[] for _ in range(groups)]
        self.parameters: list[Tensor] = []
        # whose each chunk is, and from where
        self._places: list[list[tuple[Tensor, int]]] = [[] for _ in range(groups)]

    def add(self, group: int, parameter: Tensor, flat: Tensor, first: int, numbers: int) -> None:
        """Give it so many numbers of a parameter, whose view is `flat`."""
        self.chunks[group].append(flat[first : first + numbers])
        self._places[group].append((parameter, first))
        if not self.parameters or self.parameters[-1] is not parameter:
            self.parameters.append(parameter)

    def gradients(self) -> list[list[Tensor]]:
        """What `chunks` is, of `.grad`, which is made, of zeros, where there is none."""
        flats = {parameter: _flat_gradient(parameter) for parameter in self.parameters}
        return [
            [
                flats[parameter][first : first + chunk.numel()]
                for chunk, (parameter, first) in zip(chunks, places, strict=True)
            ]
            for chunks, places in zip(self.chunks, self._places, strict=True)
        ]


class Layout:
    """Flat views of the trainable parameters of every group, cut into equal blocks and these into pieces.

    Memory that several parameters share (tied weights) is in it once, in the first group that has it. The views keep
    the memory alive, also when the parameters have been moved elsewhere, until there is a new layout.

    Args:
        longest: elements a piece.
        blocks: how many.

    Attributes:
        blocks: contiguous in the order of registration, and equally large but for one element.
        accelerators: the devices other than the CPU that they lie on.

    Raises:
        ValueError: a parameter is not float32 or float64 or not dense in memory, or two overlap in part; or there are
            more blocks than numbers.
    """

    def __init__(self, groups: Sequence[Group], longest: int, blocks: int = 1) -> None:
        self._places = _places(groups)
        flats = _flats(groups)
        self.blocks = [Block(len(groups)) for _ in range(blocks)]
        for piece in pieces([flat.numel() for _, _, flat in flats], longest, blocks):
            group, parameter, flat = flats[piece.parameter]
            self.blocks[piece.block].add(group, parameter, flat, piece.first, piece.numbers)
        devices = dict.fromkeys(flat.device for _, _, flat in flats)
        self.accelerators = [device for device in devices if device.type not in ("cpu", "meta")]

    def holds(self, groups: Sequence[Group]) -> bool:
        """Whether the same parameters are still to be trained, and still lie where they lay."""
        return self._places == _places(groups)


def count(groups: Sequence[Group]) -> int:
    """How many numbers the trainable parameters of all groups have."""
    return sum(parameter.numel() for group in groups for parameter in _trainable(group))


def _flats(groups: Sequence[Group]) -> list[tuple[int, Tensor, Tensor]]:
    """Group, parameter and flat view of every piece of memory, once."""
    flats: list[tuple[int, Tensor, Tensor]] = []
    seen: set[Extent] = set()
    for index, group in enumerate(groups):
        for parameter in _trainable(group):
            flat = _flat(parameter)
            if (extent := _extent(flat)) not in seen:
                seen.add(extent)
                flats.append((index, parameter, flat))
    _refuse_overlaps(seen)
    return flats


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
    try:
        flat = parameter.detach().permute(_order(parameter)).view(-1)
    except RuntimeError:
        flat = None
    if flat is None or (flat.numel() > 1 and flat.stride(0) != 1):
        raise ValueError("ZOSGD needs parameters without gaps: call parameter.data = parameter.data.contiguous()")
    return flat


def _flat_gradient(parameter: Tensor) -> Tensor:
    """`.grad`, element for element as `_flat` has the parameter; one that lies otherwise becomes one that does so."""
    order = _order(parameter)
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    elif not parameter.grad.permute(order).is_contiguous():
        parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)
    return parameter.grad.detach().permute(order).view(-1)


def _order(parameter: Tensor) -> list[int]:
    """The dimensions, from the one with the largest steps in memory to that with the smallest."""
    return sorted(range(parameter.dim()), key=parameter.stride, reverse=True)


def _extent(flat: Tensor) -> Extent:
    start = int(flat.storage_offset()) * flat.element_size()
    return flat.untyped_storage(), start, start + flat.nbytes, flat.dtype


def _refuse_overlaps(extents: set[Extent]) -> None:
    in_order = sorted(extents, key=lambda extent: (id(extent[0]), extent[1]))
    for (storage, _, end, _), (next_storage, next_start, _, _) in pairwise(in_order):
        if storage is next_storage and next_start < end:
            raise ValueError("two parameters overlap in memory without being the same: give the optimizer one of them")
