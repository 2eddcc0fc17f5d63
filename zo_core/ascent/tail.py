"""How much of a network an arm moves, counted from the output backwards: a tail of its blocks.

A block is a module of layers that belong together (a residual block, an encoder layer, an inverted residual) or, where
there is none around it, a layer with weights; with the norms behind it, up to the next block. What merely holds blocks
is walked into: `nn.Sequential` and its kin, what holds several such modules in a row, as torchvision's `Encoder` does,
and whatever the head is in. Blocks follow each other in the order of registration, as the layers of `head` do.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Literal

from torch import nn

Tail = Literal["all", "stage", "block", "layer"]
CONTAINERS = nn.Sequential | nn.ModuleList | nn.ModuleDict
STAGE = 0.25  # of the blocks before the head: one of the four stages that residual networks have

Parameters = list[nn.Parameter]


def head(model: nn.Module) -> nn.Module:
    """The classifier's last layer: the last linear or convolutional one in the order of registration.

    Raises:
        ValueError: the model has no such layer.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear or convolutional layer to be its head")
    return layers[-1]


def move_only(model: nn.Module, tail: Tail) -> None:
    """Freeze all parameters but those of the tail; what is frozen already stays so.

    Raises:
        ValueError: nothing is left that could move, or the model has no head.
    """
    if tail == "all":
        return
    moving = set(tail_of(model, tail))
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and parameter in moving)
    if not any(parameter.requires_grad for parameter in moving):
        raise ValueError(f"all of the {tail} that is to move is frozen: give a longer tail")


def tail_of(model: nn.Module, tail: Tail) -> Parameters:
    """The parameters of the tail, each of them once: those of the head (layer), and of the last block before it
    (block), or of the last quarter of the blocks before it, rounded, but one at least (stage), or all there are.

    Raises:
        ValueError: the model has no head.
    """
    if tail == "all":
        return list(model.parameters())
    last = head(model)
    if tail == "layer":
        return list(last.parameters())
    blocks = list(_blocks(model, last))
    before = max(place for place, block in enumerate(blocks) if any(p is last.weight for p in block))
    several = max(1, int(STAGE * before + 0.5)) if tail == "stage" else 1
    return list(dict.fromkeys(chain.from_iterable(blocks[max(0, before - several) :])))


def _blocks(model: nn.Module, last: nn.Module) -> Iterator[Parameters]:
    """The parameters of block after block; what is no block itself is with the one before it."""
    block: Parameters = []
    begun = False
    for part, is_block in _parts(model, last):
        if is_block and begun:
            yield block
            block = []
        begun = begun or is_block
        block += part
    yield block


def _parts(module: nn.Module, last: nn.Module) -> Iterator[tuple[Parameters, bool]]:
    """The parameters of what is not walked into, as it is registered, and whether it has a weight, and is a block."""
    if module is last or not (_holds_blocks(module) or any(inner is last for inner in module.modules())):
        yield list(module.parameters()), _weights(module) > 0
        return
    yield list(module.parameters(recurse=False)), False
    for child in module.children():
        yield from _parts(child, last)


def _holds_blocks(module: nn.Module) -> bool:
    """Whether it is a container, or there is one in it with several modules of several layers each."""
    containers = (inner for inner in module.modules() if isinstance(inner, CONTAINERS))
    several = any(sum(_weights(item) > 1 for item in _items(held)) > 1 for held in containers)
    return isinstance(module, CONTAINERS) or several


def _items(container: nn.Module) -> Iterator[nn.Module]:
    """What is in a container, and in the containers in it."""
    for child in container.children():
        yield from _items(child) if isinstance(child, CONTAINERS) else [child]


def _weights(module: nn.Module) -> int:
    """How many weights are in it; scales, shifts and biases are vectors."""
    return sum(parameter.dim() > 1 for parameter in module.parameters())
