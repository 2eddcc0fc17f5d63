"""What it costs to get to completion: the whole work, timed as one piece and then metered as one piece."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from bench.instruments.clock import waited
from bench.record import Case, Completion, StepEnergy
from bench.run.suite import Suite

TIMED_STEPS, MOST_ROUNDS = 300, 9


@dataclass(frozen=True)
class Cost:
    """What it took to get there, and why a figure of it is missing."""

    completion: Completion
    energy: StepEnergy | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def of_steps(self, steps: int) -> "Cost":
        """That of so many steps, each of which costs as much as these did."""
        taken = self.completion
        if taken.step in (None, steps):
            return self
        whole = {
            name: None if value is None else value * steps / taken.step
            for name, value in taken.model_dump(exclude={"reached", "step"}).items()
        }
        note = f"of the first {taken.step} of {steps} steps, times {steps / taken.step:.3g}"
        scaled = {"completion.seconds": note, "completion.joules": note}
        return Cost(Completion(reached=True, step=steps, **whole), self.energy, scaled | self.notes)


NOTHING_TO_DO = Cost(
    Completion(reached=True, step=0, seconds=0.0, joules=0.0, forward_equivalents=0.0, sample_forwards=0.0),
    notes={"completion": "the original model is at the target already: there is nothing to erase"},
)


def cost_to_completion(
    work: Callable[[], Callable[[], float]],
    reset: Callable[[], None],
    steps: int,
    case: Case,
    suite: Suite,
    benchmark: Any,
) -> Cost:
    """Time `work()`, which takes so many steps, and then meter it to fill a window.

    Args:
        work: returns what tells its forward-equivalents.
        benchmark: pytest-benchmark's fixture, which times.

    Setting up the optimizer belongs to the work. `reset()` before each round is not timed; it is metered, since a
    window cannot be paused, and is one copy of the parameters. Few steps are timed several times, for the median.
    """
    timed = waited(work, torch.device(case.device))

    def metered() -> None:
        reset()
        timed()

    spent: Callable[[], float] = benchmark.pedantic(
        timed, setup=waited(reset, torch.device(case.device)), rounds=max(1, min(MOST_ROUNDS, TIMED_STEPS // steps))
    )
    window = suite.meter.repeat(metered, suite.profile.window_s)
    forwards = spent()
    completion = Completion(
        reached=True,
        step=steps,
        seconds=None if benchmark.stats is None else benchmark.stats["median"],
        joules=None if window.joules is None else window.joules / window.repeats,
        forward_equivalents=forwards,
        sample_forwards=forwards * case.batch_size,
    )
    notes = {} if window.reason is None else {"energy": window.reason, "completion.joules": window.reason}
    return Cost(completion, window.per_step(steps), notes)
