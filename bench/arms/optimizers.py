"""What controls and rivals of the ascents step with: plain SGD with one thing changed, and MeZO as published."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


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


class MeZO(Optimizer):
    """The yardstick of the zeroth-order loop: Malladi et al., "Fine-Tuning Language Models with Just Forward Passes"
    (NeurIPS 2023), algorithm 1, written here from the paper, with the arguments of `zo_core.ZOSGD` that it has.

    The perturbation is drawn anew, as a whole Gaussian tensor for every parameter, in each of four passes: forth, to
    the other side, back, and update. Every pass makes new tensors and puts them in the parameters' place.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, *, eps: float, maximize: bool, seed: int) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "maximize": maximize})
        self._seeds = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One step of algorithm 1; returns the mean of the two losses."""
        seed = int(torch.randint(2**62, (), generator=self._seeds))
        self._add(seed, [group["eps"] for group in self.param_groups])
        plus = float(closure())
        self._add(seed, [-2 * group["eps"] for group in self.param_groups])
        minus = float(closure())
        self._add(seed, [group["eps"] for group in self.param_groups])
        self._add(seed, [_signed_rate(group) * (plus - minus) / (2 * group["eps"]) for group in self.param_groups])
        return (plus + minus) / 2

    def _add(self, seed: int, scales: list[float]) -> None:
        generators: dict[torch.device, torch.Generator] = {}
        for group, scale in zip(self.param_groups, scales, strict=True):
            for parameter in group["params"]:
                device = parameter.device
                if device not in generators:
                    generators[device] = torch.Generator(device).manual_seed(seed)
                z = torch.randn(parameter.shape, generator=generators[device], dtype=parameter.dtype, device=device)
                parameter.data = parameter.data + scale * z


def _signed_rate(group: dict[str, Any]) -> float:
    return float(group["lr"] if group["maximize"] else -group["lr"])
