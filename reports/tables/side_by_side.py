"""Zeroth- and first-order ascent side by side, as a table and in the words that sentences about them share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.record import DEPTH_MARGIN
from reports.data.arms import FIRST, ZEROTH
from reports.data.part import Part
from reports.data.side_by_side import DEPTH, ENERGY, FIGURES, FORWARDS, TIME, TOW, CostTest, Figure, SideBySide
from reports.data.words.glossary import SAMPLE_FORWARDS, distinct, listed
from reports.tables.table import MISSING, Table, number, range_text

TITLE = f"{ZEROTH} and {FIRST} side by side"
COST_BARS = "The bars of an erasure's cost"
MOST_SETTINGS = 4  # that have sentences of their own


@dataclass(frozen=True)
class Compared:
    """Settings that one sentence is of: one, or, where they are many, all; of many, the least and the greatest figure.

    Attributes:
        where: the setting, with the number of its seeds, if not all, and the two as they were run, if not by the names
            alone; or how many settings.
        settings: with at least one seed with which both completed.
    """

    where: str
    settings: tuple[SideBySide, ...]

    @property
    def spent(self) -> Figure | None:
        """What the two are compared by: energy, or time where that is not known; None where neither is."""
        return next((figure for figure in (ENERGY, TIME) if self.times(figure)), None)

    @property
    def taken(self) -> str:
        """How many times as much of that zeroth-order ascent takes; empty where nothing is known."""
        if self.spent is None:
            return ""
        what = (
            f"energy ({distinct(pd.Series([one.basis for one in self.settings]))})" if self.spent is ENERGY else "time"
        )
        return f"{self.times(self.spent)} times the {what}"

    def ratios(self, figure: Figure) -> list[float]:
        """Zeroth- over first-order, for each setting."""
        return [one.means[figure].ratio for one in self.settings]

    def times(self, figure: Figure) -> str:
        """The same in words; empty where one is not known."""
        return _span(self.ratios(figure), figure.ratio)

    def means(self, figure: Figure) -> tuple[str, str]:
        """Of zeroth- and of first-order ascent, in words; empty where one is not known."""
        means = [one.means[figure] for one in self.settings]
        return _span([one.ours for one in means], figure.form), _span([one.theirs for one in means], figure.form)

    def some(self, figure: Figure) -> str:
        """For how many of the seeds of the one setting both have the figure, if not for all."""
        one = self.settings[0]
        known = one.means[figure].seeds
        return "" if len(self.settings) > 1 or known == one.both else f" (with {known} of {one.both} seeds)"


def compared(found: Sequence[SideBySide]) -> list[Compared]:
    """What there is to say a sentence of."""
    settings = tuple(one for one in found if one.both)
    if len(settings) > MOST_SETTINGS:
        return [Compared(f"In {len(settings)} settings", settings)]
    return [Compared(_where(one), (one,)) for one in settings]


def not_compared(found: Sequence[SideBySide]) -> Iterator[tuple[str, str]]:
    """Settings in which no seed has both, the first few, each with a sentence that says so."""
    for one in [one for one in found if not one.both][:MOST_SETTINGS]:
        counts = (f"{arm} with {count}" for arm, count in zip((ZEROTH, FIRST), one.complete, strict=True))
        why = (
            "with no seed was there anything to forget"
            if one.idle
            else f"there is no seed with which both completed; {listed(counts)}"
        )
        yield one.setting, f"{one.setting}: {why}."


def side_by_side_table(part: Part) -> Table | None:
    """A row a figure and setting."""
    rows = tuple(row for both in part.side_by_side for row in _rows(both))
    note = (
        "Means over the seeds with which both completed and have the figure. To the right, a cost as a ratio and what "
        f"it bought as a difference. {SAMPLE_FORWARDS} The tables below have every arm, with its spread."
    )
    columns = ("setting", "figure", ZEROTH, FIRST, f"{ZEROTH} against {FIRST}", "seeds")
    return Table(TITLE, note, columns, rows) if rows else None


def cost_bar_table(part: Part) -> Table | None:
    """The bars of an erasure's cost, and whether they are met; None where the profile has none."""
    rows = tuple(_bar_row(test) for test in part.cost_bars)
    note = (
        "Means over the seeds with which both completed, the ratio that of the two means, and least to greatest of the "
        "seeds, where they differ; the bars stood in the profile before the run and are held against the means. "
        f"{SAMPLE_FORWARDS} ToW and what a probe finds are differences: the former at most the bar's margin below, the "
        f"latter at most {DEPTH_MARGIN:g} points above."
    )
    columns = ("setting", "arm", "over", "sample-forwards", "bar", "energy", "bar", "ToW", "probe", "seeds", "")
    return Table(COST_BARS, note, columns, rows) if rows else None


def _bar_row(test: CostTest) -> tuple[str, ...]:
    means, bar = test.both.means, test.bar
    return (
        test.both.setting,
        *test.both.names,
        _ranged(means[FORWARDS].ratio, means[FORWARDS].ratios, ".2f"),
        f"at most {bar.sample_forwards:g}",
        _ranged(means[ENERGY].ratio, means[ENERGY].ratios, ".2f"),
        f"at most {bar.joules:g}" if bar.joules else MISSING,
        _ranged(means[TOW].difference, means[TOW].differences, "+.3f"),
        _ranged(means[DEPTH].difference, means[DEPTH].differences, "+.1f"),
        f"{means[FORWARDS].seeds} of {test.both.seeds}",
        _verdict(test),
    )


def _ranged(mean: float, of_seeds: Sequence[float], form: str) -> str:
    """With the least and the greatest of the seeds, unless they are all the same as it is written."""
    span = range_text([value for value in of_seeds if not math.isnan(value)] or [mean], form)
    return f"{number(mean, form)} ({span})" if " to " in span else number(mean, form)


def _verdict(test: CostTest) -> str:
    if test.met is None:
        return MISSING
    return "met" if test.met else f"missed: {listed(name for name, held in test.held.items() if not held)}"


def _where(one: SideBySide) -> str:
    some = [] if one.both == one.seeds else [f"{one.both} of {one.seeds} seeds"]
    how = [] if one.names == (ZEROTH, FIRST) else [" against ".join(one.names)]
    return f"{one.setting} ({'; '.join([*how, *some])})" if some or how else one.setting


def _span(values: Sequence[float], form: str) -> str:
    return "" if any(map(math.isnan, values)) else range_text(values, form)


def _rows(both: SideBySide) -> Iterator[tuple[str, ...]]:
    seeds = f"{both.both} of {both.seeds}"
    if both.names != (ZEROTH, FIRST):
        yield (both.setting, "run as", *both.names, "", seeds)
    yield (both.setting, "complete", *both.complete, "", seeds)
    for figure in FIGURES:
        means = both.means[figure]
        if means.seeds:
            name = f"{figure.name} ({both.basis})" if figure is ENERGY else figure.name
            figures = (number(means.ours, figure.form), number(means.theirs, figure.form), _against(both, figure))
            yield (both.setting, name, *figures, f"{means.seeds} of {both.seeds}")
    counts = [f"{one.runs} of {one.known}" if one.known else MISSING for one in both.collapsed]
    if counts != [MISSING, MISSING]:
        yield (both.setting, "collapsed after completion", *counts, "", seeds)


def _against(both: SideBySide, figure: Figure) -> str:
    means = both.means[figure]
    if figure.ratio:
        ratio = number(means.ratio, figure.ratio)
        return ratio if ratio == MISSING else f"{ratio} times"
    return number(means.difference, f"+{figure.form}")
