"""The bars that the time of a step is held against."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.record import TWO_FORWARDS, Rules, StepBar
from reports.data.load import ratio, value_of


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
