"""The allocator's ledger: the peak of what torch's allocator handed out during one step, kernel scratch included.

On a CPU it is the running sum of the profiler's memory events; CUDA and XPU keep their own peak; MPS keeps none, so
there it is sampled after every operation.
"""

import os
from bisect import bisect
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from torch.autograd.profiler import profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode

from bench.arms.arm import Step
from bench.instruments.clock import synchronize
from bench.instruments.garbage import no_garbage

MEASURED = "the measured step"
SILENT = "99"  # the profiler's library writes to the terminal at every start and stop


@dataclass(frozen=True)
class AllocatorPeak:
    """The peak in bytes, and whether it is a true "peak" or the highest value "sampled"."""

    total: int
    basis: Literal["peak", "sampled"]


def allocator_peak(prepare: Callable[[], Step], device: torch.device) -> AllocatorPeak:
    """Peak of allocated bytes during a step, taken once before, beyond what was allocated before it was prepared.

    Args:
        prepare: makes the step, model and batch included, on `device`.
    """
    with no_garbage():
        if device.type == "cpu":
            return AllocatorPeak(_cpu_peak(prepare), "peak")
        if device.type == "mps":
            return AllocatorPeak(_sampled_peak(prepare, torch.mps.current_allocated_memory), "sampled")
        return AllocatorPeak(_accelerator_peak(prepare, device), "peak")


def _cpu_peak(prepare: Callable[[], Step]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
    with profile(use_cpu=True, profile_memory=True) as profiler:
        step = prepare()
        step.turn()
        with record_function(MEASURED):
            step.turn()
    return _peak_within(MEASURED, profiler.kineto_results.events())


def _peak_within(name: str, events: Iterable[Any]) -> int:
    """Highest running sum of all memory events from the start to the end of the event called `name`."""
    in_order = sorted(events, key=lambda event: event.start_ns())
    span = next(event for event in in_order if event.name() == name)
    memory = [event for event in in_order if event.name() == "[memory]"]
    live: list[int] = list(accumulate((event.nbytes() for event in memory), initial=0))
    first, last = (bisect([event.start_ns() for event in memory], end) for end in (span.start_ns(), span.end_ns()))
    return max(live[first : last + 1])


def _accelerator_peak(prepare: Callable[[], Step], device: torch.device) -> int:
    _make_workspaces(device)
    torch.accelerator.empty_cache()
    before = torch.accelerator.memory_allocated(device)
    step = prepare()
    step.turn()
    synchronize(device)
    torch.accelerator.reset_peak_memory_stats(device)
    step.turn()
    synchronize(device)
    return int(torch.accelerator.max_memory_allocated(device)) - before


def _make_workspaces(device: torch.device) -> None:
    """Have the matrix libraries allocate what they then keep, lest only a process's first case pay for it.

    Every thread that multiplies has its own, and backpropagation has a thread of its own.
    """
    factor = torch.ones(8, 8, device=device, requires_grad=True)
    (factor @ factor).sum().backward()
    synchronize(device)


def _sampled_peak(prepare: Callable[[], Step], allocated: Callable[[], int]) -> int:
    before = allocated()
    step = prepare()
    step.turn()
    samples: list[int] = []
    with _after_every_operation(lambda: samples.append(allocated())):
        step.turn()
    return max(samples) - before


def _after_every_operation(act: Callable[[], None]) -> AbstractContextManager[Any]:
    class After(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            outputs = func(*args, **(kwargs or {}))
            act()
            return outputs

    return After()  # type: ignore[no-untyped-call]
