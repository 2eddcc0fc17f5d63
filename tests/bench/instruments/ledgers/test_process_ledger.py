"""The process ledger: what a fresh child touches is what it reads, whatever the parent did."""

import os
import signal
import sys
import time

import psutil
import pytest
import torch
from torch import nn

from bench.instruments.ledgers.process_ledger import RESET, NoProcessLedger, ProcessLedger, process_ledger
from bench.instruments.stand_in import StandIn
from bench.record import Case
from bench.workloads.models import ImageSpec, models

MIB = 2**20
pytestmark = pytest.mark.skipif(not RESET.exists(), reason=f"{sys.platform} tells no peak of a process")


class Toucher(nn.Module):
    """Writes to so many MiB in a forward pass, and lets go of them."""

    def __init__(self, mib: int, before: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.mib, self.before = mib, before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.before:
            torch.ones(self.before * MIB // 4)
            self.before = 0
        torch.ones(self.mib * MIB // 4)
        return x.flatten(1)[:, :10] * self.weight


class Violent(nn.Module):
    def forward(self, _: torch.Tensor) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Leaving(nn.Module):
    def forward(self, _: torch.Tensor) -> None:
        sys.exit("enough")


class Vanishing(nn.Module):
    def forward(self, _: torch.Tensor) -> None:
        os._exit(3)


class Sleeping(nn.Module):
    def forward(self, _: torch.Tensor) -> None:
        time.sleep(600)


class Telling(nn.Module):
    """Fails, and says in what surroundings."""

    def forward(self, _: torch.Tensor) -> None:
        malloc = {name: value for name, value in sorted(os.environ.items()) if name.startswith("MALLOC_")}
        raise RuntimeError(f"{torch.get_num_threads()} threads, {malloc}")


class Failing(nn.Module):
    def forward(self, _: torch.Tensor) -> torch.Tensor:
        print("a model that prints")  # noqa: T201
        raise RuntimeError("no forward pass today\nand more")


for _size in (16, 80):
    models.register(f"touches-{_size}")(lambda _, size=_size: Toucher(size))
models.register("touches-much-at-first")(lambda _: Toucher(16, before=200))
models.register("violent")(lambda _: Violent())
models.register("leaving")(lambda _: Leaving())
models.register("vanishing")(lambda _: Vanishing())
models.register("sleeping")(lambda _: Sleeping())
models.register("telling")(lambda _: Telling())
models.register("failing")(lambda _: Failing())


def stand_in(model: str, threads: int = 1) -> StandIn:
    case = Case(
        method="forward",
        model=model,
        dataset="none",
        image_size=8,
        batch_size=2,
        device="cpu",
        threads=threads,
        seed=0,
    )
    return StandIn.of(case, ImageSpec(1, 8, 10), None)


def peak(model: str) -> int:
    found = process_ledger().peak(stand_in(model))
    assert found.reason is None
    assert found.total is not None
    assert found.start is not None
    assert found.start < found.total
    return found.total


def test_it_reads_what_a_step_touches() -> None:
    """64 MiB more are 64 MiB more, to a quarter of a MiB."""
    assert peak("touches-80") - peak("touches-16") == pytest.approx(64 * MIB, abs=MIB / 4)


def test_it_reads_the_same_again() -> None:
    found = [peak("touches-16") for _ in range(5)]
    assert max(found) - min(found) < MIB / 2


def test_the_warm_step_does_not_count() -> None:
    assert peak("touches-much-at-first") - peak("touches-16") == pytest.approx(0, abs=MIB / 2)


def test_the_parents_memory_does_not_leak_in() -> None:
    before = peak("touches-16")
    held = torch.ones(200 * MIB // 4)
    assert peak("touches-16") - before == pytest.approx(0, abs=MIB / 2)
    assert held.numel()


def test_a_child_that_fails_or_dies_is_told_and_the_next_one_works() -> None:
    ledger = process_ledger()
    assert ledger.peak(stand_in("failing")).reason == "the child failed: RuntimeError: no forward pass today"
    assert ledger.peak(stand_in("violent")).reason == "the child was ended by signal 9"
    assert ledger.peak(stand_in("vanishing")).reason == "the child left with exit code 3 and no answer"
    assert ledger.peak(stand_in("leaving")).reason == "the child failed: SystemExit: enough"
    unknown = stand_in("cnn").model_copy(update={"modules": ("nowhere.to.be.found",)})
    assert ledger.peak(unknown).reason == "the child failed: ModuleNotFoundError: No module named 'nowhere'"
    assert peak("touches-16")


@pytest.mark.parametrize("threads", [1, 2])
def test_the_child_has_the_cases_threads_and_a_malloc_that_returns_what_is_freed(threads: int) -> None:
    malloc = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    reason = process_ledger().peak(stand_in("telling", threads)).reason
    assert reason == f"the child failed: RuntimeError: {threads} threads, {malloc}"


def test_a_child_that_hangs_is_ended_and_told() -> None:
    ledger = ProcessLedger(patience_s=1.0)
    assert ledger.peak(stand_in("sleeping")).reason == "the child had not answered after 1 s"
    assert ledger._server.poll() is None
    assert psutil.Process(ledger._server.pid).children() == []
    ledger.close()


def test_a_server_that_died_is_told() -> None:
    ledger = ProcessLedger()
    ledger._server.kill()
    ledger._server.wait()
    assert ledger.peak(stand_in("touches-16")).reason == "the process that measures in fresh children has died"
    ledger.close()


def test_elsewhere_there_is_a_reason() -> None:
    found = NoProcessLedger().peak(stand_in("touches-16"))
    assert found.total is None
    assert "does not tell a process's peak" in str(found.reason)
