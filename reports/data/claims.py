"""The verdicts: the paper's three claims, each as tests whose rules were fixed in the profile before the run; and the
bars that the time of a step is held against.

A test compares zeroth- with first-order ascent seed by seed, in one setting (model, data, batch size, scenario), and
sets the 95 % t-interval of the mean against a bound. On an engine that cannot differentiate, zeroth-order ascent is
compared with first-order ascent on torch, of the same original to the same end. It shows nothing where a seed lacks the
figure, because a run did not complete or did not get so far: what is missing is not missing by chance. A claim is
supported if every one of its tests supports it, not supported if one of them speaks against it, and otherwise not
shown. The intervals are not widened for their number.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from scipy import stats

from bench.record import TWO_FORWARDS, Engine, Rules, StepBar
from reports.data.arms import CLIPPED, FIRST, MATCHED, ZEROTH
from reports.data.erasures import ArmRuns, by_setting
from reports.data.glossary import listed
from reports.data.load import PROBE_OF_RETRAIN, PROBED, ratio, value_of

Verdict = Literal["supported", "not supported", "not shown"]
LEAST_SEEDS, MOST_SEEDS = 3, 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Mean and 95 % t-interval over `n` seeds; the ends are NaN from fewer than `LEAST_SEEDS`."""

    mean: float
    low: float
    high: float
    n: int

    def seeds_for(self, margin: float) -> float:
        """How many seeds of the same spread would make it no wider than `margin` each way (Student 1908); NaN where the
        spread is not known, infinite where `MOST_SEEDS` would not do.
        """
        if math.isnan(self.low):
            return math.nan
        deviation = (self.high - self.mean) / _half(self.n)
        return next((float(n) for n in range(LEAST_SEEDS, MOST_SEEDS + 1) if deviation * _half(n) <= margin), math.inf)


@dataclass(frozen=True)
class Statistic:
    """What a test looks at.

    Attributes:
        claim: which claim it belongs to, with places for the rules' bounds.
        name: in words, with its unit.
        of_pair: the statistic of one seed, from the rows of zeroth- and first-order ascent.
        first: the first-order arm that it is compared with.
        bound: from the rules.
        margin: what counts as a difference, from the rules; None for a ratio.
        above: whether the claim says that the statistic lies above the bound, or at most there.
        zeroth: the zeroth-order arm.
        beside: whether the test is only there where both arms were run.
        engine: what the zeroth-order arm must have run on for it; None for any.
    """

    claim: str
    name: str
    of_pair: Callable[[pd.Series, pd.Series], float]
    bound: Callable[[Rules], float]
    margin: Callable[[Rules], float] | None = None
    above: bool = True
    first: str = FIRST
    zeroth: str = ZEROTH
    beside: bool = False
    engine: Engine | None = None


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
    def scenario(self) -> str:
        """What is to be forgotten in the setting: behind model, data and batch size."""
        return re.split(r" (?:b\d+|own batch) ", self.setting, maxsplit=1)[-1]

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


MEMORY = f"Much less memory: {ZEROTH} peaks below {{memory_ratio:g}} of {FIRST}"
QUALITY = (
    f"Competitive unlearning: at completion, the ToW of {ZEROTH} is less than {{tow_margin:g}} below that of {FIRST}, "
    "and a probe of its features less than {depth_margin:g} points farther from Retrain's"
)
STABILITY = f"More stability after completion: {ZEROTH} keeps the retain set longer than {FIRST}"


def _difference(column: str, sign: int = 1) -> Callable[[pd.Series, pd.Series], float]:
    """Zeroth-order minus first-order, or the other way round."""
    return lambda zeroth, first: sign * (value_of(zeroth, column) - value_of(first, column))


def _ratio(column: str) -> Callable[[pd.Series, pd.Series], float]:
    return lambda zeroth, first: ratio(value_of(zeroth, column), value_of(first, column))


def _farther(zeroth: pd.Series, first: pd.Series) -> float:
    """By how much first-order ascent's features are farther from Retrain's than zeroth-order ascent's."""
    ours, theirs = (abs(value_of(row, PROBED) - value_of(row, PROBE_OF_RETRAIN)) for row in (zeroth, first))
    return theirs - ours


def _zero(_: Rules) -> float:
    return 0.0


