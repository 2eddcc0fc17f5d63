"""The verdicts: the paper's three claims, each as tests whose rules were fixed in the profile before the run.

A test compares zeroth- with first-order ascent seed by seed, in one setting (model, data, batch size, scenario), and
sets the 95 % t-interval of the mean against a bound. On an engine that cannot differentiate, zeroth-order ascent is
compared with first-order ascent on torch, of the same original to the same end. It shows nothing where a seed lacks the
figure, because a run did not complete or did not get so far: what is missing is not missing by chance. A claim is
supported if every one of its tests supports it, not supported if one of them speaks against it, and otherwise not
shown. The intervals are not widened for their number.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.record import Engine, Rules
from reports.data.arms import FIRST, MATCHED, ZEROTH
from reports.data.erasures import ArmRuns, by_setting, on_torch
from reports.data.verdicts.interval import Interval, t_interval
from reports.data.verdicts.statistic import MEMORY, STATISTICS, Statistic
from reports.data.words.glossary import listed

Verdict = Literal["supported", "not supported", "not shown"]


@dataclass(frozen=True)
class Test:
    """A statistic in one setting, and what it says.

    Attributes:
        statistic, setting, bound: what is looked at, where, and against what.
        interval: of the statistic, over the seeds for which both arms have it.
        pairs: the number of seeds that both arms were run with, but for those with nothing to forget.
        batches: samples a step, of zeroth- and first-order ascent.
        engine: what zeroth-order ascent ran on.
        margin: what counts as a difference; NaN for a ratio.
    """

    __test__ = False  # not one of pytest's

    statistic: Statistic
    setting: str
    interval: Interval
    pairs: int
    bound: float
    batches: tuple[int, int]
    engine: Engine = "torch"
    margin: float = math.nan

    @property
    def seeds_needed(self) -> float:
        """How many seeds would tell such a difference from none, at the spread that was seen; NaN for a ratio."""
        return math.nan if math.isnan(self.margin) else self.interval.seeds_for(self.margin)

    @property
    def rule(self) -> str:
        """Where the whole interval must lie to support the claim; on the other side it speaks against it."""
        return f"{'above' if self.statistic.above else 'below'} {self.bound:g}"

    @property
    def verdict(self) -> Verdict:
        """By the rule; none from fewer than three seeds, or where a seed lacks the figure."""
        low, high = self.interval.low, self.interval.high
        if math.isnan(low) or self.interval.n < self.pairs:
            return "not shown"
        for_it, against = low > self.bound, high < self.bound
        if not self.statistic.above:
            for_it, against = high < self.bound, low > self.bound
        return "supported" if for_it else "not supported" if against else "not shown"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper with its tests."""

    statement: str
    tests: tuple[Test, ...]

    @property
    def title(self) -> str:
        """What is claimed, in short."""
        return self.statement.partition(": ")[0]

    @property
    def rule(self) -> str:
        """What of it is tested, with the bounds."""
        return self.statement.partition(": ")[2]

    @property
    def verdict(self) -> Verdict:
        """Of all tests together."""
        verdicts = {test.verdict for test in self.tests}
        if "not supported" in verdicts:
            return "not supported"
        return "supported" if verdicts == {"supported"} else "not shown"


def claims(arms: Sequence[ArmRuns], rules: Rules) -> list[Claim]:
    """The claims that the erasures of one machine can say something about; empty without both arms.

    A test whose control was not run is there, and shows nothing.
    """
    settings = list(_settings(arms))
    tests = [
        _test(statistic, setting, runs, rules)
        for statistic in STATISTICS
        for setting, runs in settings
        if _applies(statistic, runs) and statistic.came_with in rules.model_fields_set
    ]
    statements = dict.fromkeys(statistic.claim for statistic in STATISTICS)
    grouped = {name: tuple(test for test in tests if test.statistic.claim == name) for name in statements}
    return [Claim(_statement(name, found, rules), found) for name, found in grouped.items() if found]


def _statement(claim: str, tests: Sequence[Test], rules: Rules) -> str:
    """The claim with its bounds; that of memory with the batch sizes, too, where they differ: activations grow with
    them, whatever the arm.
    """
    sizes = dict.fromkeys(test.batches for test in tests)
    pairs = listed(f"{ours} against {theirs}" for ours, theirs in sizes)
    own = claim == MEMORY and any(ours != theirs for ours, theirs in sizes)
    batches = f", each at its own batch size ({pairs})" if own else ""
    return claim.format(**dict(rules)) + batches


def _settings(arms: Sequence[ArmRuns]) -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Each setting in which both arms had something to forget, and the runs that had, of the arms compared, by seed; on
    an engine, those of first order from the setting that is the same on torch, where it has none of its own.
    """
    compared = {arm for statistic in STATISTICS for arm in (statistic.zeroth, statistic.first)}
    everything = dict(by_setting(arms))
    for setting, own in everything.items():
        engine = next(iter(own.values())).engine
        twin = everything.get(on_torch(setting, engine), {}) if engine != "torch" else {}
        borrowed = {} if FIRST in own else {name: twin[name] for name in (FIRST, MATCHED) if name in twin}
        of_setting = own | borrowed
        with_work = {
            name: arm.runs[arm.runs["completion.step"] != 0].set_index("seed")
            for name, arm in of_setting.items()
            if name in compared
        }
        if all(name in with_work and len(with_work[name]) for name in (ZEROTH, FIRST)):
            yield setting, with_work


def _applies(statistic: Statistic, runs: dict[str, pd.DataFrame]) -> bool:
    """Whether there is such a test in a setting."""
    there = not statistic.beside or {statistic.zeroth, statistic.first} <= runs.keys()
    return there and statistic.engine in (None, runs[ZEROTH]["engine"].iloc[0])


def _test(statistic: Statistic, setting: str, runs: dict[str, pd.DataFrame], rules: Rules) -> Test:
    zeroth, first = runs[statistic.zeroth], runs.get(statistic.first, runs[FIRST].iloc[:0])
    seeds = [seed for seed in zeroth.index if seed in first.index]
    values = pd.Series([statistic.of_pair(zeroth.loc[seed], first.loc[seed]) for seed in seeds], dtype=float)
    batches = int(runs[ZEROTH]["batch_size"].iloc[0]), int(runs[FIRST]["batch_size"].iloc[0])
    margin = math.nan if statistic.margin is None else statistic.margin(rules)
    engine = runs[ZEROTH]["engine"].iloc[0]
    return Test(statistic, setting, t_interval(values), len(seeds), statistic.bound(rules), batches, engine, margin)
