"""An erasure on a device: steps over the forget set until it is answered no better than it should be."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from zo_core.ascent.plan import geometric_steps
from zo_core.edge.device.forget_set import ForgetSet
from zo_core.edge.device.head import EdgeHead
from zo_core.edge.device.memory import peak_bytes
from zo_core.edge.device.network import Network
from zo_core.edge.device.optimizer import EdgeZO

MOST_EVALUATED = 32  # samples of a run of the network that looks at the set


@dataclass(frozen=True)
class Outcome:
    """What became of an erasure.

    Attributes:
        complete: whether forget accuracy came down to what was asked for.
        steps: that were taken.
        before, after: forget accuracy in percent.
        seconds: of the steps and of looking at the set.
        step_seconds: of the steps alone.
        peak_bytes: the most memory that the operating system saw this process use (VmHWM on Linux).
    """

    complete: bool
    steps: int
    before: float
    after: float
    seconds: float
    step_seconds: float
    peak_bytes: int


Progress = Callable[[int, float], None]  # is told steps, and forget accuracy in percent


def erase(
    optimizer: EdgeZO | EdgeHead,
    forget: ForgetSet,
    *,
    batch_size: int,
    most_steps: int,
    target: float,
    seed: int = 0,
    tell: Progress = lambda steps, accuracy: None,
) -> Outcome:
    """Step until forget accuracy is at or below the target, or until the steps are used up.

    Args:
        batch_size: samples a step.
        target: forget accuracy in percent.
        seed: of the order of the samples.

    Raises:
        PackageError, FloatingPointError: as `EdgeZO.step` does; or outputs are not finite any more.
    """
    begun, stepping = time.perf_counter(), 0.0
    before = after = accuracy_on(optimizer.network, forget)
    course = getattr(optimizer, "optimizer", None)
    batches = forget.batches(batch_size, seed, course.steps_per_batch if course is not None else 1)
    steps, looks = 0, geometric_steps()
    while steps < most_steps and after > target:
        for batch in islice(batches, min(next(looks), most_steps) - steps):
            since = time.perf_counter()
            optimizer.step(*batch)
            stepping += time.perf_counter() - since
            steps += 1
        after = accuracy_on(optimizer.network, forget)
        tell(steps, after)
    return Outcome(after <= target, steps, before, after, time.perf_counter() - begun, stepping, peak_bytes())


def accuracy_on(network: Network, forget: ForgetSet) -> float:
    """Percentage of the set that the network answers as its labels say.

    Raises:
        FloatingPointError: a logit is not finite: such a network answers nothing, and has not forgotten.
    """
    hits = 0
    for images, labels in forget.once(MOST_EVALUATED):
        logits = network.run(images).logits
        if not np.isfinite(logits).all():
            raise FloatingPointError("the network's outputs are not finite any more: lower the learning rate")
        hits += int((logits.argmax(axis=1) == labels).sum())
    return 100 * hits / len(forget)
