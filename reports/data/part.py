"""What one run says on one device: everything that the report shows of it, computed once and handed on.

Machines and devices stand side by side and are never pooled.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from bench.record import Rules, Run
from reports.data.claims import BarTest, Claim, bar_tests, claims
from reports.data.erasures import ArmRuns, arm_runs, completed, with_costs
from reports.data.load import Results
from reports.data.points import drawn, largest_batches, pareto_points
from reports.data.side_by_side import SideBySide, side_by_side


@dataclass(frozen=True)
class Part:
    """One run on one device; what follows from its cases is computed when it is first asked for.

    Attributes:
        number: of the run in the report, from 1.
        run, device: where the cases come from.
        cases, curves: the rows of `Results`.
    """

    number: int
    run: Run
    device: str
    cases: pd.DataFrame
    curves: pd.DataFrame

    @property
    def hardware(self) -> str:
        """What the cases ran on."""
        machine = self.run.machine
        return machine.processor if self.device == "cpu" else machine.accelerator or self.device

    @property
    def rules(self) -> Rules:
        """What makes a verdict."""
        return self.run.rules

    @cached_property
    def steps(self) -> pd.DataFrame:
        """The cases that are single steps."""
        return self.cases[self.cases["kind"] == "step"]

    @cached_property
    def plans(self) -> list[dict[str, Any]]:
        """The `[unlearning]` tables of the profile that was run; empty where it has none."""
        found = tomllib.loads(self.run.profile_text).get("unlearning", [])
        return [found] if isinstance(found, dict) else found

    @property
    def apart(self) -> str:
        """How far evaluations of a run are apart, in words: by the profile's `resolution`, whose default is 1.05."""
        return f"some {max((plan.get('resolution', 1.05) for plan in self.plans), default=1.05) - 1:.2g} T* or a step"

    @cached_property
    def bars(self) -> tuple[BarTest, ...]:
        """The bars of step time, each with the step that it is held against."""
        return tuple(bar_tests(self.steps, self.rules))

    @cached_property
    def largest_batches(self) -> pd.DataFrame:
        """The steps at each model's largest batch whose peak is known by category."""
        return largest_batches(self.steps)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The cases that are whole erasures, with their costs."""
        return with_costs(self.cases[self.cases["kind"] == "unlearning"])

    @cached_property
    def done(self) -> pd.DataFrame:
        """Those that completed."""
        return completed(self.runs)

    @cached_property
    def arms(self) -> tuple[ArmRuns, ...]:
        """The erasures by setting and arm."""
        return tuple(arm_runs(self.runs))

    @cached_property
    def pareto_points(self) -> pd.DataFrame:
        """Memory and utility of each arm in each setting."""
        return pareto_points(self.done)

    @cached_property
    def ascents(self) -> pd.DataFrame:
        """The curves of the ascents, as they are drawn."""
        return drawn(self.curves, ascents=True)

    @cached_property
    def others(self) -> pd.DataFrame:
        """The curves of the other arms, as they are drawn."""
        return drawn(self.curves, ascents=False)

    @cached_property
    def side_by_side(self) -> tuple[SideBySide, ...]:
        """Zeroth- and first-order ascent in each setting that has both."""
        return tuple(side_by_side(self.arms))

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """The claims that the erasures say something about."""
        return tuple(claims(self.arms, self.rules))


def parts(results: Results) -> Iterator[Part]:
    """One for every run and device, in the order given."""
    for number, device in results.cases[["run", "device"]].drop_duplicates().itertuples(index=False):
        cases, curves = (
            frame[(frame["run"] == number) & (frame["device"] == device)] for frame in (results.cases, results.curves)
        )
        yield Part(number, results.runs[number - 1], device, cases, curves)
