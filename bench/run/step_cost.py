"""Measuring one step: memory (a pass a ledger), time and energy are passes of their own over the same step.

The learning rate is zero: the work is the same, and the weights stay where they are however often it is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bench.arms.arm import Batch, forward_loss
from bench.arms.engine import forward_on_engine, on_engine
from bench.arms.table import prepare_step
from bench.instruments.clock import spread_notes, time_paired, waited
from bench.instruments.ledgers.whole_process import life_peak, under_caps
from bench.instruments.memory import peak_memory
from bench.instruments.stand_in import IDLE, StandIn
from bench.profiles import StepPlan
from bench.record import Case, Memory, Record
from bench.run.suite import Suite
from bench.workloads.images.samples import ImageData
from zo_core.ascent.plan import MOVABLE, PLAIN


@dataclass(frozen=True)
class _Work:
    """What is timed: a step, and a forward pass of the same batch; `cycle` and `whole` as in `Steps`."""

    step: Callable[[], Any]
    forward: Callable[[], Any]
    cycle: int = 1
    whole: Callable[[], str | None] = lambda: None


def measure_step(case: Case, suite: Suite, benchmark: Any) -> Record:
    """Memory by the stand-in, then time and energy over one warm step on real images.

    Args:
        benchmark: pytest-benchmark's fixture, which times.
    """
    profile, stand_in = suite.profile, suite.materials.stand_in(case)
    memory, notes = _memory(stand_in, profile.step_plan_of(case))
    device, data = torch.device(case.device), suite.materials.data_of(case)
    inputs, targets = (tensor.to(device) for tensor in _batch(data, case.batch_size))
    prepare = _on_torch if case.engine == "torch" else _on_engine
    work = prepare(stand_in, (inputs, targets), len(data.classes))
    time = time_paired(benchmark, work.step, work.forward, device, profile.timing_s, profile.min_rounds, work.cycle)
    window = suite.meter.repeat(waited(work.step, device), profile.window_s)
    notes |= window.notes()
    if (whole := work.whole()) is not None:
        notes["reuse"] = f"every pass is a whole one: {whole}"
    notes |= {"time": "timing was turned off (--benchmark-disable)"} if time is None else spread_notes(time)
    return Record(
        kind="step",
        outcome="ok",
        case=case,
        model_bytes=suite.model_bytes(case),
        time=time,
        memory=memory,
        caps=tuple(under_caps(stand_in, profile.step_plan_of(case).memory_caps)),
        energy=window.per_step(),
        notes=notes,
    )


def _memory(stand_in: StandIn, plan: StepPlan) -> tuple[Memory, dict[str, str]]:
    """The ledgers, and, where the plan asks for it, the peak of a process over its life."""
    memory, notes = peak_memory(stand_in)
    if not plan.whole_life:
        return memory, notes
    peak = life_peak(stand_in)
    missing = {} if peak.reason is None else {"memory.process_life_bytes": peak.reason}
    return memory.model_copy(update={"process_life_bytes": peak.total}), notes | missing


def _on_torch(stand_in: StandIn, batch: Batch, classes: int) -> _Work:
    model = stand_in.model().eval()
    step = prepare_step(stand_in.case.method, model, batch, IDLE, classes)
    return _Work(step.run, lambda: forward_loss(model, *batch), step.cycle, step.whole)


def _on_engine(stand_in: StandIn, batch: Batch, classes: int) -> _Work:
    """The forward pass is plain inference, with weights that the engine may lay out as it likes."""
    name, on = stand_in.case.method, stand_in.packaged()
    forward = forward_on_engine(PLAIN, on, batch)
    if name in (PLAIN, MOVABLE):
        return _Work(forward_on_engine(name, on, batch), forward)
    images, labels = (tensor.numpy() for tensor in batch)
    optimizer = on_engine(name, on, IDLE)
    return _Work(lambda: optimizer.step(images, labels), forward)


def _batch(data: ImageData, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `size` training samples, from the beginning again where there are fewer."""
    indices = torch.arange(size) % len(data.train)
    return data.train.images[indices], data.train.labels[indices]
