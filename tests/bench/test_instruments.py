"""Clock, energy and machine: units and honesty, against counts and closed forms."""

import inspect
import os
import shutil
import socket
import time
from pathlib import Path

import psutil
import pytest
import torch
from codecarbon.core.config import get_hierarchical_config
from codecarbon.emissions_tracker import BaseEmissionsTracker

from bench.instruments import machine as machine_room
from bench.instruments.clock import STEADIER, spread_notes, time_paired
from bench.instruments.energy import EnergyMeter, EnergyWindow, NoMeter, Share, check_country, known_countries
from bench.instruments.machine import CPU_INFO, available_devices, describe_commit, describe_machine
from bench.record import EnergyShare, StepTime

CPU = torch.device("cpu")


def test_step_and_forward_alternate_and_the_ratio_is_paired(benchmark) -> None:
    """A step that sleeps six times as long as the forward pass is three times two forwards."""
    order: list[str] = []

    def step() -> None:
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
    notes = spread_notes(found)
    assert (notes == {}) is (told is None)
    if told:
        text = f"the quartiles are {told} of the median apart: {STEADIER}"
        assert notes == {"time.times_two_forwards": text}


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
    window = EnergyWindow(
        window_s=3.0,
        repeats=2,
        joules=12.0,
        co2e_g=0.6,
        reason=None,
        basis="measured",
        backend="test",
        country="FRA",
        shares={"cpu": Share(9.0, "measured", "machine"), "ram": Share(3.0, "estimated", "process")},
    )
    per_step = window.per_step(steps=3)
    assert per_step is not None
    assert (per_step.joules_per_step, per_step.steps) == (2.0, 6)
    assert per_step.co2e_g_per_step == pytest.approx(0.1)
    assert per_step.cpu == EnergyShare(joules_per_step=1.5, basis="measured", boundary="machine")
    assert per_step.ram == EnergyShare(joules_per_step=0.5, basis="estimated", boundary="process")
    assert per_step.gpu is None


def test_the_shares_add_up_and_each_has_its_basis(meter: EnergyMeter) -> None:
    window = meter.repeat(burn, at_least_s=1.1)
    assert {"cpu", "ram"} <= set(window.shares)
    assert sum(share.joules for share in window.shares.values()) == pytest.approx(window.joules)
    assert window.shares["ram"].basis == "estimated"
    assert window.basis == window.shares["cpu"].basis or "gpu" in window.shares


def test_no_meter_does_nothing_and_says_why() -> None:
    def unwanted() -> None:
        raise AssertionError("the work was done")

    window = NoMeter("energy was turned off (--no-energy)").repeat(unwanted, at_least_s=2.0)
    assert (window.joules, window.per_step()) == (None, None)
    assert window.notes()["energy"] == "energy was turned off (--no-energy)"


def test_no_configuration_slips_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from the home folder, nor from the current one, nor from the environment; and nothing is written.

    Every setting that CodeCarbon has is in all three, with a value that would show.
    """
    clean = dict(EnergyMeter("FRA")._tracker._conf)
    names = sorted(set(inspect.signature(BaseEmissionsTracker).parameters) | {"region", "cloud_provider"})
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
        settings = "\n".join(f"{name} = 7" for name in names if name not in ("tracking_mode", "output_dir"))
        text = f"[codecarbon]\n{settings}\ntracking_mode = machine\noutput_dir = {tmp_path}\n"
        (folder / ".codecarbon.config").write_text(text)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CODECARBON_PUE", "9")
    monkeypatch.chdir(here)
    assert get_hierarchical_config() | {"pue": "9", "force_ram_power": "7"} == get_hierarchical_config()
    tracker = EnergyMeter("FRA")._tracker
    assert {name: tracker._conf[name] for name in clean} == clean
    assert (tracker._tracking_mode, tracker._pue, tracker._force_ram_power) == ("process", 1.0, None)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".codecarbon.config"] * 2 + ["here", "home"]


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
    assert machine.physical_cores == psutil.cpu_count(logical=False)
    assert torch.__version__.startswith(machine.versions["torch"])
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.processor
    assert machine.architecture == os.uname().machine
    assert (machine.accelerator is None) == (available_devices() == ["cpu"])
    assert (machine.driver is not None) == (shutil.which("nvidia-smi") is not None)


@pytest.mark.skipif(not CPU_INFO.exists(), reason="asks Linux")
def test_linux_tells_what_the_machine_is_made_of() -> None:
    machine = describe_machine()
    assert machine.libc is None or machine.libc.split()[-1] in (os.confstr("CS_GNU_LIBC_VERSION") or machine.libc)
    assert machine.container in (True, False)
    if " hypervisor " in CPU_INFO.read_text():
        assert machine.virtual_machine is True
    counters = list(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    assert (machine.rapl == "absent") == (not counters)


def test_a_counter_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_room, "RAPL", tmp_path)
    assert describe_machine().rapl == "absent"
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("1")
    assert describe_machine().rapl == "readable"
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read anything
    assert describe_machine().rapl == "not readable"


def test_no_commit_outside_git(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) == (None, None)
