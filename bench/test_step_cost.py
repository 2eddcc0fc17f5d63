"""What one unlearning step costs: method x model x batch size.

Memory, time and energy are three passes over the same step. The learning rate is zero: the work is the same, and the
weights stay where they are however often the step is repeated.
"""

from typing import Any

import torch

from bench.instruments.clock import time_paired, waited
from bench.instruments.memory import tensor_peak
from bench.methods import Hyperparameters, forward_loss, prepare_step
from bench.outcome import UNMEASURED, record_or_out_of_memory
from bench.record import Case, Kind, Record
from bench.session import Suite
from bench.workloads.datasets import ImageData
from bench.workloads.models import build_model, model_bytes

KIND: Kind = "step"
IDLE = Hyperparameters(lr=0.0, eps=1e-3, seed=0)


def test_step_cost(case: Case, suite: Suite, benchmark: Any) -> None:
    """Measure the case and keep its record."""
    benchmark.group = f"{case.model} batch {case.batch_size}"
    data = suite.data(case.image_size)
    size = model_bytes(case.model, data.spec)
    suite.keep(
        benchmark,
        record_or_out_of_memory(KIND, case, size, lambda: measure(case, data, suite, benchmark, size)),
    )


def measure(case: Case, data: ImageData, suite: Suite, benchmark: Any, size: int) -> Record:
    """The three passes over one warm step."""
    device, profile = torch.device(case.device), suite.profile
    model = build_model(case.model, data.spec, case.seed).to(device).eval()
    inputs, targets = (tensor.to(device) for tensor in _batch(data, case.batch_size))
    step = prepare_step(case.method, model, (inputs, targets), IDLE)
    memory = tensor_peak(step).as_memory()
    time = time_paired(
        benchmark, step.run, lambda: forward_loss(model, inputs, targets), device, profile.timing_s, profile.min_rounds
    )
    window = suite.meter.repeat(waited(step.run, device), profile.window_s)
    notes = UNMEASURED | window.notes()
    if time is None:
        notes["time"] = "timing was turned off (--benchmark-disable)"
    return Record(
        kind=KIND,
        outcome="ok",
        case=case,
        model_bytes=size,
        time=time,
        memory=memory,
        energy=window.per_step(),
        notes=notes,
    )


def _batch(data: ImageData, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `size` training samples, from the beginning again where there are fewer."""
    indices = torch.arange(size) % len(data.train_labels)
    return data.train_images[indices], data.train_labels[indices]
