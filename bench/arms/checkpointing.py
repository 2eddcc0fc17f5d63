"""Activation checkpointing for any image classifier: what an engineer tries before giving gradients up.

Only the inputs of blocks are kept for the backward pass; what lies within is computed again. A layer made of layers
(a residual block, an encoder layer) is a block, and a run of n simple layers is cut into about sqrt(n) of them (Chen
et al., "Training Deep Nets with Sublinear Memory Cost", 2016).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zo_core import Objective

Forward = Callable[..., Any]
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def checkpointed(objective: Objective) -> Objective:
    """`objective`, its graph holding the inputs of the model's blocks alone; the model must be in eval mode.

    Where gradients are disabled nothing is kept anyway, and the objective is just evaluated. A block that begins by
    working in place on its input cannot be computed again: torch says so in a RuntimeError.
    """

    def over_blocks(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        with _checkpointed_blocks(model):
            return objective(model, inputs, targets)

    return over_blocks


@contextmanager
def _checkpointed_blocks(model: nn.Module) -> Iterator[None]:
    whole = [model] if type(model) is nn.Sequential else model.children()
    patched = dict(_checkpointed_forwards(whole))
    before = {module: vars(module).get("forward") for module in patched}
    try:
        for module, forward in patched.items():
            module.forward = forward
        yield
    finally:
        for module, former in before.items():
            if former is None:
                vars(module).pop("forward", None)
            else:
                module.forward = former


def _checkpointed_forwards(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Module, Forward]]:
    """The modules to be patched and what their forward becomes; what is inside them stays as it is."""
    for module in modules:
        if type(module) is nn.Sequential:
            yield module, partial(_run, list(_segments(module)))
        elif any(type(inner) in CONTAINERS for inner in module.modules()):
            yield from _checkpointed_forwards(module.children())
        elif any(module.children()):
            yield module, partial(_recomputed, module.forward)


def _run(segments: list[Forward], value: Tensor) -> Tensor:
    for segment in segments:
        value = _recomputed(segment, value)
    return value


def _recomputed(forward: Forward, *arguments: Any, **named: Any) -> Any:
    return checkpoint(forward, *arguments, use_reentrant=False, preserve_rng_state=False, **named)


def _segments(sequence: nn.Sequential) -> Iterator[Forward]:
    """The sequence in pieces; none begins with an in-place layer, which would overwrite what is kept for it."""
    pieces: list[list[nn.Module]] = []
    for composite, layers in groupby(_flattened(sequence), key=lambda layer: any(layer.children())):
        run = list(layers)
        length = 1 if composite else math.ceil(math.sqrt(len(run)))
        for place, layer in enumerate(run):
            if pieces and (place % length or getattr(layer, "inplace", False)):
                pieces[-1].append(layer)
            else:
                pieces.append([layer])
    return (nn.Sequential(*piece) for piece in pieces)


def _flattened(sequence: nn.Sequential) -> Iterator[nn.Module]:
    for layer in sequence:
        if type(layer) is nn.Sequential:
            yield from _flattened(layer)
        else:
            yield layer
