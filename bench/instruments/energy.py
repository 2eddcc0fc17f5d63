"""Energy and emissions of a piece of work, by CodeCarbon: one offline tracker for the session, one task a window.

CodeCarbon swallows errors and reads configuration files from the home folder, so everything it could take from there
is passed explicitly, and the country is checked beforehand.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from codecarbon import OfflineEmissionsTracker
from codecarbon.input import DataSource

from bench.record import StepEnergy

JOULES_PER_KWH = 3.6e6
LEAST_WINDOW_S = 1.0
COUNTERS = ("intel_rapl", "windows_emi", "intel_power_gadget")


@dataclass(frozen=True)
class EnergyWindow:
    """Energy of repeated work.

    Attributes:
        joules: energy of the whole window; None where the window was under a second or CodeCarbon failed.
        co2e_g: grams of CO2 equivalent of the whole window, by the country's grid; None likewise.
        window_s: length in seconds.
        repeats: how often the work was done in it.
        basis: "measured" by a hardware counter, or "estimated" from load and table values.
        backend: what produced the figure.
        country: ISO 3166 alpha-3 code of the grid.
    """

    joules: float | None
    co2e_g: float | None
    window_s: float
    repeats: int
    basis: Literal["measured", "estimated"]
    backend: str
    country: str

    def per_step(self, steps: int = 1) -> StepEnergy:
        """The window divided by its steps, of which each repeat took `steps`."""
        taken = self.repeats * steps
        return StepEnergy(
            joules_per_step=None if self.joules is None else self.joules / taken,
            co2e_g_per_step=None if self.co2e_g is None else self.co2e_g / taken,
            window_s=self.window_s,
            steps=taken,
            basis=self.basis,
            backend=self.backend,
            country=self.country,
        )

    def notes(self) -> dict[str, str]:
        """Why there are no joules, under the names of the figures; empty if there are."""
        if self.joules is not None:
            return {}
        reason = "CodeCarbon gave no figure for this window"
        if self.window_s < LEAST_WINDOW_S:
            reason = f"the window was {self.window_s:.2f} s long; under {LEAST_WINDOW_S:.0f} s there is no figure"
        return {"energy": reason, "completion.joules": reason}


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

    Args:
        country: ISO 3166 alpha-3 code, as accepted by `check_country`.
    """

    def __init__(self, country: str) -> None:
        self.country = country
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it reads its own log_level
        self._tracker = OfflineEmissionsTracker(
            country_iso_code=country,
            region=None,
            cloud_provider=None,
            cloud_region=None,
            tracking_mode="process",
            measure_power_secs=15,
            output_methods=[],
            output_dir=".",
            log_level="critical",
            allow_multiple_runs=True,
            force_cpu_power=None,
            force_ram_power=None,
            force_mode_cpu_load=False,
            force_carbon_intensity_g_co2e_kwh=None,
            electricitymaps_api_token=None,
            pue=1.0,
        )
        self._windows = 0
        self._task(lambda: None)  # the first task probes the hardware, which takes over a second

    def repeat(self, work: Callable[[], Any], at_least_s: float) -> EnergyWindow:
        """Do `work()` again and again until `at_least_s` seconds have passed, at least once, and meter the whole.

        Work for an accelerator must wait for it before it returns.
        """
        repeats = 0

        def window() -> None:
            nonlocal repeats
            start = time.perf_counter()
            while repeats == 0 or time.perf_counter() - start < at_least_s:
                work()
                repeats += 1

        start = time.perf_counter()
        used = self._task(window)
        window_s = time.perf_counter() - start
        known = used is not None and window_s >= LEAST_WINDOW_S
        return EnergyWindow(
            joules=used.energy_consumed * JOULES_PER_KWH if known else None,
            co2e_g=used.emissions * 1000 if known else None,
            window_s=window_s,
            repeats=repeats,
            basis="measured" if self._has_counter() else "estimated",
            backend=f"codecarbon {version('codecarbon')}: {', '.join(self._sources())}",
            country=self.country,
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

    def _has_counter(self) -> bool:
        return any(getattr(part, "_mode", None) in COUNTERS for part in self._tracker._hardware)

    def _sources(self) -> list[str]:
        return [part.description() for part in self._tracker._hardware]
