"""Clock, energy and machine: units and honesty, against counts and closed forms."""

import socket
import time
from pathlib import Path

import psutil
import pytest
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from bench.instruments.clock import time_paired
from bench.instruments.energy import EnergyMeter, EnergyWindow, check_country, known_countries
from bench.instruments.machine import describe_commit, describe_machine

CPU = torch.device("cpu")


def test_step_and_forward_alternate_and_the_ratio_is_paired(benchmark) -> None:
    """A step that sleeps six times as long as the forward pass is three times two forwards."""
    order: list[str] = []

    def step() -> None:
        assert _get_current_dispatch_mode() is None
        order.append("step")
        time.sleep(0.018)

    def forward() -> None:
        order.append("forward")
        time.sleep(0.003)

    found = time_paired(benchmark, step, forward, CPU, seconds=0.1, min_rounds=7)
    assert found is not None
    assert found.rounds == 7
    assert order[-14:] == ["forward", "step"] * 7
    assert found.step_s >= 0.018
    assert found.forward_s >= 0.003
    assert 1 < found.times_two_forwards < 5  # 3 but for what sleeping overshoots


def test_rounds_fill_the_time(benchmark) -> None:
    found = time_paired(benchmark, lambda: time.sleep(0.004), lambda: None, CPU, seconds=0.4, min_rounds=3)
    assert found is not None
    assert 3 < found.rounds <= 100


@pytest.fixture(scope="module")
def meter() -> EnergyMeter:
    return EnergyMeter("FRA")


def burn() -> None:
    torch.ones(300, 300).matmul(torch.ones(300, 300))


def test_a_window_lasts_as_long_as_asked_and_has_a_basis(meter: EnergyMeter) -> None:
    window = meter.repeat(burn, at_least_s=1.2)
    assert window.window_s >= 1.2
    assert window.repeats > 1
    assert window.joules is not None
    assert window.joules > 0
    assert window.co2e_g is not None
    assert window.co2e_g > 0
    assert window.country == "FRA"
    assert window.notes() == {}
    if not Path("/sys/class/powercap/intel-rapl:0").exists():
        assert window.basis == "estimated"


def test_a_short_window_has_no_figure_but_a_reason(meter: EnergyMeter) -> None:
    window = meter.repeat(burn, at_least_s=0.01)
    assert (window.joules, window.co2e_g) == (None, None)
    assert "under 1 s there is no figure" in window.notes()["energy"]


def test_energy_per_step_divides_the_window() -> None:
    window = EnergyWindow(12.0, 0.6, 3.0, repeats=2, basis="measured", backend="test", country="FRA")
    per_step = window.per_step(steps=3)
    assert (per_step.joules_per_step, per_step.steps) == (2.0, 6)
    assert per_step.co2e_g_per_step == pytest.approx(0.1)


def test_metering_uses_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the meter opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert EnergyMeter("USA").repeat(burn, at_least_s=1.05).joules is not None


def test_countries() -> None:
    assert {"USA", "FRA", "DEU", "IND"} <= set(known_countries())
    with pytest.raises(ValueError, match="no electricity data for country 'XYZ'; choose an ISO 3166"):
        check_country("XYZ")


def test_the_machine_is_this_one() -> None:
    machine = describe_machine()
    assert machine.cores == psutil.cpu_count()
    assert torch.__version__.startswith(machine.versions["torch"])
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.processor


def test_no_commit_outside_git(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) == (None, None)
