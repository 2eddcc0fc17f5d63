"""Mean and 95 % t-interval over seeds."""

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats

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
