"""The unlearning loop: any torch optimizer, driven over forget batches, watched at given steps.

First- and zeroth-order ascent run through the same lines: `take_step` backpropagates exactly when the optimizer asks
for the loss with gradients enabled, as `torch.optim.SGD.step` does and `ZOSGD.step` does not.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zo_core.ascent.objectives import Objective, cross_entropy
from zo_core.ascent.plan import geometric_steps

E = TypeVar("E")
Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Trajectory(Generic[E]):
    """What an unlearning run went through.

    Attributes:
        steps: optimizer steps taken before each evaluation, ascending, beginning with 0.
        evaluations: what `evaluate` returned at those steps.
        completed: T*, the first of `steps` at which the stop rule held; None if it never did. 0 means that there was
            nothing to do; the run ended there.
        diverged: the step whose loss was not finite; None if all were. The run ended there. What that step made of the
            model is not looked at: first- and zeroth-order optimizers leave it in different states.
    """

    steps: tuple[int, ...]
    evaluations: tuple[E, ...]
    completed: int | None
    diverged: int | None

    def at_completion(self) -> E | None:
        """The evaluation at T*, or None."""
        return None if self.completed is None else self.evaluations[self.steps.index(self.completed)]


def unlearn(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    *,
    evaluate: Callable[[], E],
    completed: Callable[[E], bool],
    max_steps: int,
    horizon: float = 0.0,
    objective: Objective = cross_entropy,
    evaluate_at: Iterable[int] | None = None,
    evaluate_after: Callable[[int], Iterable[int]] | None = None,
    train_mode: bool = False,
) -> Trajectory[E]:
    """Step over `batches` until the stop rule holds, then on for `horizon` times as long.

    The model is in eval mode throughout, unless `train_mode`: batch norm is frozen, since perturbed forward passes
    would otherwise feed its running statistics.

    Args:
        batches: the tensors that `objective` takes behind the model, at least as many as the run has steps: (inputs,
            targets) of the forget set, for plain ascent.
        evaluate: looks at the model; called before the first step, after those of `evaluate_at`, and after the last.
        completed: the stop rule, asked about every evaluation until it holds.
        max_steps: give up here if the stop rule has not held by then.
        horizon: after completion at T*, go on to step (1 + horizon) * T*.
        evaluate_at: ascending step numbers; `geometric_steps()` if None.
        evaluate_after: of T*, ascending step numbers beyond it, in the place of those of `evaluate_at` from there on.
        train_mode: have the model in train mode instead; `evaluate` must leave it as it finds it.

    Returns:
        The trajectory; the model is left as the last step left it.
    """
    model.train(train_mode)
    schedule = iter(geometric_steps() if evaluate_at is None else evaluate_at)
    steps, evaluations = [0], [evaluate()]
    completed_at = 0 if completed(evaluations[0]) else None
    if completed_at == 0 or max_steps == 0:
        return Trajectory(tuple(steps), tuple(evaluations), completed_at, diverged=None)
    last, due = max_steps, next(schedule, None)
    for step, batch in enumerate(batches, start=1):
        if not math.isfinite(_loss_or_nan(optimizer, partial(objective, model, *batch))):
            return Trajectory(tuple(steps), tuple(evaluations), completed_at, diverged=step)
        if step in (due, last):
            steps.append(step)
            evaluations.append(evaluate())
            if completed_at is None and completed(evaluations[-1]):
                completed_at, last = step, math.ceil((1 + horizon) * step)
                if evaluate_after is not None:
                    schedule = iter(evaluate_after(step))
                    due = next(schedule, None)
        while due is not None and due <= step:
            due = next(schedule, None)
        if step >= last:
            break
    return Trajectory(tuple(steps), tuple(evaluations), completed_at, diverged=None)


def take_step(optimizer: Optimizer, loss: Callable[[], Tensor]) -> float:
    """One step of a first- or zeroth-order optimizer on `loss`; returns the loss it saw.

    Raises:
        FloatingPointError: a zeroth-order loss was not finite (first-order optimizers return it instead).
    """

    def closure() -> Tensor:
        value = loss()
        if value.requires_grad and torch.is_grad_enabled():
            value.backward()
            return value.detach()
        return value

    optimizer.zero_grad()
    return float(optimizer.step(closure))  # type: ignore[arg-type]


def _loss_or_nan(optimizer: Optimizer, loss: Callable[[], Tensor]) -> float:
    try:
        return take_step(optimizer, loss)
    except FloatingPointError:
        return math.nan
