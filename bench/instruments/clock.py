"""Time of a step, paired with forward passes of the same model and batch.

Machines drift and share their cores with strangers. So every timed step follows a timed forward pass (A B A B ...),
and what is compared is the median of the paired ratios, not the seconds.
"""

import time
from collections.abc import Callable
from statistics import fmean, median, quantiles
from typing import Any, TypeVar

import torch

from bench.record import WIDE_SPREAD, StepTime

T = TypeVar("T")

WARMUP = 2
MAX_ROUNDS = 200
LEAST_CYCLES = 3
STEADIER = "close other programs, or raise timing_s in the profile, and run again"


def batched(values: list[float], size: int) -> list[list[float]]:
    """The values in groups of so many, in order; the last may be smaller."""
    return [values[place : place + size] for place in range(0, len(values), size)]


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all its work; nothing to wait for on a CPU."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def waited(work: Callable[[], T], device: torch.device) -> Callable[[], T]:
    """`work`, but returning only when the device has done all of it."""

    def work_and_wait() -> T:
        result = work()
        synchronize(device)
        return result

    return work_and_wait


def stopwatch(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds that `work()` took, to the end of its work on the device."""
    start = time.perf_counter()
    waited(work, device)()
    return time.perf_counter() - start


def time_paired(
    benchmark: Any,
    step: Callable[[], Any],
    forward: Callable[[], Any],
    device: torch.device,
    seconds: float,
    min_rounds: int,
    cycle: int = 1,
) -> StepTime | None:
    """Time `step` with pytest-benchmark's fixture, and `forward` in its set-up, so that the two alternate.

    Args:
        benchmark: the fixture; it keeps its own statistics of the step.
        seconds: about how long to measure; never fewer than `min_rounds` rounds, nor than three cycles.
        cycle: steps that cost differently and come in turn, each once; a ratio is then that of a cycle's sums.

    Returns:
        None if pytest-benchmark was told not to time (`--benchmark-disable`).
    """
    for _ in range(WARMUP if cycle == 1 else cycle):
        pair = stopwatch(forward, device) + stopwatch(step, device)
    rounds = max(min_rounds, min(MAX_ROUNDS, int(seconds / pair)))
    if cycle > 1:
        rounds = cycle * max(LEAST_CYCLES, rounds // cycle)
    forward_s: list[float] = []
    benchmark.pedantic(waited(step, device), setup=lambda: forward_s.append(stopwatch(forward, device)), rounds=rounds)
    if benchmark.stats is None:
        return None
    del forward_s[rounds:]  # --benchmark-cprofile takes another step, which is not timed
    step_s: list[float] = benchmark.stats["data"]
    cycles = zip(batched(step_s, cycle), batched(forward_s, cycle), strict=True)
    ratios = [sum(taken) / (2 * sum(reference)) for taken, reference in cycles]
    first, _, third = quantiles(ratios, n=4, method="inclusive")
    return StepTime(
        step_s=median(map(fmean, batched(step_s, cycle))),
        forward_s=median(forward_s),
        times_two_forwards=median(ratios),
        times_two_forwards_q1=first,
        times_two_forwards_q3=third,
        rounds=len(ratios),
    )


def spread_notes(time: StepTime) -> dict[str, str]:
    """What to do about ratios that scatter, under the figure's name; empty if they do not."""
    if time.spread <= WIDE_SPREAD:
        return {}
    return {"time.times_two_forwards": f"the quartiles are {time.spread:.0%} of the median apart: {STEADIER}"}
