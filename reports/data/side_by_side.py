"""Two arms side by side, over the seeds with which both got to completion: zeroth- and first-order ascent, and those
that a bar is set for.

The sentences of the summary, the first ones of the statement and tables of their own take their numbers from here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.record import DEPTH_MARGIN, SHOTS, ErasureBar
from reports.data.arms import FIRST, ZEROTH
from reports.data.erasures import SHARED, ArmRuns, by_setting
from reports.data.load import PROBED, ratio
from reports.data.verdicts.interval import LEAST_SEEDS
from reports.data.words.glossary import distinct


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
FORWARDS = Figure("sample-forwards", SHARED["sample-forwards"], ".0f", ".2g")
TIME = Figure("time, s", "completion.seconds", ".3g", ".2g")
ENERGY = Figure("energy, J", "completion.joules", ".3g", ".2g")
TIME_OF_RETRAIN = Figure("time over Retrain's", f"{SHARED['time']} share", ".2g", ".2g")
ENERGY_OF_RETRAIN = Figure("energy over Retrain's", f"{SHARED['energy']} share", ".2g", ".2g")
PEAK = Figure("peak of live tensors, MiB", SHARED["peak"], ".2f", ".2f")
TOW = Figure("ToW", "quality.tow", ".3f")
KEPT = Figure("RA, %", "quality.ra", ".1f")
DEPTH = Figure(f"a probe of {SHOTS} samples a class finds, %", PROBED, ".1f")
COLLAPSE = Figure("time to collapse, T*", "stability.collapse", ".2f")
FIGURES = (
    STEPS,
    FORWARDS,
    TIME,
    TIME_OF_RETRAIN,
    ENERGY,
    ENERGY_OF_RETRAIN,
    PEAK,
    TOW,
    KEPT,
    DEPTH,
    COLLAPSE,
)


@dataclass(frozen=True)
class Means:
    """A figure's means over the seeds for which both have it; NaN where there is no such seed.

    Attributes:
        ours, theirs: of one arm and of the other.
        pairs: of one arm and of the other, seed by seed.
    """

    ours: float
    theirs: float
    pairs: tuple[tuple[float, float], ...] = ()

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.pairs)

    @property
    def ratio(self) -> float:
        """One arm's over the other's; NaN where that is nothing."""
        return ratio(self.ours, self.theirs)

    @property
    def ratios(self) -> list[float]:
        """That seed by seed, which are not what the ratio of the means is the mean of."""
        return [ratio(*pair) for pair in self.pairs]

    @property
    def difference(self) -> float:
        """By how much one arm's is higher."""
        return self.ours - self.theirs

    @property
    def differences(self) -> list[float]:
        """That seed by seed."""
        return [ours - theirs for ours, theirs in self.pairs]


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
        seeds: how many the first of them was run with.
        both: with how many of them both completed; what follows is of their runs.
        names: of the two, with part of the network and batch size where they have their own.
        complete: how many runs of each completed, in words.
        completed: how many runs of each did.
        of_class: whether a class was to be forgotten.
        idle: whether the first of them had nothing to forget with any seed.
        basis: of the energy, measured or estimated.
        means: of each of `FIGURES`.
        collapsed: of each.
    """

    setting: str
    seeds: int
    both: int
    names: tuple[str, str]
    complete: tuple[str, str]
    completed: tuple[int, int]
    of_class: bool
    idle: bool
    basis: str
    means: Mapping[Figure, Means]
    collapsed: tuple[Collapsed, Collapsed]


@dataclass(frozen=True)
class CostTest:
    """A bar for the cost of an erasure in one setting, and the two arms that it is of."""

    bar: ErasureBar
    both: SideBySide

    @cached_property
    def held(self) -> dict[str, bool]:
        """What the bar asks for, and whether it holds; false where a figure is not known."""
        means, (ours, theirs) = self.both.means, self.both.completed
        held = {
            "completion": ours >= theirs,
            "sample-forwards": means[FORWARDS].ratio <= self.bar.sample_forwards,
            "ToW": -means[TOW].difference <= self.bar.tow_margin,
        }
        if self.bar.joules:
            held["energy"] = means[ENERGY].ratio <= self.bar.joules
        if self.both.of_class:
            held["probe"] = means[DEPTH].difference <= DEPTH_MARGIN
        return held

    @property
    def met(self) -> bool | None:
        """Whether all of it holds; None where both completed with fewer than `LEAST_SEEDS` seeds, or lack a figure that
        is asked for with one of them.
        """
        asked = [FORWARDS, TOW, *([ENERGY] if self.bar.joules else []), *([DEPTH] if self.both.of_class else [])]
        known = all(self.both.means[figure].seeds == self.both.both for figure in asked)
        return all(self.held.values()) if known and self.both.both >= LEAST_SEEDS else None


def cost_tests(arms: Sequence[ArmRuns], bars: Sequence[ErasureBar]) -> Iterator[CostTest]:
    """Every bar in every setting that has its arms."""
    for bar in bars:
        for both in side_by_side(arms, bar.method, bar.over):
            yield CostTest(bar, both)


def side_by_side(arms: Sequence[ArmRuns], ours: str = ZEROTH, theirs: str = FIRST) -> Iterator[SideBySide]:
    """One a setting in which both were run.

    A seed with which there was nothing to erase is left out.
    """
    for setting, of_setting in by_setting(arms):
        if ours in of_setting and theirs in of_setting:
            yield _compared(setting, of_setting[ours], of_setting[theirs])


def _compared(setting: str, one: ArmRuns, other: ArmRuns) -> SideBySide:
    ours, theirs = (arm.done.set_index("seed") for arm in (one, other))
    both = ours.index.intersection(theirs.index)
    ours, theirs = ours.loc[both], theirs.loc[both]
    return SideBySide(
        setting=setting,
        seeds=one.runs["seed"].nunique(),
        both=len(both),
        names=(one.name, other.name),
        complete=(one.complete, other.complete),
        completed=(len(one.done), len(other.done)),
        of_class=bool(one.runs["scenario"].str.startswith("class:").all()),
        idle=bool((one.runs["completion.step"] == 0).all()),
        basis=distinct(pd.concat([ours["energy.basis"], theirs["energy.basis"]])),
        means={figure: _means(ours.get(figure.column), theirs.get(figure.column)) for figure in FIGURES},
        collapsed=(_collapsed(ours), _collapsed(theirs)),
    )


def _means(ours: pd.Series | None, theirs: pd.Series | None) -> Means:
    if ours is None or theirs is None:
        return Means(math.nan, math.nan)
    known = pd.DataFrame({"ours": pd.to_numeric(ours), "theirs": pd.to_numeric(theirs)}).dropna()
    pairs = tuple(zip(known["ours"].tolist(), known["theirs"].tolist(), strict=True))
    return Means(float(known["ours"].mean()), float(known["theirs"].mean()), pairs)


def _collapsed(runs: pd.DataFrame) -> Collapsed:
    known = runs["stability.collapsed"].dropna()
    return Collapsed(int((known == True).sum()), len(known))  # noqa: E712
