"""`suggest_lr`: a learning rate for `ZOSGD`'s ascent, from slopes measured along a few directions.

On average over z, a step along z with slope g moves the parameters by lr times the gradient (Spall 1992), and so raises
the loss L, to first order, by lr |grad L|^2; and |grad L|^2 = E[g^2]. But today's slopes are not tomorrow's: of a model
that is sure of its answers the gradient is small, and it grows as they go. The gradient of a cross-entropy with respect
to the logits, p - y (p: the probabilities, y: the label), goes with 1 - p_y = 1 - exp(-L). With the rest of the chain
rule held constant, |grad L|^2 = c q^2, where q = 1 - exp(-L), and

    dL/dstep = lr c q^2,    so    lr c steps = F(target) - F(start)    with    F(L) = L + log q - 1/q.

From L = 0.02 to log 10, a straight line along today's slope would ask for a rate 100 times as large. Most steps go by
near the start; at the end, where q is nearly 1, each raises the loss by lr c, which is about 1 / (start * steps).
"""

import math
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from zo_core.engine.draws import SameDraws
from zo_core.optim import ZOSGD


def suggest_lr(
    loss: Callable[[], Any],
    params: Iterable[Tensor],
    *,
    target: float,
    steps: int = 1000,
    directions: int = 32,
    eps: float = 1e-3,
    seed: int = 0,
) -> float:
    """The rate at which `ZOSGD(params, lr, eps=eps, maximize=True)` should raise the loss to `target` in `steps` steps.

    A first guess: chance alone, in the mean of 32 squares, moves it by a quarter up or down (sqrt(2 / directions)). It
    is about when the loss gets there, not about what the model is worth then. Where 1 / (start * steps) is no small
    part of a nat, start being the loss today, the last step leaps past the target, and what was to be kept suffers:
    of a model that is very sure, ask for more steps.

    The parameters come back as after a step of `ZOSGD` with lr = 0, to rounding; gradients and torch's default
    generators as they were.

    Args:
        loss: as for `ZOSGD.step`: the mean cross-entropy, in nats, of samples to be forgotten; of the same ones at
            every call, 2 * `directions` + 1 in all, and better of 64 than of a small batch, much of whose gradient is
            its own. They should have something in common, as those of a class do.
        params: parameters, all with one rate; not groups.
        target: the loss to be reached, in nats, above today's; log(classes) is that of chance.
        steps: how many are to lead there.
        directions: how many slopes are measured.
        eps, seed: as for `ZOSGD`.

    Raises:
        ValueError: an argument is out of these bounds, or the loss is the same in every direction; and what
            `ZOSGD` raises of `params`, and `ZOSGD.step` of `loss`.
    """
    if steps < 1 or directions < 1:
        raise ValueError(f"steps and directions must be at least 1, not {steps} and {directions}")
    start, slopes = _measure(loss, params, directions, eps, seed)
    if not 0 < start < target < math.inf:
        raise ValueError(f"the target must be above today's loss, and that above 0: not {target} and {start:.3g} nats")
    square = fmean(slope**2 for slope in slopes)
    if square == 0:
        raise ValueError(
            "the loss is the same in every direction: does it use a trainable parameter? is eps too small?"
        )
    return (_progress(target) - _progress(start)) * _unsure(start) ** 2 / (steps * square)


def _measure(
    loss: Callable[[], Any], params: Iterable[Tensor], directions: int, eps: float, seed: int
) -> tuple[float, list[float]]:
    """The loss where the parameters are, and its slopes along so many directions."""
    optimizer = ZOSGD([{"params": list(params)}], lr=0.0, eps=eps, seed=seed)
    draws = SameDraws(optimizer._lay_out().accelerators)
    slopes = []
    try:
        for _ in range(directions):
            optimizer.step(loss)
            slopes.append(optimizer.rises[0] / eps)
        with torch.no_grad():
            start = float(loss())
    finally:
        draws.again()
    return start, slopes


def _unsure(loss: float) -> float:
    """q above: the probability that an answer with this loss leaves to the other answers."""
    return -math.expm1(-loss)


def _progress(loss: float) -> float:
    """F above: how far along its way an ascent is, in units of lr c."""
    return loss + math.log(_unsure(loss)) - 1 / _unsure(loss)
