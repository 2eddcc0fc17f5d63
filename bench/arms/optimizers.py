"""What else than the ascents steps: SGD with one thing changed, MeZO as published, and optimizers that take the
zeroth-order estimate for a gradient.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zo_core import ZOSGD, Noise


def fused(parameters: Iterable[Tensor]) -> bool:
    """Whether torch's optimizers are to step such parameters by their fused kernel: on a GPU.

    Left to itself torch takes the one there that negates all gradients at once to go up, or adds decay to them, in new
    tensors: as much memory again as the gradients have.
    """
    return any(parameter.is_cuda for parameter in parameters)


class ClippedSGD(torch.optim.SGD):
    """SGD on a gradient whose norm is clipped at `max_norm` (Pascanu et al. 2013, "On the difficulty of training
    recurrent neural networks", algorithm 1).
    """

    def __init__(self, params: Iterable[Tensor], lr: float, *, max_norm: float, maximize: bool) -> None:
        moving = list(params)
        super().__init__(moving, lr=lr, maximize=maximize, fused=fused(moving))
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
        moving = list(params)
        super().__init__(moving, lr=lr, fused=fused(moving))
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


class FusedSGD(Optimizer):
    """SGD without momentum that moves each parameter, and frees its gradient, while the loss is still backpropagated
    (Lv et al. 2023, "Full Parameter Fine-tuning for Large Language Models with Limited Resources": LOMO).
    """

    def __init__(self, params: Iterable[Tensor], lr: float, *, maximize: bool) -> None:
        super().__init__(params, {"lr": lr, "maximize": maximize})

    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One step; `closure` backpropagates and returns the loss."""
        hooks = [
            parameter.register_post_accumulate_grad_hook(partial(_move, _signed_rate(group)))
            for group in self.param_groups
            for parameter in filter(_moves, group["params"])
        ]
        try:
            with torch.enable_grad():
                return float(closure())
        finally:
            for hook in hooks:
                hook.remove()


class SignSGD(torch.optim.SGD):
    """SGD on the signs of the gradient (Bernstein et al. 2018, "signSGD: Compressed Optimisation for Non-Convex
    Problems", algorithm 1).
    """

    def step(self) -> None:  # type: ignore[override]
        """One step along the signs of the gradients that are there, which become their signs."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.sign_()
        super().step()


class OnEstimate(Optimizer):
    """A first-order optimizer that is handed the zeroth-order estimate g z in the place of a gradient, as the variants
    of ZO-Bench are (Zhang et al. 2024, "Revisiting Zeroth-Order Optimization for Memory-Efficient LLM Fine-Tuning: A
    Benchmark"). The gradients, and what `inner` keeps, cost the memory that `ZOSGD` alone saves.

    Args:
        estimator: of the same parameters; never steps, so only its `eps`, queries, noise and seed matter.
        inner: takes the steps.
    """

    def __init__(self, estimator: ZOSGD, inner: Optimizer) -> None:
        super().__init__(inner.param_groups, inner.defaults)
        self.estimator, self.inner = estimator, inner
        self.state = inner.state

    @property
    def noise(self) -> Noise:
        """The estimator's, for the ledger."""
        return self.estimator.noise

    @property
    def moving(self) -> Sequence[Tensor] | None:
        """The estimator's, for whoever keeps what lies before it."""
        return self.estimator.moving

    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One step; returns the mean of the losses seen, which `closure` computes and does not backpropagate."""
        self.inner.zero_grad()
        loss = self.estimator.estimate(closure)
        self.inner.step()
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
            for parameter in filter(_moves, group["params"]):
                device = parameter.device
                if device not in generators:
                    generators[device] = torch.Generator(device).manual_seed(seed)
                z = torch.randn(parameter.shape, generator=generators[device], dtype=parameter.dtype, device=device)
                parameter.data = parameter.data + scale * z


def _moves(parameter: Tensor) -> bool:
    return parameter.requires_grad


def _move(rate: float, parameter: Tensor) -> None:
    """Add `rate` times the gradient, which is then freed."""
    gradient, parameter.grad = parameter.grad, None
    assert gradient is not None, "it has just been accumulated"
    with torch.no_grad():
        parameter.add_(gradient, alpha=rate)


def _signed_rate(group: dict[str, Any]) -> float:
    return float(group["lr"] if group["maximize"] else -group["lr"])
