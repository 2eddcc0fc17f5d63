"""Whole unlearning runs: method x scenario x seed.

One pass draws the curves and finds T*. The erasure itself, the steps to T* and nothing else, is then run again to be
timed, again to be metered, and one step of it to be weighed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from bench.erasure import Erasure, prepare_erasure
from bench.instruments.clock import synchronize
from bench.instruments.memory import tensor_peak
from bench.methods import methods
from bench.outcome import UNMEASURED, record_or_out_of_memory
from bench.quality import Evaluation, curve, quality
from bench.record import Case, Completion, Kind, Record, StepEnergy
from bench.session import Suite
from bench.workloads.models import model_bytes
from bench.workloads.training import first_training_step, train_from_scratch, training_steps
from zo_core import Trajectory

KIND: Kind = "unlearning"
T = TypeVar("T")


def test_unlearning(case: Case, suite: Suite, benchmark: Any) -> None:
    """Measure the case and keep its record."""
    benchmark.group = f"{case.model} {case.scenario}"
    size = model_bytes(case.model, suite.data(case.image_size).spec)
    measure = measure_retraining if case.method == "retrain" else measure_erasure
    suite.keep(benchmark, record_or_out_of_memory(KIND, case, size, lambda: measure(case, suite, benchmark, size)))


def measure_erasure(case: Case, suite: Suite, benchmark: Any, size: int) -> Record:
    """Follow an ascent to completion and beyond, then find what it cost to completion."""
    erasure = prepare_erasure(case, suite)
    trajectory = erasure.follow(suite.tracker("unlearning", None))
    notes = UNMEASURED | {"time": "an erasure is timed as a whole: completion.seconds"}
    if trajectory.diverged is not None:
        notes["outcome"] = f"the loss was not finite at step {trajectory.diverged}"
    seen = trajectory.at_completion()
    if trajectory.completed is None or seen is None:
        cost = Cost(Completion(reached=False), notes=_not_completed(erasure, trajectory))
    elif trajectory.completed == 0:
        cost = NOTHING_TO_DO
    else:
        steps = trajectory.completed
        cost = _cost(lambda model: erasure.erase(model, steps), erasure.fresh_model, steps, case, suite, benchmark)
    return Record(
        kind=KIND,
        outcome="ok" if trajectory.diverged is None else "diverged",
        case=case,
        model_bytes=size,
        memory=tensor_peak(erasure.first_step()).as_memory(),
        energy=cost.energy,
        quality=None if seen is None else quality(seen, erasure.retrained),
        completion=cost.completion,
        curve=curve(trajectory.steps, trajectory.evaluations),
        notes=notes | cost.notes,
    )


def measure_retraining(case: Case, suite: Suite, benchmark: Any, size: int) -> Record:
    """Train without the forget set, anew even where the cache holds the result, to find what that costs."""
    erasure = prepare_erasure(case, suite)
    retraining = (case.model, erasure.data, erasure.split.retain, erasure.plan.training, case.seed)
    device = torch.device(case.device)
    steps = training_steps(erasure.plan.training, len(erasure.split.retain))
    cost = _cost(lambda _: train_from_scratch(*retraining, device), lambda: None, steps, case, suite, benchmark)
    notes = {
        "time": "retraining is timed as a whole: completion.seconds",
        "curve": "retraining does not start from the original model; its result is in quality",
    }
    return Record(
        kind=KIND,
        outcome="ok",
        case=case,
        model_bytes=size,
        memory=tensor_peak(first_training_step(*retraining, device)).as_memory(),
        energy=cost.energy,
        quality=quality(erasure.retrained, erasure.retrained),
        completion=cost.completion,
        notes=UNMEASURED | notes | cost.notes,
    )


@dataclass(frozen=True)
class Cost:
    """What it took to get there, and why a figure of it is missing."""

    completion: Completion
    energy: StepEnergy | None = None
    notes: dict[str, str] = field(default_factory=dict)


NOTHING_TO_DO = Cost(
    Completion(reached=True, step=0, seconds=0.0, joules=0.0, forward_equivalents=0.0),
    notes={"completion": "the original model is at the target already: there is nothing to erase"},
)


def _not_completed(erasure: Erasure, trajectory: Trajectory[Evaluation]) -> dict[str, str]:
    steps = trajectory.steps[-1]
    return {"completion": f"forget accuracy was never at or below {erasure.target:.2f} % in {steps} steps"}


def _cost(
    work: Callable[[T], Any], fresh: Callable[[], T], steps: int, case: Case, suite: Suite, benchmark: Any
) -> Cost:
    """Time `work(fresh())`, which takes so many steps, once; then meter it, as often as fills a window."""

    def timed(start: T) -> None:
        work(start)
        synchronize(torch.device(case.device))

    benchmark.pedantic(timed, setup=lambda: ((fresh(),), {}), rounds=1)
    window = suite.meter.repeat(lambda: timed(fresh()), suite.profile.window_s)
    completion = Completion(
        reached=True,
        step=steps,
        seconds=None if benchmark.stats is None else benchmark.stats["median"],
        joules=None if window.joules is None else window.joules / window.repeats,
        forward_equivalents=steps * methods.get(case.method).forward_equivalents,
    )
    return Cost(completion, window.per_step(steps), window.notes())
