"""What erasures on every engine share: zeroth-order methods by name, and when a run is looked at."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

BLOCKS = 16  # that a step takes one of
STEPS_PER_BATCH = 4  # of zo-ga-fast, with one block

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "zo-ga": {},
    "zo-ga-blocks": {"blocks": BLOCKS},
    "zo-ga-normalized": {"normalize": True},
    "zo-ga-fast": {"normalize": True, "blocks": BLOCKS, "steps_per_batch": STEPS_PER_BATCH},
}
"""Settings of a `Course`, by the name of the method."""

HEAD = "fo-ga-head"  # first-order, the last layer alone: what needs no backpropagation
PLAIN, MOVABLE = "forward", "forward-movable"  # inference, and a pass over a network whose weights may move


CLOSE_UP, CLOSE_UP_UNTIL = 50, 1.2  # evaluations a T* just after it, and where they end, in multiples of T*


def geometric_steps(ratio: float = 1.05, start: int = 1) -> Iterator[int]:
    """1, 2, 3, ... and, once a step of one is finer than that, each number `ratio` times the one before.

    Runs that complete after ten steps and after ten thousand are watched with the same relative resolution.

    Args:
        start: the first number, in the place of 1.
    """
    step = start
    while True:
        yield step
        step = max(step + 1, math.ceil(step * ratio))


def steps_after(completed: int, ratio: float = 1.05) -> Iterator[int]:
    """From T*, `completed`, on: at most 0.02 T* apart, or a step, until 1.2 T*, where most of what collapses does; then
    as `geometric_steps`.
    """
    apart, until = max(1, completed // CLOSE_UP), math.ceil(CLOSE_UP_UNTIL * completed)
    close = range(completed + apart, until + 1, apart)
    yield from close
    yield from geometric_steps(ratio, start=(close[-1] if close else completed) + 1)
