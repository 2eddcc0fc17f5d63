"""Every arm tried on the same grid, on pilot seeds that no result uses; what is chosen from it is `choice`'s part."""

import time
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from bench.arms.arm import Hyperparameters
from bench.arms.table import check_method, methods, tuned_as
from bench.erasure.erasure import Erasure, prepare_erasure
from bench.erasure.quality.depth import depth_at
from bench.erasure.quality.evaluation import tug_of_war
from bench.profiles import Profile, TuningPlan
from bench.record import SHOTS, Tail
from bench.run.materials import Materials
from bench.workloads.requests import read_list


class Strict(BaseModel):
    """A row of the file beside the profile."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Trial(Strict):
    """One pilot run.

    Attributes:
        plan: which [[unlearning]] table of the profile, from 0.
        batch_tuned: whether the batch size was tried, too, or is the profile's.
        step: T*; None if the run did not complete.
        tow, retain_accuracy: at T*, in [0, 1] and in percent; None likewise.
        diverged: whether a loss was not finite; None in files of versions that did not say.
        depth: what a probe recovers of a forgotten class at T*, in percent; None likewise, and where there is no class.
        sample_forwards: of all steps that were taken, and of preparing them.
        seconds: it took, evaluations included.
    """

    plan: int
    method: str
    lr: float
    eps: float | None
    tail: Tail = "all"
    scenario: str
    batch_size: int
    batch_tuned: bool = False
    seed: int
    step: int | None
    tow: float | None
    retain_accuracy: float | None
    diverged: bool | None = None
    depth: float | None = None
    sample_forwards: float
    seconds: float


@dataclass(frozen=True)
class Point:
    """What an arm is tried with; a batch size of None is the profile's."""

    lr: float
    eps: float | None
    batch_size: int | None
    tail: Tail


def tunable(profile: Profile) -> list[str]:
    """The arms of the profile that have a learning rate of their own."""
    names = dict.fromkeys(name for plan in profile.unlearning for name in plan.methods)
    arms = [tuned_as(name) for name in names if methods.get(name).start is not None]
    return list(dict.fromkeys(arms))


def without_requests(profile: Profile) -> Profile:
    """The profile with so many samples in the place of each list, drawn by the seeds for tuning."""
    plans = [
        plan.model_copy(update={"scenarios": list(dict.fromkeys(map(tried_as, plan.scenarios)))})
        for plan in profile.unlearning
    ]
    return profile.model_copy(update={"unlearning": plans})


def tried_as(scenario: str) -> str:
    """What a search forgets for a scenario: another request of as many samples in the place of a list."""
    kind, _, value = scenario.partition(":")
    return f"random:{len(read_list(Path(value)))}" if kind == "files" else scenario


def check_tunable(arm: str) -> None:
    """Raise ValueError unless the arm takes part in erasures with a learning rate of its own."""
    check_method(arm, "unlearning")
    method = methods.get(arm)
    if method.start is None or method.rate_of is not None:
        raise ValueError(
            f"{arm} has no learning rate of its own" + (f"; tune {method.rate_of}" if method.rate_of else "")
        )


def grid(method: str, tuning: TuningPlan, batches_tuned: bool = False) -> list[list[Point]]:
    """The points to try, in lines that differ in the learning rate alone: for each tail that the arm can move, each
    batch size, where they are tuned, and, for a zeroth-order arm, each eps.
    """
    arm = methods.get(method)
    tails = [tail for tail in tuning.tails_of(method) if tail in arm.tails] or [arm.tail_of("all")]
    batch_sizes: list[int] | list[None] = (tuning.batch_sizes if batches_tuned else None) or [None]
    sizes: list[float] | list[None] = tuning.eps if arm.zeroth_order else [None]
    return [
        [Point(lr, eps, batch_size, tail) for lr in tuning.learning_rates]
        for tail, batch_size, eps in product(tails, batch_sizes, sizes)
    ]


class Pilot(NamedTuple):
    """An erasure that points are tried on, and the number of the plan that it is searched for."""

    plan: int
    erasure: Erasure


