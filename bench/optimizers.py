"""Plain SGD with one thing changed: what the controls and the rivals of the ascents step with."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class ClippedSGD(torch.optim.SGD):
    """SGD on a gradient whose norm is clipped at `max_norm` (Pascanu et al. 2013, "On the difficulty of training
    recurrent neural networks", algorithm 1).
    """

    def __init__(self, params: Iterable[Tensor], lr: float, *, max_norm: float, maximize: bool) -> None:
        super().__init__(params, lr=lr, maximize=maximize)
        self.max_norm = max_norm

    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One step; `closure` backpropagates and returns the loss."""
        with torch.enable_grad():
            loss = float(closure())
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.max_norm)
        super().step()
        return loss


class MaskedSGD(torch.optim.SGD):
    """SGD that changes only what `masks` select: a bool tensor for each of `params`, of its shape."""

    def __init__(self, params: Iterable[Tensor], lr: float, *, masks: Iterable[Tensor]) -> None:
        super().__init__(params, lr=lr)
        for parameter, mask in zip(self.param_groups[0]["params"], masks, strict=True):
            self.state[parameter]["mask"] = mask

    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One step; `closure` backpropagates and returns the loss."""
        with torch.enable_grad():
            loss = float(closure())
        for parameter, state in self.state.items():
            if parameter.grad is not None:
                parameter.grad.mul_(state["mask"])
        super().step()
        return loss
