"""What happens after completion: the statistics of one run, from its curve and T*.

An optimizer that merely moves less looks stable, so the drop in retain accuracy is read off at equal relative time and
also where the model has moved equally far, and where the forget loss has risen equally high. Between two evaluations
everything is interpolated: else a run that is looked at more often would collapse sooner.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import linear_regression

from bench.record import COLLAPSE_POINTS, Curve, Rules, Stability

LEAST_LOSS = 1e-12  # nats; a saturated network's loss may round to zero, which has no logarithm


@dataclass(frozen=True)
class _Look:
    """One evaluation; what was not finite is infinite."""

    time: float  # multiples of T* after completion
    forget_loss: float
    retain_loss: float
    retain_accuracy: float
    distance: float
    finite: bool


def stability(
    curve: Curve, completed: int, horizon: float, rules: Rules, norm: float, chance: float, diverged: int | None = None
) -> Stability:
    """The statistics of a run that completed.

    Args:
        completed: T*, a step of the curve, above 0.
        horizon: multiples of T* for which the run was to go on.
        rules: where displacement and forget loss are matched.
        norm: L2 norm of the original's parameters, the unit of `rules.matched_distance`.
        chance: retain accuracy of a model that always says the same, in percent. One that is within 5 points of it at
            T* has collapsed already: it has nothing more to lose, and no drop is read off it.
        diverged: the step whose loss was not finite, if one was; a run that cannot go on counts as staying there.
    """
    looks = _looks(curve, completed)
    if looks[0].retain_accuracy < chance + COLLAPSE_POINTS:
        return Stability(collapse=0.0, collapsed=True, loss_slope=_slope(looks))
    collapsed_at = _collapse(looks, None if diverged is None else (diverged - completed) / completed)

    def drop(of: Callable[[_Look], float], rise: float) -> float | None:
        kept = _accuracy_at(looks, of, of(looks[0]) + rise, stays=diverged is not None)
        return None if kept is None else looks[0].retain_accuracy - kept

    return Stability(
        collapse=horizon if collapsed_at is None else min(collapsed_at, horizon),
        collapsed=collapsed_at is not None,
        loss_slope=_slope(looks),
        drop_at_time=drop(lambda look: look.time, 1.0),
        drop_at_distance=drop(lambda look: look.distance, rules.matched_distance * norm),
        drop_at_forget_loss=drop(lambda look: look.forget_loss, rules.matched_rise),
    )


def _accuracy_at(looks: list[_Look], of: Callable[[_Look], float], point: float, stays: bool) -> float | None:
    """Retain accuracy where `of` first comes to `point`, interpolated between the evaluations around it.

    Where the later of them is infinite, it is the later one's. Without one that comes so far it is the last one's if
    the run `stays` where it ended, else None.
    """
    for before, after in pairwise(looks):
        if of(after) >= point:
            share = (point - of(before)) / (of(after) - of(before))  # 0 of an infinite rise
            share = share if math.isfinite(of(after)) else 1.0
            return before.retain_accuracy + share * (after.retain_accuracy - before.retain_accuracy)
    return looks[-1].retain_accuracy if stays else None


def _looks(curve: Curve, completed: int) -> list[_Look]:
    """The evaluations from T* on."""
    columns = (curve.step, curve.forget_loss, curve.retain_loss, curve.test_loss, curve.retain_accuracy, curve.distance)
    return [
        _Look(
            time=(step - completed) / completed,
            forget_loss=_or_infinite(forget_loss),
            retain_loss=_or_infinite(retain_loss),
            retain_accuracy=0.0 if accuracy is None else accuracy,
            distance=_or_infinite(distance),
            finite=None not in (forget_loss, retain_loss, test_loss),
        )
        for step, forget_loss, retain_loss, test_loss, accuracy, distance in zip(*columns, strict=True)
        if step >= completed
    ]


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _collapse(looks: list[_Look], diverged: float | None) -> float | None:
    """When the model collapsed; None if it did not."""
    floor = looks[0].retain_accuracy - COLLAPSE_POINTS
    for before, after in pairwise(looks):
        if not after.finite:
            return after.time
        if after.retain_accuracy <= floor:
            share = (before.retain_accuracy - floor) / (before.retain_accuracy - after.retain_accuracy)
            return before.time + share * (after.time - before.time)
    return diverged


def _slope(looks: list[_Look]) -> float | None:
    """Least-squares slope over the evaluations with a finite loss; None from fewer than two."""
    finite = [look for look in looks if math.isfinite(look.retain_loss)]
    points = [(look.time, math.log(max(look.retain_loss, LEAST_LOSS))) for look in finite]
    return linear_regression(*zip(*points, strict=True)).slope if len(points) > 1 else None
