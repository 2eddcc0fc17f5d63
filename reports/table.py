"""A table ready to be shown, and numbers as text, rounded once, here."""

import math
import re
from dataclasses import dataclass

import pandas as pd

from reports.claims import Interval

MISSING = "n/a"


@dataclass(frozen=True)
class Table:
    """A table ready to be shown: `rows` are text, as many cells as `columns`."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def anchor(self) -> str:
        """The title as the end of an address."""
        return anchor(self.title)


def anchor(title: str) -> str:
    """A title as the end of an address: small letters and digits, joined by hyphens."""
    return "-".join(re.findall("[a-z0-9]+", title.lower()))


def number(value: float, form: str) -> str:
    """The number as `form` has it, `MISSING` for NaN; ".2g" is two significant digits, and never an exponent."""
    if pd.isna(value):
        return MISSING
    return _significant(value, int(form[1:-1])) if form.endswith("g") else format(value, form)


def distinct(values: pd.Series) -> str:
    """The different words of a column, joined; empty if there are none."""
    return " and ".join(values.dropna().unique())


def spread(frame: pd.DataFrame, column: str, form: str) -> str:
    """Mean and range over the rows that have a value."""
    values = pd.to_numeric(frame[column]).dropna()
    if values.empty:
        return MISSING
    mean, low, high = (number(value, form) for value in (values.mean(), values.min(), values.max()))
    return mean if low == high else f"{mean} ({low} to {high})"


def interval_text(interval: Interval, form: str) -> str:
    """Mean and interval; with the number of values where there are too few for one."""
    if interval.n == 0:
        return MISSING
    mean, low, high = (number(value, form) for value in (interval.mean, interval.low, interval.high))
    if math.isnan(interval.low):
        return f"{mean} (n = {interval.n})"
    return f"{mean} ({low} to {high})"


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, decimals)}f}"
