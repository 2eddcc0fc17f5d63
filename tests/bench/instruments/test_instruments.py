"""Energy and machine: units and honesty, against counts and closed forms."""

import inspect
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from codecarbon.core.config import get_hierarchical_config
from codecarbon.emissions_tracker import BaseEmissionsTracker
from codecarbon.external.hardware import CPU, GPU, BaseHardware
from codecarbon.external.ram import RAM

from bench.instruments import machine as machine_room
from bench.instruments.energy import EnergyMeter, EnergyWindow, NoMeter, Share, check_country, known_countries
from bench.instruments.machine import CPU_INFO, available_devices, describe_commit, describe_machine
from bench.record import EnergyShare


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


def part(kind: type[BaseHardware], **attributes: object) -> BaseHardware:
    """A piece of hardware as CodeCarbon describes it, which need not be there."""
    made = kind.__new__(kind)
    vars(made).update(attributes, description=lambda: kind.__name__)
    return made


class Tracker:
    """CodeCarbon's tracker: `used` at the end of every task, on `hardware`."""

    def __init__(self, hardware: list[BaseHardware], **used: float) -> None:
        self._hardware, self.used = hardware, SimpleNamespace(**used)
        self.open = False

    def start_task(self, _: str) -> None:
        assert not self.open
        self.open = True

    def stop_task(self) -> SimpleNamespace:
        self.open = False
        return self.used


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnergyWindow]:
    """A window of two repeats, a second each, with the processor, the memory and a card, on which a tensor is made."""

    def meter_it(mode: str, on_cuda: bool = False) -> EnergyWindow:
        used = {"cpu_energy": 2e-6, "ram_energy": 1e-6, "gpu_energy": 5e-6, "energy_consumed": 8e-6, "emissions": 4e-7}
        meter = EnergyMeter.__new__(EnergyMeter)
        meter.country, meter._windows = "FRA", 0
        meter._tracker = Tracker([part(CPU, _mode=mode), part(RAM), part(GPU)], **used)
        now, allocations = [0.0], [3]

        def work() -> None:
            now[0] += 1.0
            allocations[0] += on_cuda

        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        monkeypatch.setattr(torch.cuda, "memory_stats", lambda: {"allocation.all.allocated": allocations[0]})
        return meter.repeat(work, at_least_s=1.5)

    return meter_it


def test_joules_and_grams_from_kilowatt_hours_and_kilograms(metered: Callable[..., EnergyWindow]) -> None:
    """8e-6 kWh are 28.8 J, and 4e-7 kg are 0.4 mg."""
    window = metered("intel_rapl", on_cuda=True)
    assert (window.window_s, window.repeats) == (2.0, 2)
    assert window.joules == pytest.approx(28.8)
    assert window.co2e_g == pytest.approx(4e-4)
    assert {name: share.joules for name, share in window.shares.items()} == pytest.approx(
        {"cpu": 7.2, "ram": 3.6, "gpu": 18.0}
    )


@pytest.mark.parametrize("mode", ["intel_rapl", "windows_emi", "intel_power_gadget"])
def test_a_counter_measures_the_machine_and_the_memory_is_estimated(
    metered: Callable[..., EnergyWindow], mode: str
) -> None:
    window = metered(mode, on_cuda=True)
    known = {name: (share.basis, share.boundary) for name, share in window.shares.items()}
    measured, estimated = ("measured", "machine"), ("estimated", "process")
    assert known == {"cpu": measured, "ram": estimated, "gpu": measured}
    assert window.basis == "measured"


@pytest.mark.parametrize("mode", ["constant", "cpu_load"])
def test_a_processor_without_a_counter_is_estimated_and_so_is_the_whole(
    metered: Callable[..., EnergyWindow], mode: str
) -> None:
    window = metered(mode, on_cuda=True)
    assert (window.shares["cpu"].basis, window.shares["cpu"].boundary) == ("estimated", "process")
    assert window.shares["gpu"].basis == "measured"
    assert window.basis == "estimated"


def test_work_that_runs_on_the_processor_does_not_pay_for_an_idle_card(metered: Callable[..., EnergyWindow]) -> None:
    """3 of the 8 parts are the processor's and the memory's, of the emissions, too."""
    window = metered("intel_rapl")
    assert set(window.shares) == {"cpu", "ram"}
    assert window.joules == pytest.approx(10.8)
    assert window.co2e_g == pytest.approx(1.5e-4)


def test_no_figure_is_not_measured(meter: EnergyMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_tracker", Tracker([part(CPU, _mode="intel_rapl")]))
    window = meter.repeat(burn, at_least_s=0.0)
    assert (window.joules, window.basis) == (None, "estimated")


def test_a_window_does_not_count_what_the_tracker_takes(meter: EnergyMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here 5 s before and 7 s after; three repeats take 0.6 s, which is too short for a figure."""
    now = [0.0]

    class Slow(Tracker):
        def start_task(self, name: str) -> None:
            now[0] += 5.0

        def stop_task(self) -> SimpleNamespace:
            now[0] += 7.0
            return super().stop_task()

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(meter, "_tracker", Slow([]))
    window = meter.repeat(lambda: now.__setitem__(0, now[0] + 0.2), at_least_s=0.5)
    assert (window.window_s, window.repeats) == (pytest.approx(0.6), 3)
    assert window.joules is None


def test_work_that_fails_ends_its_window(meter: EnergyMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker([])
    monkeypatch.setattr(meter, "_tracker", tracker)

    def fail() -> None:
        assert tracker.open
        raise MemoryError

    with pytest.raises(MemoryError):
        meter.repeat(fail, at_least_s=1.0)
    assert not tracker.open


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
    """What is tried is kept, since CodeCarbon swallows errors."""
    tried: list[object] = []

    def refuse(*wanted: object, **_: object) -> None:
        tried.append(wanted)
        raise OSError("no network here")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert EnergyMeter("USA").repeat(burn, at_least_s=1.05).joules is not None
    assert tried == []


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
    (tmp_path / "intel-rapl:1").mkdir()
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("1")
    monkeypatch.setattr(os, "access", lambda path, _: "intel-rapl:0" in str(path))  # root may read anything
    assert describe_machine().rapl == "not readable"


@pytest.mark.skipif(not CPU_INFO.exists(), reason="asks Linux")
def test_a_container_is_known_by_its_file_or_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_room, "CONTAINER_FILES", (tmp_path / ".dockerenv",))
    for name in ("container", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    assert describe_machine().container is False
    (tmp_path / ".dockerenv").touch()
    assert describe_machine().container is True
    (tmp_path / ".dockerenv").unlink()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert describe_machine().container is True


def test_a_commit_and_whether_there_are_changes_on_top(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.org"]
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    git("commit", "--allow-empty", "-m", "first")
    assert describe_commit(tmp_path) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "new").touch()
    assert describe_commit(tmp_path) == (git("rev-parse", "HEAD"), True)
    (tmp_path / "inside").mkdir()
    assert describe_commit(tmp_path / "inside") == (None, None)  # it may be no part of the repository at all


def test_no_commit_outside_git(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) == (None, None)
