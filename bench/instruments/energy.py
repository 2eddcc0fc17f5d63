"""Energy and emissions of a piece of work, by CodeCarbon: one offline tracker for the session, one task a window.

CodeCarbon swallows errors and reads configuration files and the environment, so the tracker is made deaf to both,
everything that matters is passed explicitly, and the country is checked beforehand.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

import torch
from codecarbon import OfflineEmissionsTracker
from codecarbon.external.hardware import CPU, GPU, BaseHardware
from codecarbon.external.ram import RAM
from codecarbon.input import DataSource

from bench.record import Basis, Boundary, EnergyShare, StepEnergy

JOULES_PER_KWH = 3.6e6
LEAST_WINDOW_S = 1.0
COUNTERS = ("intel_rapl", "windows_emi", "intel_power_gadget")


@dataclass(frozen=True)
class Share:
    """Joules of one kind of hardware in a window, how they are known, and whose they are."""

    joules: float
    basis: Basis
    boundary: Boundary


@dataclass(frozen=True)
class EnergyWindow:
    """Energy of repeated work.

    Attributes:
        window_s: how long the work took, in seconds.
        repeats: how often the work was done in it.
        joules: energy of the whole window; None where there is no figure.
        co2e_g: grams of CO2 equivalent of the whole window, by the country's grid; None likewise.
        reason: why there is no figure; None if there is one.
        basis: "measured" by a hardware counter, or "estimated" from load and table values, as is no figure at all;
            see `StepEnergy`.
        shares: the parts of the processor ("cpu"), the memory ("ram") and the accelerator ("gpu"), those there are.
        backend: what produced the figure.
        country: ISO 3166 alpha-3 code of the grid.
    """

    window_s: float
    repeats: int
    joules: float | None
    co2e_g: float | None
    reason: str | None
    basis: Basis
    backend: str
    country: str
    shares: dict[str, Share] = field(default_factory=dict)

    def per_step(self, steps: int = 1) -> StepEnergy | None:
        """The window divided by its steps, of which each repeat took `steps`; None if nothing was done in it."""
        taken = self.repeats * steps
        if taken == 0:
            return None
        shares = {
            name: EnergyShare(joules_per_step=share.joules / taken, basis=share.basis, boundary=share.boundary)
            for name, share in self.shares.items()
        }
        return StepEnergy(
            joules_per_step=None if self.joules is None else self.joules / taken,
            co2e_g_per_step=None if self.co2e_g is None else self.co2e_g / taken,
            window_s=self.window_s,
            steps=taken,
            basis=self.basis,
            backend=self.backend,
            country=self.country,
            **shares,
        )

    def notes(self) -> dict[str, str]:
        """Why there are no joules; empty if there are."""
        return {} if self.reason is None else {"energy": self.reason}


class Meter(Protocol):
    """What meters the energy of work."""

    def repeat(self, work: Callable[[], Any], at_least_s: float) -> EnergyWindow:
        """Do `work()` again and again until `at_least_s` seconds have passed, at least once, and meter the whole.

        Work for an accelerator must wait for it before it returns.
        """
        ...


class NoMeter:
    """Does nothing and has no figures, for a user who wants none.

    Args:
        reason: why, for the records.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def repeat(self, work: Callable[[], Any], at_least_s: float) -> EnergyWindow:
        """An empty window; the work is not done."""
        return EnergyWindow(0.0, 0, None, None, self._reason, basis="estimated", backend="none", country="")


@cache
def known_countries() -> list[str]:
    """ISO 3166 alpha-3 codes that CodeCarbon has a grid for, sorted."""
    return sorted(DataSource().get_global_energy_mix_data())


def check_country(country: str) -> None:
    """Raise ValueError unless CodeCarbon knows the country's grid (it would silently take the world's average)."""
    if country not in known_countries():
        choices = ", ".join(known_countries())
        raise ValueError(f"no electricity data for country {country!r}; choose an ISO 3166 alpha-3 code: {choices}")


