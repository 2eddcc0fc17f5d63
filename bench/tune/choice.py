"""What is chosen from what was tried, by one rule for every arm, and what speaks against relying on it.

The score of a point is the mean ToW at T* over the pilot runs, where a run that did not complete counts 0: arms are
compared at the same level of forgetting, and one that barely moves never reaches it. Of the points that come within
`CLOSE` of the best, which one or two pilot runs cannot tell from it, the cheapest in sample-forwards is taken: by the
cost to completion in samples arms of different batch sizes are compared, too. Without a Retrain the score is nearness
to the original on all but the forget set.

ToW sees outputs alone, and so would take the last layer, which can hide a class and changes nothing that the network
knows. Where a class is forgotten, a point therefore counts only if it goes as deep as `STANDARD` does on the whole
network: what a probe recovers of the class (`bench.erasure.quality.depth`) is at most `DEPTH_MARGIN` points more than
at the point that is chosen for it there. An arm that never goes so deep keeps the best point of the longest tail that
it was tried on, and that is said. Where `STANDARD` was not tried, or failed, there is no such bar: a model of a ToW
below `WORTH` has lost most of what it knew, and that a probe finds little of the class there shows no forgetting. And
where it hides the class itself, so that a probe recovers about as much as of the original, the bar keeps nothing out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from bench.arms.arm import TAILS
from bench.profiles import Tuned, TuningPlan
from bench.record import CLOSE, DEPTH_MARGIN, Tail
from bench.tune.search import Strict, Trial

STANDARD = "fo-ga"
WORTH = 0.5  # ToW of a standard that left a model; runs that did not complete count 0 in it, too


class Score(Strict):
    """What a point of the grid came to.

    Attributes:
        batch_size: None where the arm has none of its own.
        tow: the mean, where an incomplete run counts 0.
        depth: the mean of the complete runs that have one; None if none has.
        completed, runs: how many of how many were complete.
        sample_forwards: of all runs.
    """

    plan: int
    method: str
    lr: float
    eps: float | None
    batch_size: int | None = None
    tail: Tail = "all"
    tow: float
    depth: float | None = None
    completed: int
    runs: int
    sample_forwards: float

    @property
    def tuned(self) -> Tuned:
        """The point as an entry of the profile, which says what is not as it is without saying."""
        given = {"lr": self.lr, "eps": self.eps, "batch_size": self.batch_size, "tail": self.tail}
        return Tuned.model_validate({name: value for name, value in given.items() if value not in (None, "all")})


@dataclass(frozen=True)
class Choice:
    """The point that was chosen for an arm.

    Attributes:
        shallow: whether none of its points goes deep enough.
        set_aside: what would have been chosen, but does not go deep enough; None if the choice is the same.
    """

    score: Score
    shallow: bool
    set_aside: Score | None = None


def scores(trials: Iterable[Trial]) -> list[Score]:
    """One for every point of the grid, in the order of plan, method, lr, eps, batch size and tail."""
    ordered = sorted(trials, key=_sortable)
    return [scored(list(runs)) for _, runs in groupby(ordered, key=_sortable)]


def choose(found: Iterable[Score]) -> dict[tuple[int, str], Choice]:
    """For each plan and arm what the rule chooses. An arm that never completed has nothing."""
    completing = _completing(found)
    bars = {plan: _bar(completing.get((plan, STANDARD), [])) for plan, _ in completing}
    return {(plan, arm): _chosen(points, bars[plan]) for (plan, arm), points in completing.items()}


def standard_failed(found: Iterable[Score], plan: int) -> bool:
    """Whether there is no bar of depth in a plan, though a class is forgotten, since `STANDARD` left no model there."""
    whole = [point for point in _completing(found).get((plan, STANDARD), []) if point.tail == "all"]
    return any(point.depth is not None for point in whole) and _bar(whole) is None


def doubts(chosen: Score, found: Iterable[Score], tuning: TuningPlan) -> list[str]:
    """What may have kept a better point from being found, and what to do about it; empty if nothing did."""
    rates, sizes = sorted(tuning.learning_rates), sorted(tuning.eps)
    said = []
    if len(rates) > 1 and chosen.lr in (rates[0], rates[-1]):
        said.append("at the edge of the grid: widen it")
    if len(sizes) > 2 and chosen.eps in (sizes[0], sizes[-1]):
        said.append("at the edge of the grid of eps: widen it")
    slower = [rate for rate in rates if rate < chosen.lr][-1:]
    next_to_it = [score for score in found if _line(score) == _line(chosen) and score.lr in slower]
    if next_to_it and all(score.completed < score.runs for score in next_to_it):
        said.append("the next lower rate did not complete: raise max_steps")
    return said


def _completing(found: Iterable[Score]) -> dict[tuple[int, str], list[Score]]:
    """The points with a run that completed, by plan and arm."""
    completing: dict[tuple[int, str], list[Score]] = {}
    for score in found:
        if score.completed:
            completing.setdefault((score.plan, score.method), []).append(score)
    return completing


def _bar(standard: list[Score]) -> float | None:
    """The most that a probe may recover; None for no bar."""
    whole = [point for point in standard if point.tail == "all"]
    best = _cheapest_of_the_best(whole) if whole else None
    return None if best is None or best.tow < WORTH or best.depth is None else best.depth + DEPTH_MARGIN


def _chosen(points: list[Score], bar: float | None) -> Choice:
    deep = [point for point in points if bar is None or point.depth is None or point.depth <= bar]
    longest = min((point.tail for point in points), key=TAILS.index)
    best = _cheapest_of_the_best(deep or [point for point in points if point.tail == longest])
    barless = _cheapest_of_the_best(points)
    return Choice(best, shallow=not deep, set_aside=None if barless == best else barless)


def _cheapest_of_the_best(points: list[Score]) -> Score:
    best = max(point.tow for point in points)
    return min((point for point in points if point.tow >= best - CLOSE), key=lambda point: point.sample_forwards)


def scored(runs: list[Trial]) -> Score:
    """What the runs of a point come to."""
    first, depths = runs[0], [run.depth for run in runs if run.depth is not None]
    return Score(
        plan=first.plan,
        method=first.method,
        lr=first.lr,
        eps=first.eps,
        batch_size=first.batch_size if first.batch_tuned else None,
        tail=first.tail,
        tow=fmean(run.tow or 0.0 for run in runs),
        depth=fmean(depths) if depths else None,
        completed=sum(run.step is not None for run in runs),
        runs=len(runs),
        sample_forwards=sum(run.sample_forwards for run in runs),
    )


def _sortable(trial: Trial) -> tuple[int, str, float, float, int, int]:
    """The point that a trial is of."""
    batch_size = trial.batch_size if trial.batch_tuned else 0
    return trial.plan, trial.method, trial.lr, trial.eps or 0.0, batch_size, TAILS.index(trial.tail)


def _line(point: Score) -> tuple[int, str, float | None, int | None, Tail]:
    """All of a point but its learning rate."""
    return point.plan, point.method, point.eps, point.batch_size, point.tail
