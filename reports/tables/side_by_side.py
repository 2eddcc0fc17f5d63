"""Zeroth- and first-order ascent side by side, over the seeds with which both got to completion.

The sentences of the summary and the first ones of the statement take their numbers from here, and so does their table.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from reports.data.arms import FIRST, ZEROTH
from reports.data.glossary import listed
from reports.data.load import Results, ratio
from reports.data.retrain_shares import SHARED, completed, completed_text, with_shares
from reports.tables.table import MISSING, Table, distinct, number

TITLE = f"{ZEROTH} and {FIRST} side by side"
MOST_SETTINGS = 4  # that have sentences of their own


@dataclass(frozen=True)
class Figure:
    """A figure that the two are compared by.

    Attributes:
        name: with its unit.
        column: of the runs.
        form: how it is written.
        ratio: how the ratio of the two is written; they are compared by their difference if it is empty.
    """

    name: str
    column: str
    form: str
    ratio: str = ""


STEPS = Figure("steps to completion", "completion.step", ".0f", ".2g")
TIME = Figure("time, s", "completion.seconds", ".3g", ".2g")
ENERGY = Figure("energy, J", "completion.joules", ".3g", ".2g")
TIME_OF_RETRAIN = Figure("time over Retrain's", f"{SHARED['time']} share", ".2g", ".2g")
ENERGY_OF_RETRAIN = Figure("energy over Retrain's", f"{SHARED['energy']} share", ".2g", ".2g")
PEAK = Figure("peak of live tensors, MiB", SHARED["peak"], ".2f", ".2f")
TOW = Figure("ToW", "quality.tow", ".3f")
KEPT = Figure("RA, %", "quality.ra", ".1f")
COLLAPSE = Figure("time to collapse, T*", "stability.collapse", ".2f")
FIGURES = (
    STEPS,
    Figure("forward-equivalents", "completion.forward_equivalents", ".0f", ".2g"),
    TIME,
    TIME_OF_RETRAIN,
    ENERGY,
    ENERGY_OF_RETRAIN,
    PEAK,
    TOW,
    KEPT,
    COLLAPSE,
)


@dataclass(frozen=True)
class SideBySide:
    """The runs of both in one setting.

    Attributes:
        setting: model, data, batch size and scenario.
        ours, theirs: of zeroth- and of first-order ascent, a row a seed with which both completed.
        seeds: how many zeroth-order ascent was run with.
        idle: whether zeroth-order ascent had nothing to forget with any of them.
        complete: how many runs of either completed.
    """

    setting: str
    ours: pd.DataFrame
    theirs: pd.DataFrame
    seeds: int
    idle: bool
    complete: tuple[str, str]

    @property
    def where(self) -> str:
        """The setting, and how many of the seeds the comparison is over, if not all."""
        some = "" if len(self.ours) == self.seeds else f" ({len(self.ours)} of {self.seeds} seeds)"
        return f"{self.setting}{some}"

    @property
    def basis(self) -> str:
        """Of the energy: measured or estimated."""
        return distinct(pd.concat([self.ours["energy.basis"], self.theirs["energy.basis"]]))

    @property
    def nothing(self) -> str:
        """What to say where no seed has both; else empty."""
        if not self.ours.empty:
            return ""
        if self.idle:
            return f"{self.setting}: with no seed was there anything to forget."
        counts = (f"{arm} with {count}" for arm, count in zip((ZEROTH, FIRST), self.complete, strict=True))
        return f"{self.setting}: there is no seed with which both completed; {listed(counts)}."

    def means(self, figure: Figure) -> tuple[float, float]:
        """Of zeroth- and of first-order ascent, over the seeds for which both have the figure."""
        known = self._known(figure)
        return float(known[ZEROTH].mean()), float(known[FIRST].mean())

    def ratio(self, figure: Figure) -> float:
        """Zeroth- over first-order; NaN where that is nothing."""
        return ratio(*self.means(figure))

    def some(self, figure: Figure) -> str:
        """For how many of the seeds both have the figure, if not for all."""
        known = self.count(figure)
        return "" if known == len(self.ours) else f" (with {known} of {len(self.ours)} seeds)"

    def count(self, figure: Figure) -> int:
        """For how many seeds both have the figure."""
        return len(self._known(figure))

    def _known(self, figure: Figure) -> pd.DataFrame:
        both = {arm: pd.to_numeric(runs[figure.column]) for arm, runs in ((ZEROTH, self.ours), (FIRST, self.theirs))}
        return pd.DataFrame(both).dropna()

    def collapsed(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """How many runs of either collapsed, of how many whose end is known."""
        known = [runs["stability.collapsed"].dropna() for runs in (self.ours, self.theirs)]
        ours, theirs = ((int((runs == True).sum()), len(runs)) for runs in known)  # noqa: E712
        return ours, theirs


def side_by_side(runs: pd.DataFrame) -> list[SideBySide]:
    """One a setting in which both were run.

    A seed with which there was nothing to erase is left out.
    """
    shares = with_shares(runs)
    return [found for _, cases in shares.groupby("setting", sort=False) if (found := _of_setting(cases)) is not None]


def side_by_side_table(results: Results) -> Table | None:
    """A row a figure and setting."""
    rows = tuple(row for both in side_by_side(results.of_kind("unlearning")) for row in _rows(both))
    note = (
        "Means over the seeds with which both completed and have the figure. To the right, a cost as a ratio and what "
        "it bought as a difference. The tables below have every arm, with its spread."
    )
    columns = ("setting", "figure", ZEROTH, FIRST, f"{ZEROTH} against {FIRST}", "seeds")
    return Table(TITLE, note, columns, rows) if rows else None


def _of_setting(cases: pd.DataFrame) -> SideBySide | None:
    arms = [cases[cases["method"] == arm] for arm in (ZEROTH, FIRST)]
    if any(arm.empty for arm in arms):
        return None
    complete = completed_text(arms[0]), completed_text(arms[1])
    ours, theirs = (completed(arm).set_index("seed", drop=False) for arm in arms)
    both = ours.index.intersection(theirs.index)
    return SideBySide(
        setting=str(cases["setting"].iloc[0]),
        ours=ours.loc[both],
        theirs=theirs.loc[both],
        seeds=arms[0]["seed"].nunique(),
        idle=bool((arms[0]["completion.step"] == 0).all()),
        complete=complete,
    )


def _rows(both: SideBySide) -> Iterator[tuple[str, ...]]:
    seeds = f"{len(both.ours)} of {both.seeds}"
    yield (both.setting, "complete", *both.complete, "", seeds)
    for figure in FIGURES:
        ours, theirs = both.means(figure)
        if math.isnan(ours) and math.isnan(theirs):
            continue
        name = f"{figure.name} ({both.basis})" if figure is ENERGY else figure.name
        figures = (number(ours, figure.form), number(theirs, figure.form))
        yield (both.setting, name, *figures, _against(both, figure), f"{both.count(figure)} of {both.seeds}")
    counts = [f"{collapsed} of {known}" if known else MISSING for collapsed, known in both.collapsed()]
    if counts != [MISSING, MISSING]:
        yield (both.setting, "collapsed after completion", *counts, "", seeds)


def _against(both: SideBySide, figure: Figure) -> str:
    if figure.ratio:
        ratio = number(both.ratio(figure), figure.ratio)
        return ratio if ratio == MISSING else f"{ratio} times"
    ours, theirs = both.means(figure)
    return number(ours - theirs, f"+{figure.form}")
