"""The clock: how often it asks for what, and which figure it makes of the times, against counts and closed forms."""

import itertools
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from bench.instruments.clock import MAX_ROUNDS, STEADIER, WARMUP, spread_notes, time_paired, waited
from bench.record import StepTime

CPU = torch.device("cpu")


class Machine:
    """A clock that only work moves on, and pytest-benchmark's fixture on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cprofile: bool = False) -> None:
        self.now = 0.0
        self.cprofile = cprofile
        self.stats: dict[str, list[float]] | None = None
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, *seconds: float) -> Callable[[], None]:
        """Takes the first of `seconds`, the next time the second, and so on round."""
        durations = itertools.cycle(seconds)

        def take() -> None:
            self.now += next(durations)

        return take

    def pedantic(self, target: Callable[[], None], setup: Callable[[], None], rounds: int) -> None:
        """As pytest-benchmark does it; profiling takes one more step."""
        data = []
        for _ in range(rounds):
            setup()
            start = self.now
            target()
            data.append(self.now - start)
        if self.cprofile:
            setup()
            target()
        self.stats = {"data": data}


@pytest.mark.parametrize("cprofile", [False, True])
def test_the_ratio_is_the_median_of_paired_ratios_and_so_are_its_quartiles(
    monkeypatch: pytest.MonkeyPatch, cprofile: bool
) -> None:
    """A machine that becomes slow for a while: of the pairs it makes 1, 2, 3, 10 and 0.5 times two forwards.

    The medians of the times, 5 and 2 s, would make it 1.25.
    """
    machine = Machine(monkeypatch, cprofile)
    forward = machine.work(0.5, 0.5, 2.0, 3.0, 0.5, 0.25, 8.0)  # the first two are the warm-up
    step = machine.work(0.5, 0.5, 4.0, 12.0, 3.0, 5.0, 8.0)
    found = time_paired(machine, step, forward, CPU, seconds=0.0, min_rounds=5)
    assert found == StepTime(
        step_s=5.0,
        forward_s=2.0,
        times_two_forwards=2.0,
        times_two_forwards_q1=1.0,
        times_two_forwards_q3=3.0,
        rounds=5,
    )


def test_where_steps_come_in_turn_a_ratio_is_that_of_a_whole_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 1, 2 and 3 s in turn beside forwards of 1 s are 1.0 times two forwards. The first turn is the warm-up;
    in the third all takes twice as long, in the fourth the steps alone.
    """
    machine = Machine(monkeypatch)
    step = machine.work(1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 2.0, 4.0, 6.0)
    forward = machine.work(*[1.0] * 6, *[2.0] * 3, *[1.0] * 3)
    found = time_paired(machine, step, forward, CPU, seconds=0.0, min_rounds=5, cycle=3)
    assert found is not None
    assert machine.stats is not None
    assert machine.stats["data"] == [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 2.0, 4.0, 6.0]
    assert (found.rounds, found.step_s, found.times_two_forwards) == (3, 4.0, 1.0)
    assert (found.times_two_forwards_q1, found.times_two_forwards_q3) == (1.0, 1.5)


@pytest.mark.parametrize(
    ("pair_s", "seconds", "rounds"), [(0.5, 4.0, 8), (0.5, 1.0, 3), (0.001, 10.0, MAX_ROUNDS), (4.0, 1.0, 3)]
)
def test_rounds_fill_the_time_within_bounds(
    monkeypatch: pytest.MonkeyPatch, pair_s: float, seconds: float, rounds: int
) -> None:
    machine = Machine(monkeypatch)
    half = machine.work(pair_s / 2)
    found = time_paired(machine, half, half, CPU, seconds=seconds, min_rounds=3)
    assert found is not None
    assert found.rounds == rounds


def test_the_first_rounds_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for how many there are: here the first of two for warming up takes a hundred seconds."""
    machine = Machine(monkeypatch)
    step = machine.work(100.0, *[0.25] * 100)
    found = time_paired(machine, step, machine.work(0.25), CPU, seconds=5.0, min_rounds=1)
    assert WARMUP == 2
    assert found is not None
    assert (found.rounds, found.step_s) == (10, 0.25)


def test_work_on_a_device_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: order.append(f"wait for {device}"))
    assert waited(lambda: order.append("work") or 7, torch.device("cuda"))() == 7
    assert order == ["work", "wait for cuda"]
    waited(lambda: None, CPU)()
    assert len(order) == 2


def test_with_pytest_benchmark_turned_off_there_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    off = SimpleNamespace(pedantic=lambda target, setup, rounds: target(), stats=None)
    assert time_paired(off, machine.work(1.0), machine.work(1.0), CPU, seconds=1.0, min_rounds=3) is None


@pytest.mark.parametrize(("first", "third", "told"), [(0.98, 1.06, None), (0.955, 1.05, None), (0.9, 1.07, "17%")])
def test_a_wide_spread_is_told_with_its_remedy(first: float, third: float, told: str | None) -> None:
    found = StepTime(
        step_s=2.0,
        forward_s=1.0,
        times_two_forwards=1.0,
        times_two_forwards_q1=first,
        times_two_forwards_q3=third,
        rounds=5,
    )
    text = f"the quartiles are {told} of the median apart: {STEADIER}"
    assert spread_notes(found) == ({"time.times_two_forwards": text} if told else {})


def test_step_and_forward_alternate(benchmark) -> None:
    order: list[str] = []
    found = time_paired(
        benchmark, lambda: order.append("step"), lambda: order.append("forward"), CPU, seconds=0.0, min_rounds=7
    )
    assert found is not None
    assert found.rounds == 7
    assert order == ["forward", "step"] * (WARMUP + 7)


def test_pytest_benchmarks_own_profiling_changes_nothing(pytester: pytest.Pytester) -> None:
    """`--benchmark-cprofile` takes a step more than it times."""
    pytester.makepyfile(
        """
        import torch
        from bench.instruments.clock import time_paired

        def test_it(benchmark):
            found = time_paired(benchmark, lambda: None, lambda: None, torch.device("cpu"), seconds=0.0, min_rounds=4)
            assert found.rounds == 4
        """
    )
    pytester.runpytest("-p", "no:cacheprovider", "--benchmark-cprofile=tottime").assert_outcomes(passed=1)
