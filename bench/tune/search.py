"""Learning rates by one rule for every arm: a grid, tried on pilot seeds that no result uses, scored at completion.

The score of a point is the mean ToW at T* over the pilot runs, where a run that did not complete counts 0: arms are
compared at the same level of forgetting, and one that barely moves never reaches it. Of the points that come within
`CLOSE` of the best, which one or two pilot runs cannot tell from it, the cheapest is taken: the cost to completion is
what the arms are compared by, too.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from bench.arms.arm import Hyperparameters
from bench.arms.table import methods, tuned_as
from bench.erasure.erasure import Erasure, prepare_erasure
from bench.erasure.quality import tug_of_war
from bench.profiles import Profile, Tuned, TuningPlan
from bench.run.materials import Materials

CLOSE = 0.01  # of ToW


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trial(_Strict):
    """One pilot run.

    Attributes:
        plan: which [[unlearning]] table of the profile, from 0.
        step: T*; None if the run did not complete.
        tow, retain_accuracy: at T*, in [0, 1] and in percent; None likewise.
        forward_equivalents: of all steps that were taken, and of preparing them.
        seconds: it took, evaluations included.
    """

    plan: int
    method: str
    lr: float
    eps: float | None
    scenario: str
    batch_size: int
    seed: int
    step: int | None
    tow: float | None
    retain_accuracy: float | None
    forward_equivalents: float
    seconds: float


class Score(_Strict):
    """What a point of the grid came to: mean ToW, where an incomplete run counts 0, and how many were complete."""

    plan: int
    method: str
    lr: float
    eps: float | None
    tow: float
    completed: int
    runs: int
    forward_equivalents: float


def tunable(profile: Profile) -> list[str]:
    """The arms of the profile that have a learning rate of their own."""
    names = dict.fromkeys(name for plan in profile.unlearning for name in plan.methods)
    arms = [tuned_as(name) for name in names if methods.get(name).start is not None]
    return list(dict.fromkeys(arms))


def grid(method: str, tuning: TuningPlan) -> list[tuple[float, float | None]]:
    """The points to try: every learning rate, and for a zeroth-order arm each with every eps."""
    sizes: list[float] | list[None] = tuning.eps if methods.get(method).zeroth_order else [None]
    return [(lr, eps) for eps in sizes for lr in tuning.learning_rates]


def pilots(profile: Profile, tuning: TuningPlan, materials: Materials) -> list[tuple[int, Erasure]]:
    """Every erasure that the points are tried on, and the number of its plan."""
    return [
        (number, prepare_erasure(case, materials))
        for number, plan in enumerate(profile.unlearning)
        for case in profile.pilot_cases(plan, tuning)
    ]


def try_arm(method: str, tuning: TuningPlan, erasures: Iterable[tuple[int, Erasure]]) -> Iterator[Trial]:
    """Run the whole grid of one arm on every pilot erasure."""
    for number, erasure in erasures:
        for lr, eps in grid(method, tuning):
            yield _try(number, erasure, method, lr, eps)


def scores(trials: Iterable[Trial]) -> list[Score]:
    """One for every point of the grid, in the order of plan, method, lr and eps."""
    ordered = sorted(trials, key=_point)
    return [_score(*point, list(runs)) for point, runs in groupby(ordered, key=_point)]


def choose(found: Iterable[Score]) -> dict[tuple[int, str], Tuned]:
    """For each plan and arm the cheapest point within `CLOSE` of the best. An arm that never completed has none."""
    completing: dict[tuple[int, str], list[Score]] = {}
    for score in found:
        if score.completed:
            completing.setdefault((score.plan, score.method), []).append(score)
    return {which: _cheapest_of_the_best(points) for which, points in completing.items()}


def doubts(plan: int, method: str, chosen: Tuned, found: Iterable[Score], tuning: TuningPlan) -> list[str]:
    """What may have kept a better point from being found, and what to do about it; empty if nothing did."""
    rates, sizes = sorted(tuning.learning_rates), sorted(tuning.eps)
    said = []
    if len(rates) > 1 and chosen.lr in (rates[0], rates[-1]):
        said.append("at the edge of the grid: widen it")
    if len(sizes) > 2 and chosen.eps in (sizes[0], sizes[-1]) and methods.get(method).zeroth_order:
        said.append("at the edge of the grid of eps: widen it")
    slower = [rate for rate in rates if rate < chosen.lr][-1:]
    next_to_it = [s for s in found if (s.plan, s.method) == (plan, method) and s.lr in slower]
    if next_to_it and all(score.completed < score.runs for score in next_to_it):
        said.append("the next lower rate did not complete: raise max_steps")
    return said


def _try(number: int, erasure: Erasure, method: str, lr: float, eps: float | None) -> Trial:
    start = time.perf_counter()
    case = erasure.case.model_copy(update={"method": method})
    given = Hyperparameters(lr, 1e-3 if eps is None else eps, case.seed)
    trajectory, spent = replace(erasure, case=case, hyperparameters=given).follow(lambda batches: batches, horizon=0)
    seen = trajectory.at_completion()
    return Trial(
        plan=number,
        method=method,
        lr=lr,
        eps=eps,
        scenario=str(case.scenario),
        batch_size=case.batch_size,
        seed=case.seed,
        step=trajectory.completed,
        tow=None if seen is None else tug_of_war(seen, erasure.retrained),
        retain_accuracy=None if seen is None else seen.retain_accuracy,
        forward_equivalents=spent,
        seconds=time.perf_counter() - start,
    )


def _point(trial: Trial) -> tuple[int, str, float, float | None]:
    return trial.plan, trial.method, trial.lr, trial.eps


def _score(plan: int, method: str, lr: float, eps: float | None, runs: list[Trial]) -> Score:
    return Score(
        plan=plan,
        method=method,
        lr=lr,
        eps=eps,
        tow=fmean(run.tow or 0.0 for run in runs),
        completed=sum(run.step is not None for run in runs),
        runs=len(runs),
        forward_equivalents=sum(run.forward_equivalents for run in runs),
    )


def _cheapest_of_the_best(points: list[Score]) -> Tuned:
    best = max(point.tow for point in points)
    chosen = min((point for point in points if point.tow >= best - CLOSE), key=lambda point: point.forward_equivalents)
    return Tuned(lr=chosen.lr) if chosen.eps is None else Tuned(lr=chosen.lr, eps=chosen.eps)
