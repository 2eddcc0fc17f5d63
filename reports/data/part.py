"""What one run says on one device: everything that the report shows of it, computed once and handed on.

Machines and devices stand side by side and are never pooled.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.record import Rules, Run
from reports.data.erasures import ArmRuns, arm_runs, completed, with_costs
from reports.data.load import Results
from reports.data.points import (
    drawn,
    feature_points,
    frontier_points,
    largest_batches,
    margin_gaps,
    on_engines,
    pareto_points,
    relearning_curves,
)
from reports.data.side_by_side import CostTest, SideBySide, cost_tests, side_by_side
from reports.data.verdicts.bars import BarTest, bar_tests
from reports.data.verdicts.claims import Claim, claims
from reports.data.words import spoken

DEFAULT_RESOLUTION = 1.05  # of a profile that does not say
CLOSE_UP_UNTIL = 1.2  # T*


@dataclass(frozen=True)
class Quoted:
    """What the report says of a profile.

    Attributes:
        training: how each model is trained, in words; none where nothing is.
        resolution: by what part of the step evaluations of a run are apart, the coarsest of several.
        followed_on: how many samples of each set evaluations along the way look at, one number a table that says so.
        learning_rates: the grid that was searched, ascending; empty without a search.
    """

    training: tuple[str, ...]
    resolution: float
    followed_on: tuple[int, ...]
    learning_rates: tuple[float, ...]


def quoted(text: str) -> Quoted:
    """Read it from the profile's TOML."""
    table = tomllib.loads(text)
    plans = table.get("unlearning", [])
    plans = [plans] if isinstance(plans, dict) else plans
    training = (
        f"{plan['model']}: {', '.join(f'{key} {n}' for key, n in plan['training'].items())}"
        for plan in plans
        if "training" in plan
    )
    resolution = max((plan.get("resolution", DEFAULT_RESOLUTION) for plan in plans), default=DEFAULT_RESOLUTION)
    return Quoted(
        tuple(dict.fromkeys(training)),
        resolution - 1,
        tuple(dict.fromkeys(plan["followed_on"] for plan in plans if "followed_on" in plan)),
        tuple(sorted(table.get("tuning", {}).get("learning_rates", []))),
    )


@dataclass(frozen=True)
class Part:
    """One run on one device; what follows from its cases is computed when it is first asked for.

    Attributes:
        number: of the run in the report, from 1.
        run, device: where the cases come from.
        cases, curves, relearning, margins: the rows of `Results`.
    """

    number: int
    run: Run
    device: str
    cases: pd.DataFrame
    curves: pd.DataFrame
    relearning: pd.DataFrame
    margins: pd.DataFrame

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
    def quoted(self) -> Quoted:
        """What the report says of the profile that was run."""
        return quoted(self.run.profile_text)

    @cached_property
    def bars(self) -> tuple[BarTest, ...]:
        """The bars of step time, each with the step that it is held against."""
        return tuple(bar_tests(self.steps, self.rules))

    @cached_property
    def largest_batches(self) -> pd.DataFrame:
        """The steps at each model's largest batch whose peak is known by category."""
        return largest_batches(self.steps)

    @cached_property
    def on_engines(self) -> pd.DataFrame:
        """The steps of networks that ran on more engines than one, and of such that ran under memory limits."""
        return on_engines(self.steps)

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
    def originals(self) -> pd.DataFrame:
        """Accuracies of the original in percent, by setting and seed: before a step of any arm they are the same."""
        columns = {f"original.{name}": f"{name}_accuracy" for name in ("forget", "retain", "test")}
        known = self.cases.dropna(subset=list(columns)).rename(columns=columns)
        return known.groupby(["setting", "seed"])[list(columns.values())].first()

    @cached_property
    def apart(self) -> str:
        """How far the evaluations of a run are apart, in words; also just after T*, where that is less."""
        usual = f"some {self.quoted.resolution:.2g} T* or a step"
        after = self.curves[self.curves["relative_step"].between(1, CLOSE_UP_UNTIL)]
        runs = after.groupby(["setting", "method", "seed"])
        closest = runs["relative_step"].diff()[runs["step"].diff() > 1].max()
        return f"{usual} (just after T* at most {closest:.2g} T*)" if closest < self.quoted.resolution / 2 else usual

    def class_name(self, dataset: str, scenario: str) -> str | None:
        """What the data call the class that a scenario gives by its index; None where it gives a name, or no class."""
        kind, _, value = scenario.partition(":")
        names = next((list(held.train) for held in self.run.data if held.dataset == dataset), [])
        by_index = kind == "class" and value not in names and value.isdecimal() and int(value) < len(names)
        return names[int(value)] if by_index else None

    @cached_property
    def spoken(self) -> dict[str, str]:
        """What people call each setting; the batch size is said where another setting differs in nothing else."""
        firsts = {str(name): of_setting.iloc[0] for name, of_setting in self.runs.groupby("setting", sort=False)}
        words = {
            name: spoken.setting(case, self.class_name(case["dataset"], case["scenario"]))
            for name, case in firsts.items()
        }
        alike = Counter(words.values())
        return {
            name: said if alike[said] == 1 else f"{said}, {spoken.batch(firsts[name])}" for name, said in words.items()
        }

    @cached_property
    def networks(self) -> dict[str, str]:
        """What people call each network."""
        return {name: spoken.network(name) for name in self.cases["model"].unique()}

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """What the tables call each arm, by setting and arm."""
        return {(one.setting, one.arm): one.name for one in self.arms}

    @cached_property
    def frontier(self) -> pd.DataFrame:
        """Cost and ToW of each arm in each setting, and of every point that its search tried there."""
        return frontier_points(self.done, self.run.searched)

    @cached_property
    def feature_points(self) -> pd.DataFrame:
        """What is known in outputs and in features after each arm in each setting."""
        return feature_points(self.done)

    @cached_property
    def relearned(self) -> pd.DataFrame:
        """How accuracy on the forgotten comes back, after each arm in each setting."""
        return relearning_curves(self._of_done(self.relearning))

    @cached_property
    def margin_gaps(self) -> pd.DataFrame:
        """How far forgotten samples are from where Retrain has them, after each arm in each setting."""
        return margin_gaps(self._of_done(self.margins))

    def _of_done(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of the runs that completed with something to forget."""
        keys = ["setting", "method", "seed"]
        return rows.merge(self.done[keys].drop_duplicates(), on=keys)

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
    def cost_bars(self) -> tuple[CostTest, ...]:
        """The bars of an erasure's cost, each with the arms that it is of."""
        return tuple(cost_tests(self.arms, self.rules.erasure_cost))

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """The claims that the erasures say something about."""
        return tuple(claims(self.arms, self.rules))


def parts(results: Results) -> Iterator[Part]:
    """One for every run and device, in the order given."""
    for number, device in results.cases[["run", "device"]].drop_duplicates().itertuples(index=False):
        frames = (results.cases, results.curves, results.relearning, results.margins)
        own = (frame[(frame["run"] == number) & (frame["device"] == device)] for frame in frames)
        yield Part(number, results.runs[number - 1], device, *own)
