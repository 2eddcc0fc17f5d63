"""Measuring one step: memory (a pass a ledger), time and energy are passes of their own over the same step.

The learning rate is zero: the work is the same, and the weights stay where they are however often it is repeated.
"""

from typing import Any

import torch

from bench.arms.arm import forward_loss
from bench.arms.table import prepare_step
from bench.instruments.clock import spread_notes, time_paired, waited
from bench.instruments.memory import peak_memory
from bench.instruments.stand_in import IDLE
from bench.record import Case, Record
from bench.run.suite import Suite
from bench.workloads.images.samples import ImageData


def measure_step(case: Case, suite: Suite, benchmark: Any) -> Record:
    """Memory by the stand-in, then time and energy over one warm step on real images.

    Args:
        benchmark: pytest-benchmark's fixture, which times.
    """
    profile, stand_in = suite.profile, suite.materials.stand_in(case)
    memory, notes = peak_memory(stand_in)
    device, data = torch.device(case.device), suite.materials.data_of(case)
    inputs, targets = (tensor.to(device) for tensor in _batch(data, case.batch_size))
    model = stand_in.model().eval()
    step = prepare_step(case.method, model, (inputs, targets), IDLE, len(data.classes))
    time = time_paired(
        benchmark,
        step.run,
        lambda: forward_loss(model, inputs, targets),
        device,
        profile.timing_s,
        profile.min_rounds,
        step.cycle,
    )
    window = suite.meter.repeat(waited(step.run, device), profile.window_s)
    notes |= window.notes()
    if (whole := step.whole()) is not None:
        notes["reuse"] = f"every pass is a whole one: {whole}"
    notes |= {"time": "timing was turned off (--benchmark-disable)"} if time is None else spread_notes(time)
    return Record(
        kind="step",
        outcome="ok",
        case=case,
        model_bytes=suite.model_bytes(case),
        time=time,
        memory=memory,
        energy=window.per_step(),
        notes=notes,
    )


def _batch(data: ImageData, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `size` training samples, from the beginning again where there are fewer."""
    indices = torch.arange(size) % len(data.train)
    return data.train.images[indices], data.train.labels[indices]
