"""The allocator's ledger against the tensor ledger: never below it, and above it only by what kernels use inside."""

from itertools import accumulate

import pytest
import torch
from torch import nn
from torch.autograd.profiler import profile

from bench.arms.arm import Step
from bench.arms.table import prepare_step
from bench.instruments.ledgers.allocator_ledger import AllocatorPeak, _peak_within, allocator_peak
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.machine import available_devices
from bench.instruments.stand_in import IDLE, StandIn
from bench.profiles import load_profile
from bench.record import Case
from bench.workloads.models import ImageSpec, build_model
from tests.bench.instruments.ledgers.test_tensor_ledger import (
    KIB,
    allocate_two,
    free_between,
    numbers,
    perceptron,
    two_forward_passes,
    views_are_free,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("run", [allocate_two, free_between, views_are_free, two_forward_passes])
def test_programs_without_scratch_read_the_same_in_both(run) -> None:
    def step() -> Step:
        return Step(lambda: float(run() is None), nn.Module(), (torch.zeros(0), torch.zeros(0)), None)

    assert allocator_peak(step, CPU).total == tensor_peak(step).total > 0


@pytest.mark.parametrize("method", ["forward", "fo-ga", "zo-ga-gaussian"])
def test_a_network_without_convolutions_needs_no_scratch(method: str) -> None:
    """Neither matrix products nor tanh do; only the linear layers' inputs are there, 64 by 32 numbers and labels."""

    def step() -> Step:
        return prepare_step(method, perceptron(3, 32), (torch.zeros(64, 32), torch.zeros(64).long()), IDLE)

    found = allocator_peak(step, CPU)
    assert found.basis == "peak"
    assert found.total == tensor_peak(step).total


@pytest.mark.parametrize("case", load_profile("smoke").step_cases(), ids=lambda case: case.id)
def test_it_is_never_below_the_tensor_ledger(case: Case) -> None:
    stand_in = StandIn.of(case, ImageSpec(1, case.image_size, 10), None)
    assert allocator_peak(stand_in.prepare, CPU).total >= tensor_peak(stand_in.prepare).total


def convolutional_step() -> Step:
    model = build_model("cnn", ImageSpec(1, 32, 10), seed=0).eval()
    return prepare_step("forward", model, (torch.zeros(8, 1, 32, 32), torch.zeros(8).long()), IDLE)


def test_the_excess_is_the_scratch_of_convolutions() -> None:
    """The most is allocated while a convolution is running."""
    excess = allocator_peak(convolutional_step, CPU).total - tensor_peak(convolutional_step).total
    assert excess > 0
    step = convolutional_step()
    step.run()
    with profile(use_cpu=True, profile_memory=True) as profiler:
        step.run()
    events = sorted(profiler.kineto_results.events(), key=lambda event: event.start_ns())
    memory = [event for event in events if event.name() == "[memory]"]
    live = list(accumulate(event.nbytes() for event in memory))
    moment = memory[live.index(max(live))].start_ns()
    around = {event.name() for event in events if event.start_ns() <= moment <= event.end_ns()}
    assert "aten::conv2d" in around


def test_it_reads_the_same_again_and_whatever_was_allocated_before() -> None:
    first = allocator_peak(convolutional_step, CPU)
    held = torch.zeros(2**20)
    assert allocator_peak(convolutional_step, CPU) == first
    assert held.numel()


def test_neither_preparing_nor_the_warm_step_counts_but_what_they_leave_does() -> None:
    """Preparing takes 256 KiB and keeps 4, the first step takes 128 and keeps 2; the second takes 16."""

    def step() -> Step:
        numbers(256)
        kept = [numbers(4)]

        def run() -> float:
            if len(kept) == 1:
                numbers(128)
                kept.append(numbers(2))
            numbers(16)
            return 0.0

        return Step(run, nn.Module(), (torch.zeros(0), torch.zeros(0)), None)

    assert allocator_peak(step, CPU) == AllocatorPeak((4 + 2 + 16) * KIB, "peak")


class Event:
    """What the profiler's library tells of one event."""

    def __init__(self, start: int, nbytes: int = 0, name: str = "[memory]", end: int = 0) -> None:
        self.start_ns, self.end_ns = (lambda: start), (lambda: end or start)
        self.nbytes, self.name = (lambda: nbytes), (lambda: name)


@pytest.mark.parametrize(
    ("memory", "peak"),
    [
        ([(1, 100), (5, -100), (20, 10)], 10),  # what is gone before does not count
        ([(20, 10), (40, 500)], 10),  # nor what comes after
        ([(1, 50), (20, -50)], 50),  # what is there at the start does
        ([(1, 50), (20, 30), (25, -30), (28, 20)], 80),
        ([(20, 30), (28, 20)], 50),  # the very last event, too
        ([(28, 20), (25, -30), (20, 30), (1, 50)], 80),  # told in any order
        ([], 0),
    ],
)
def test_the_peak_is_the_highest_sum_within_the_step(memory: list[tuple[int, int]], peak: int) -> None:
    """The step lasts from 10 to 30."""
    events = [*(Event(start, size) for start, size in memory), Event(10, name="step", end=30), Event(12, name="other")]
    assert _peak_within("step", events) == peak


def test_where_torch_keeps_no_peak_it_is_sampled_after_every_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Metal; there are 100 bytes before, and then 130, 190 and 150 after the three operations of the second step."""
    readings = iter([100, 130, 190, 150])
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: next(readings))

    def run() -> float:
        torch.zeros(1).add(1).mul(2)
        return 0.0

    found = allocator_peak(lambda: Step(run, nn.Module(), (), None), torch.device("mps"))
    assert found == AllocatorPeak(90, "sampled")
    assert next(readings, None) is None


def test_the_profiler_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    allocator_peak(convolutional_step, CPU)
    assert capfd.readouterr() == ("", "")


@pytest.mark.cuda
@pytest.mark.skipif("cuda" not in available_devices(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["forward", "fo-ga", "zo-ga"])
def test_on_cuda_it_is_never_below_the_tensor_ledger_and_repeats(method: str) -> None:
    """CUDA's allocator hands out multiples of 512 bytes."""
    cuda = torch.device("cuda")

    def step() -> Step:
        model = build_model("resnet18", ImageSpec(3, 32, 10), seed=0).to(cuda).eval()
        batch = torch.zeros(8, 3, 32, 32, device=cuda), torch.zeros(8, device=cuda).long()
        return prepare_step(method, model, batch, IDLE)

    found = [allocator_peak(step, cuda) for _ in range(3)]
    assert found[0] == found[1] == found[2]
    assert found[0].total >= tensor_peak(step).total
