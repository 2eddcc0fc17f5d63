"""A receipt's steps, taken again on a torch model."""

import numpy as np
import torch
from torch import nn

from zo_core.engine.flat import Numbers
from zo_core.noise import PortableNoise
from zo_core.receipt import Receipt, ReceiptError, differences, layout_hash, numbers_hash, replay_on


def replay(model: nn.Module, receipt: Receipt, pool: Numbers | None = None) -> None:
    """Give the model the weights that an erasure came to, without its data: to the bit, or not at all.

    Args:
        model: with the weights that the erasure began with, as `named_parameters` has them, float32.
        pool: (3 N,) float32, of the package that the erasure ran from; made here if not given.

    Raises:
        ReceiptError: the model, its weights or the pool are others, or the receipt cannot be replayed. The model is
            unchanged then.
    """
    named = dict(model.named_parameters())
    if any(parameter.dtype != torch.float32 for parameter in named.values()):
        raise ReceiptError("the model's parameters must be float32: call model.float()")
    flat = np.concatenate([parameter.detach().cpu().numpy().reshape(-1) for parameter in named.values()])
    ends = np.cumsum([parameter.numel() for parameter in named.values()]).tolist()
    views = dict(zip(named, np.split(flat, ends[:-1]), strict=True))
    numbers = PortableNoise(receipt.settings.get("seed", 0), len(flat)).pool().numpy() if pool is None else pool
    layout = layout_hash((name, parameter.shape) for name, parameter in named.items())
    _check(receipt, layout=layout, pool=numbers_hash(numbers), before=numbers_hash(flat))
    replay_on(views, numbers, receipt)
    _check(receipt, after=numbers_hash(flat))
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(torch.from_numpy(views[name]).view(parameter.shape))


def _check(receipt: Receipt, **found: str) -> None:
    if wrong := differences(receipt, **found):
        raise ReceiptError(f"not what the receipt was made with: {', '.join(wrong)}; the model is unchanged")