class EnergyMeter:
    """A CodeCarbon tracker that attributes to this process what this process used.

    Hardware counters know no processes: a measured share is the whole processor's or accelerator's. What an idle GPU
    draws is not charged to work that does not run on it.

    Args:
        country: ISO 3166 alpha-3 code, as accepted by `check_country`.
    """

    def __init__(self, country: str) -> None:
        self.country = country
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it reads its own log_level
        self._tracker = _DeafTracker(
            country_iso_code=country,
            tracking_mode="process",
            measure_power_secs=15,
            output_methods=[],
            log_level="critical",
            allow_multiple_runs=True,
        )
        self._windows = 0
        self._task(lambda: None)  # the first task probes the hardware, which takes over a second

    def repeat(self, work: Callable[[], Any], at_least_s: float) -> EnergyWindow:
        """See `Meter.repeat`."""
        repeats, window_s = 0, 0.0

        def window() -> None:
            nonlocal repeats, window_s
            start = time.perf_counter()
            while repeats == 0 or window_s < at_least_s:
                work()
                repeats += 1
                window_s = time.perf_counter() - start

        before = _cuda_allocations()
        used = self._task(window)
        reason = _reason(used, window_s)
        shares = {} if reason else self._shares(used, on_cuda=_cuda_allocations() > before)
        joules = sum(share.joules for share in shares.values())
        return EnergyWindow(
            window_s=window_s,
            repeats=repeats,
            joules=None if reason else joules,
            co2e_g=None if reason else joules * _grams_per_joule(used),
            reason=reason,
            basis=_basis(shares),
            backend=f"codecarbon {version('codecarbon')}: {', '.join(part.description() for part in self._hardware)}",
            country=self.country,
            shares=shares,
        )

    def _task(self, work: Callable[[], Any]) -> Any:
        """CodeCarbon's figures for one piece of work, or None where it failed."""
        self._windows += 1
        self._tracker.start_task(f"window-{self._windows}")
        try:
            work()
        finally:
            used = self._tracker.stop_task()
        return used

    @property
    def _hardware(self) -> list[BaseHardware]:
        return list(self._tracker._hardware)

    def _shares(self, used: Any, on_cuda: bool) -> dict[str, Share]:
        """What each kind of hardware used, leaving out graphics processors that the work did not run on."""
        return {
            name: Share(getattr(used, f"{name}_energy") * JOULES_PER_KWH, *_known_by(part))
            for part in self._hardware
            if on_cuda or not isinstance(part, GPU)
            for name in [_kind(part)]
        }


class _DeafTracker(OfflineEmissionsTracker):
    """Takes nothing from `.codecarbon.config`, in the home folder or here, nor from the environment."""

    @property
    def _external_conf(self) -> dict[str, str]:
        return {}

    @_external_conf.setter
    def _external_conf(self, found: dict[str, str]) -> None:
        pass


def _reason(used: Any, window_s: float) -> str | None:
    if window_s < LEAST_WINDOW_S:
        return f"the window was {window_s:.2f} s long; under {LEAST_WINDOW_S:.0f} s there is no figure"
    return "CodeCarbon gave no figure for this window" if used is None else None


def _basis(shares: Mapping[str, Share]) -> Basis:
    """The memory's share is an estimate in any case, and does not count."""
    known = {share.basis for name, share in shares.items() if name != "ram"}
    return "measured" if known == {"measured"} else "estimated"


def _grams_per_joule(used: Any) -> float:
    """CO2 equivalent of the country's grid, from CodeCarbon's kilograms and kilowatt-hours."""
    return used.emissions * 1000 / (used.energy_consumed * JOULES_PER_KWH) if used.energy_consumed else 0.0


def _cuda_allocations() -> int:
    """How many tensors this process has put on a GPU so far: who works on one makes tensors there."""
    return int(torch.cuda.memory_stats().get("allocation.all.allocated", 0))


def _kind(part: BaseHardware) -> str:
    if isinstance(part, RAM):
        return "ram"
    chip = getattr(part, "chip_part", type(part).__name__)  # Apple's and Raspberry's chips come in parts
    return str(chip).lower()


def _known_by(part: BaseHardware) -> tuple[Basis, Boundary]:
    """Counters see the whole hardware; an estimate is of this process alone. The memory's is always an estimate."""
    if isinstance(part, RAM) or (isinstance(part, CPU) and part._mode not in COUNTERS):
        return "estimated", "process"
    return "measured", "machine"
