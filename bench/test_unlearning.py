"""Whole unlearning runs: method x scenario x seed.

One pass draws the curves and finds T*. The erasure itself, the steps to T* and nothing else, is then run again to be
timed, and again to be metered; its stand-in is weighed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from bench.erasure import Erasure, prepare_erasure
from bench.instruments.clock import waited
from bench.instruments.memory import peak_memory
from bench.methods import methods
from bench.outcome import memory_alone, record_or_out_of_memory
from bench.quality import Evaluation, curve, quality
from bench.record import Case, Completion, Kind, Record, StepEnergy
from bench.session import Suite
from bench.workloads.models import model_bytes
from bench.workloads.training import train_from_scratch, training_steps
from zo_core import Trajectory

KIND: Kind = "unlearning"
TIMED_STEPS, MOST_ROUNDS = 300, 9


def test_unlearning(case: Case, suite: Suite, benchmark: Any) -> None:
    """Measure the case and keep its record."""
    benchmark.group = f"{case.model} {case.scenario}"
    stand_in, size = suite.stand_in(case), model_bytes(case.model, suite.data(case.image_size).spec)

    def record() -> Record:
        return memory_alone(KIND, stand_in, size) if suite.memory_only else measure(case, suite, benchmark, size)

    suite.keep(benchmark, record_or_out_of_memory(KIND, stand_in, size, record))


def measure(case: Case, suite: Suite, benchmark: Any, size: int) -> Record:
    """Train or load what the case starts from, and measure what its method does."""
    erasure = prepare_erasure(case, suite)
    if erasure.untrained is not None:
        notes = {"outcome": erasure.untrained}
        return Record(kind=KIND, outcome="diverged", case=case, model_bytes=size, notes=notes)
    return (measure_retraining if case.method == "retrain" else measure_erasure)(erasure, suite, benchmark, size)


def measure_erasure(erasure: Erasure, suite: Suite, benchmark: Any, size: int) -> Record:
    """Follow an ascent to completion and beyond, then find what it cost to completion."""
    trajectory = erasure.follow(suite.tracker("unlearning", None))
    steps, seen = trajectory.completed, trajectory.at_completion()
    if steps is None:
        cost = Cost(Completion(reached=False), notes=_not_completed(erasure, trajectory))
    elif steps == 0:
        cost = NOTHING_TO_DO
    else:
        model = erasure.fresh_model()
        cost = _cost(
            lambda: erasure.erase(model, steps), lambda: erasure.reset(model), steps, erasure.case, suite, benchmark
        )
    divergence = _divergence(trajectory)
    memory, missing = peak_memory(suite.stand_in(erasure.case))
    return Record(
        kind=KIND,
        outcome="diverged" if divergence else "ok",
        case=erasure.case,
        model_bytes=size,
        memory=memory,
        energy=cost.energy,
        quality=None if seen is None else quality(seen, erasure.retrained),
        completion=cost.completion,
        curve=curve(trajectory.steps, trajectory.evaluations),
        notes=missing | {"time": "an erasure is timed as a whole: completion.seconds"} | divergence | cost.notes,
    )


def measure_retraining(erasure: Erasure, suite: Suite, benchmark: Any, size: int) -> Record:
    """Train without the forget set, anew even where the cache holds the result, to find what that costs."""
    case, training, retain = erasure.case, erasure.plan.training, erasure.split.retain
    start = (case.model, erasure.data, retain, training, case.seed, torch.device(case.device))
    steps = training_steps(training, len(retain))
    cost = _cost(lambda: train_from_scratch(*start), lambda: None, steps, case, suite, benchmark)
    memory, missing = peak_memory(suite.stand_in(case))
    notes = {
        "time": "retraining is timed as a whole: completion.seconds",
        "curve": "retraining does not start from the original model; its result is in quality",
    }
    return Record(
        kind=KIND,
        outcome="ok",
        case=case,
        model_bytes=size,
        memory=memory,
        energy=cost.energy,
        quality=quality(erasure.retrained, erasure.retrained),
        completion=cost.completion,
        notes=missing | notes | cost.notes,
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


def _divergence(trajectory: Trajectory[Evaluation]) -> dict[str, str]:
    """The note of a run whose loss did not stay finite, empty for one whose did."""
    if trajectory.diverged is not None:
        return {"outcome": f"the loss was not finite at step {trajectory.diverged}"}
    wrecked = (step for step, seen in zip(trajectory.steps, trajectory.evaluations, strict=True) if not seen.finite)
    step = next(wrecked, None)
    return {} if step is None else {"outcome": f"the model's losses were not finite after step {step}"}


def _cost(
    work: Callable[[], Any], reset: Callable[[], None], steps: int, case: Case, suite: Suite, benchmark: Any
) -> Cost:
    """Time `work()`, which takes so many steps, and then meter it, as often as fills a window.

    Setting up the optimizer belongs to the work. `reset()` before each round is not timed; it is metered, since a
    window cannot be paused, and is one copy of the parameters. Few steps are timed several times, for the median.
    """
    timed = waited(work, torch.device(case.device))

    def metered() -> None:
        reset()
        timed()

    benchmark.pedantic(timed, setup=reset, rounds=max(1, min(MOST_ROUNDS, TIMED_STEPS // steps)))
    window = suite.meter.repeat(metered, suite.profile.window_s)
    completion = Completion(
        reached=True,
        step=steps,
        seconds=None if benchmark.stats is None else benchmark.stats["median"],
        joules=None if window.joules is None else window.joules / window.repeats,
        forward_equivalents=steps * methods.get(case.method).forward_equivalents,
    )
    return Cost(completion, window.per_step(steps), window.notes())