def pilots(profile: Profile, tuning: TuningPlan, materials: Materials, wanted: Container[int]) -> list[Pilot]:
    """Every erasure that the points are tried on, of the plans that are `wanted`, by their numbers."""
    return [
        Pilot(number, prepare_erasure(case, materials))
        for number, plan in enumerate(profile.unlearning)
        if number in wanted and searched_for(profile, number) == number
        for case in profile.pilot_cases(plan, tuning)
    ]


def plans_wanting(arm: str, profile: Profile) -> set[int]:
    """The plans that are searched for the arm: those that can run it and have it, or one that borrows from it; all that
    can, for an arm that none has.
    """
    able = {n: plan for n, plan in enumerate(profile.unlearning) if plan.engine in methods.get(arm).engines}
    having = [number for number, plan in able.items() if arm in map(tuned_as, plan.methods)]
    return {searched_for(profile, number) for number in having or able}


def searched_for(profile: Profile, number: int) -> int:
    """The plan whose search is a plan's: the first that differs in nothing but engine, arms and seeds."""
    own = {"engine", "methods", "seeds", "horizon", "hyperparameters"}
    alike = [plan.model_dump(exclude=own) for plan in profile.unlearning]
    return alike.index(alike[number])


def try_arm(method: str, tuning: TuningPlan, erasures: Iterable[Pilot], short: bool = False) -> Iterator[Trial]:
    """Run the grid of one arm on every pilot erasure.

    Args:
        short: go from the highest rate of a line down, and no further than to where it is `too_low`. So it is wherever
            there are several batch sizes or tails.
    """
    for number, pairs in groupby(erasures, key=attrgetter("plan")):
        of_plan = [erasure for _, erasure in pairs if erasure.case.engine in methods.get(method).engines]
        if not of_plan:
            continue
        lines = grid(method, tuning, of_plan[0].case.batch_tuned)
        several = len({(line[0].batch_size, line[0].tail) for line in lines}) > 1
        for line in lines:
            yield from _try_line(number, of_plan, method, line, short or several)


def _try_line(number: int, erasures: list[Erasure], method: str, line: list[Point], short: bool) -> Iterator[Trial]:
    tried: list[list[Trial]] = []
    for point in sorted(line, key=attrgetter("lr"), reverse=True) if short else line:
        tried.append([_try(number, erasure, method, point) for erasure in erasures])
        yield from tried[-1]
        if short and too_low(tried):
            break


def too_low(tried: Sequence[Sequence[Trial]]) -> bool:
    """Whether the last two of these rates are, and with them every lower one: at both, more runs used up their steps
    than at a higher rate, though at a higher one some complete. What diverged was not too slow, and what used them up
    at one rate alone may have been wrecked.

    Args:
        tried: the runs at each rate, from the highest down.
    """
    used_up = [sum(trial.step is None and not trial.diverged for trial in runs) for runs in tried]
    completed = any(trial.step is not None for runs in tried[:-2] for trial in runs)
    return completed and min(used_up[-2:]) > min(used_up[:-2])


def _try(number: int, erasure: Erasure, method: str, point: Point) -> Trial:
    start = time.perf_counter()
    batch_size = point.batch_size or erasure.case.batch_size
    case = erasure.case.model_copy(update={"method": method, "batch_size": batch_size})
    given = Hyperparameters(point.lr, 1e-3 if point.eps is None else point.eps, case.seed, point.tail)
    erasure, model = replace(erasure, case=case, hyperparameters=given), erasure.fresh_model()
    followed = erasure.follow(model, lambda batches: batches, horizon=0)  # which ends at T*
    trajectory = followed.trajectory
    seen = None if trajectory.completed is None else erasure.evaluate(model)
    return Trial(
        plan=number,
        method=method,
        lr=point.lr,
        eps=point.eps,
        tail=point.tail,
        scenario=str(case.scenario),
        batch_size=batch_size,
        batch_tuned=case.batch_tuned,
        seed=case.seed,
        step=trajectory.completed,
        diverged=trajectory.diverged is not None,
        tow=None if seen is None else tug_of_war(seen, erasure.reference),
        retain_accuracy=None if seen is None else seen.retain_accuracy,
        depth=None if seen is None else depth_at(erasure, model, SHOTS),
        sample_forwards=followed.forwards * batch_size,
        seconds=time.perf_counter() - start,
    )
