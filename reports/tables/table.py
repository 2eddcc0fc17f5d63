"""A table ready to be shown, and numbers as text, rounded once, here."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter

import pandas as pd

from reports.data.verdicts.interval import Interval

MISSING = "n/a"
MOST_COLUMNS, LEADING = 6, 3


@dataclass(frozen=True)
class Table:
    """A table ready to be shown: `rows` are text, as many cells as `columns`.

    Where rows have the first cell in common, they can be shown as groups under it.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def anchor(self) -> str:
        """The title as the end of an address."""
        return anchor(self.title)

    @property
    def wide(self) -> bool:
        """Whether it has more columns than one takes in at once."""
        return len(self.columns) - self.grouped > MOST_COLUMNS

    @property
    def lead(self) -> "Table":
        """What the rows are of, and the first columns after that."""
        shown = LEADING + (2 if self.grouped else 1)
        return Table(self.title, "", self.columns[:shown], tuple(row[:shown] for row in self.rows))

    @property
    def telling(self) -> "Table":
        """Without the columns, but the first, whose every cell is the same, which the note says instead."""
        columns = list(zip(self.columns, zip(*self.rows, strict=True), strict=True)) if len(self.rows) > 1 else []
        same = {name: cells[0] for name, cells in columns[1:] if len(set(cells)) == 1}
        if not same:
            return self
        note = f"{self.note} In every row: {'; '.join(f'{name}: {cell}' for name, cell in same.items())}."
        kept = [place for place, name in enumerate(self.columns) if name not in same]
        return Table(
            self.title,
            note.strip(),
            tuple(self.columns[place] for place in kept),
            tuple(tuple(row[place] for place in kept) for row in self.rows),
        )

    @property
    def grouped(self) -> bool:
        """Whether any rows that follow one another begin alike."""
        return any(row[0] == after[0] for row, after in pairwise(self.rows))

    def groups(self, most_rows: int) -> list[tuple[str, list[tuple[str, ...]]]]:
        """The first so many rows by their first cell, without it; under no name where they are not grouped."""
        rows = self.rows[:most_rows]
        if not self.grouped:
            return [("", list(rows))]
        return [(name, [row[1:] for row in alike]) for name, alike in groupby(rows, key=itemgetter(0))]


def anchor(title: str) -> str:
    """A title as the end of an address: small letters and digits, joined by hyphens."""
    return "-".join(re.findall("[a-z0-9]+", title.lower()))


def number(value: float, form: str) -> str:
    """The number as `form` has it; `MISSING` where it is not finite.

    ".2g" is two significant digits, and never an exponent; a nought has no sign.
    """
    if pd.isna(value) or math.isinf(value):
        return MISSING
    text = _significant(value, int(form[1:-1])) if form.endswith("g") else format(value, form)
    return text.replace("-", "") if text.strip("-0.,") == "" else text


def spread(values: pd.Series, form: str) -> str:
    """Mean and range of what is known, and how many values that is, if not all."""
    known = pd.to_numeric(values).dropna()
    if known.empty:
        return MISSING
    mean, low, high = (number(value, form) for value in (known.mean(), known.min(), known.max()))
    brackets = [f"{low} to {high}"] if low != high else []
    brackets += [f"n = {len(known)}"] if len(known) < len(values) else []
    return f"{mean} ({', '.join(brackets)})" if brackets else mean


def range_text(values: Iterable[float], form: str) -> str:
    """Least to greatest, or the one that all are."""
    known = list(values)
    return " to ".join(dict.fromkeys(number(value, form) for value in (min(known), max(known))))


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
