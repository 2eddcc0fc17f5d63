"""Zeroth- and first-order ascent side by side, over the seeds with which both got to completion.

The sentences of the summary, the first ones of the statement and a table of their own take their numbers from here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.data.arms import FIRST, ZEROTH
from reports.data.erasures import SHARED, ArmRuns, by_setting
from reports.data.glossary import distinct
from reports.data.load import ratio


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
class Means:
    """A figure's means over the seeds for which both have it; NaN where there is no such seed.

    Attributes:
        ours, theirs: of zeroth- and of first-order ascent.
        seeds: how many.
    """

    ours: float
    theirs: float
    seeds: int

    @property
    def ratio(self) -> float:
        """Zeroth- over first-order; NaN where that is nothing."""
        return ratio(self.ours, self.theirs)


@dataclass(frozen=True)
class Collapsed:
    """How many runs collapsed, of how many whose end is known."""

    runs: int
    known: int


@dataclass(frozen=True)
class SideBySide:
    """The two in one setting.

    Attributes:
        setting: model, data, batch size and scenario.
        seeds: how many zeroth-order ascent was run with.
        both: with how many of them both completed; what follows is of their runs.
        complete: how many runs of zeroth- and of first-order ascent completed, in words.
        idle: whether zeroth-order ascent had nothing to forget with any seed.
        basis: of the energy, measured or estimated.
        means: of each of `FIGURES`.
        collapsed: of zeroth- and of first-order ascent.
    """

    setting: str
    seeds: int
    both: int
    complete: tuple[str, str]
    idle: bool
    basis: str
    means: Mapping[Figure, Means]
    collapsed: tuple[Collapsed, Collapsed]


def side_by_side(arms: Sequence[ArmRuns]) -> Iterator[SideBySide]:
    """One a setting in which both were run.

    A seed with which there was nothing to erase is left out.
    """
    for setting, of_setting in by_setting(arms):
        if ZEROTH in of_setting and FIRST in of_setting:
            yield _compared(setting, of_setting[ZEROTH], of_setting[FIRST])


def _compared(setting: str, zeroth: ArmRuns, first: ArmRuns) -> SideBySide:
    ours, theirs = (arm.done.set_index("seed") for arm in (zeroth, first))
    both = ours.index.intersection(theirs.index)
    ours, theirs = ours.loc[both], theirs.loc[both]
    return SideBySide(
        setting=setting,
        seeds=zeroth.runs["seed"].nunique(),
        both=len(both),
        complete=(zeroth.complete, first.complete),
        idle=bool((zeroth.runs["completion.step"] == 0).all()),
        basis=distinct(pd.concat([ours["energy.basis"], theirs["energy.basis"]])),
        means={figure: _means(ours[figure.column], theirs[figure.column]) for figure in FIGURES},
        collapsed=(_collapsed(ours), _collapsed(theirs)),
    )


def _means(ours: pd.Series, theirs: pd.Series) -> Means:
    known = pd.DataFrame({"ours": pd.to_numeric(ours), "theirs": pd.to_numeric(theirs)}).dropna()
    return Means(float(known["ours"].mean()), float(known["theirs"].mean()), len(known))


def _collapsed(runs: pd.DataFrame) -> Collapsed:
    known = runs["stability.collapsed"].dropna()
    return Collapsed(int((known == True).sum()), len(known))  # noqa: E712