STATISTICS = (
    Statistic(
        MEMORY,
        f"peak of live tensors in a step, {ZEROTH} over {FIRST}",
        _ratio("memory.tensor_peak_bytes"),
        lambda rules: rules.memory_ratio,
        above=False,
        engine="torch",
    ),
    Statistic(
        MEMORY,
        f"peak of the process, {ZEROTH} on the engine over {FIRST} on torch",
        _ratio("memory.process_peak_bytes"),
        lambda rules: rules.memory_ratio,
        above=False,
        engine="onnxruntime",
    ),
    Statistic(
        QUALITY,
        f"ToW, {ZEROTH} minus {FIRST}",
        _difference("quality.tow"),
        lambda rules: -rules.tow_margin,
        lambda rules: rules.tow_margin,
    ),
    Statistic(
        QUALITY,
        f"distance of a probe's finds from Retrain's in points, {FIRST} minus {ZEROTH}",
        _farther,
        lambda rules: -rules.depth_margin,
        lambda rules: rules.depth_margin,
    ),
    Statistic(
        STABILITY,
        f"time to collapse in T*, {ZEROTH} minus {FIRST}",
        _difference("stability.collapse"),
        lambda rules: rules.collapse_margin,
        lambda rules: rules.collapse_margin,
    ),
    Statistic(
        STABILITY,
        f"slope of the log retain loss in 1/T*, {FIRST} minus {ZEROTH}",
        _difference("stability.loss_slope", -1),
        _zero,
    ),
    Statistic(
        STABILITY,
        f"retain accuracy lost at matched displacement in points, {FIRST} minus {ZEROTH}",
        _difference("stability.drop_at_distance", -1),
        lambda rules: rules.drop_margin,
        lambda rules: rules.drop_margin,
    ),
    Statistic(
        STABILITY,
        f"retain accuracy lost at matched forget loss in points, {FIRST} minus {ZEROTH}",
        _difference("stability.drop_at_forget_loss", -1),
        lambda rules: rules.drop_margin,
        lambda rules: rules.drop_margin,
    ),
    Statistic(
        STABILITY,
        f"time to collapse in T*, {ZEROTH} minus {MATCHED}",
        _difference("stability.collapse"),
        lambda rules: rules.collapse_margin,
        lambda rules: rules.collapse_margin,
        first=MATCHED,
    ),
    Statistic(
        STABILITY,
        f"time to collapse in T*, {CLIPPED[0]} minus {CLIPPED[1]}",
        _difference("stability.collapse"),
        lambda rules: rules.collapse_margin,
        lambda rules: rules.collapse_margin,
        first=CLIPPED[1],
        zeroth=CLIPPED[0],
        beside=True,
    ),
)


def claims(arms: Sequence[ArmRuns], rules: Rules) -> list[Claim]:
    """The claims that the erasures of one machine can say something about; empty without both arms.

    A test whose control was not run is there, and shows nothing.
    """
    settings = list(_settings(arms))
    tests = [
        _test(statistic, setting, runs, rules)
        for statistic in STATISTICS
        for setting, runs in settings
        if _applies(statistic, runs)
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


def t_interval(values: pd.Series) -> Interval:
    """Mean and 95 % t-interval (Student 1908) of independent values; NaN among them are left out."""
    known = values.dropna()
    count = len(known)
    mean = float(known.mean()) if count else math.nan
    if count < LEAST_SEEDS:
        return Interval(mean, math.nan, math.nan, count)
    half = float(known.std()) * _half(count)
    return Interval(mean, mean - half, mean + half, count)


def _half(count: int) -> float:
    """Half the width of the interval over so many seeds, in standard deviations."""
    return float(stats.t.ppf((1 + LEVEL) / 2, count - 1) / math.sqrt(count))


def _settings(arms: Sequence[ArmRuns]) -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Each setting in which both arms had something to forget, and the runs that had, of the arms compared, by seed; on
    an engine, those of first order from the setting that is the same on torch, where it has none of its own.
    """
    compared = {arm for statistic in STATISTICS for arm in (statistic.zeroth, statistic.first)}
    everything = dict(by_setting(arms))
    for setting, own in everything.items():
        engine = next(iter(own.values())).engine
        twin = everything.get(setting.replace(f" {engine} ", " ", 1), {}) if engine != "torch" else {}
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


@dataclass(frozen=True)
class BarTest:
    """A bar of step time at one batch size, and the step that it is held against.

    Attributes:
        bar, batch_size: which one.
        bound: the bar itself.
        ratio: the step's median over two forwards, divided by that of the arm that the bar names, if it names one; NaN
            where a step was not timed.
        quartiles: of the paired ratios, where the bar is over two forwards and the step was timed.
    """

    bar: StepBar
    batch_size: int
    bound: float
    ratio: float
    quartiles: tuple[float, float] | None = None

    @property
    def rule(self) -> str:
        """Where the ratio must lie."""
        return f"at {'most' if self.bar.at_least is None else 'least'} {self.bound:.2f}"

    @property
    def met(self) -> bool | None:
        """Whether the ratio is on the bar's side; None where it is not known."""
        if math.isnan(self.ratio):
            return None
        return self.ratio >= self.bound if self.bar.at_most is None else self.ratio <= self.bound


def bar_tests(steps: pd.DataFrame, rules: Rules) -> Iterator[BarTest]:
    """Every bar of the rules at every batch size, in their order."""
    taken = {
        (str(row["model"]), int(row["batch_size"]), str(row["method"])): [
            value_of(row, f"time.times_two_forwards{which}") for which in ("", "_q1", "_q3")
        ]
        for _, row in steps.iterrows()
    }
    unknown = [math.nan] * 3
    for bar in rules.step_time:
        for batch_size, bound in zip(bar.batch_sizes, bar.at_most or bar.at_least or (), strict=True):
            time, low, high = taken.get((bar.model, batch_size, bar.method), unknown)
            if bar.over == TWO_FORWARDS:
                yield BarTest(bar, batch_size, bound, time, None if math.isnan(low) else (low, high))
            else:
                yield BarTest(
                    bar, batch_size, bound, ratio(time, taken.get((bar.model, batch_size, bar.over), unknown)[0])
                )
