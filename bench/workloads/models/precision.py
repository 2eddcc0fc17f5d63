"""Passes in half precision over float32 parameters: torch's autocast, entered and left by hooks of the network.

So it holds wherever the network is called, its state dict keeps its keys, and the backward pass is outside, as it
should be. Autocast's cache of cast weights is off: it would keep a second copy of them all through a pass, to save
casting a weight again that is used twice in it.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bench.record import Dtype
from bench.workloads.models.outputs import ModelError

HALF = {torch.bfloat16, torch.float16}


def run_in(name: str, model: nn.Module, dtype: Dtype) -> None:
    """Keep the model's parameters in float32, and have its passes run in `dtype`.

    Args:
        name: of the model, for the message.

    Raises:
        ModelError: the parameters are not in float32, and `dtype` is.
    """
    others = {tensor.dtype for tensor in _floating(model)} - {torch.float32}
    if others and (dtype == "float32" or not others <= HALF):
        found = str(next(iter(others))).removeprefix("torch.")
        way = f', or give the profile\'s table dtype = "{found}"' if others <= HALF else ""
        raise ModelError(f"model {name!r} has {found} parameters, where images are float32: build it in float32{way}")
    if others:
        model.float()
    if dtype != "float32":
        passes = _Autocast(getattr(torch, dtype))
        model.register_forward_pre_hook(passes.enter)
        model.register_forward_hook(passes.leave, always_call=True)


def _floating(model: nn.Module) -> list[Tensor]:
    return [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]


class _Autocast:
    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._entered: list[AbstractContextManager[Any]] = []

    def enter(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        device = inputs[0].device.type
        context: AbstractContextManager[Any]
        context = nullcontext() if device == "meta" else torch.autocast(device, self._dtype, cache_enabled=False)
        context.__enter__()
        self._entered.append(context)

    def leave(self, *_: Any) -> None:
        if self._entered:  # else the network was called with nothing, or on a device without autocast
            self._entered.pop().__exit__(None, None, None)
