"""What only the documents show: every arm of a run in a line, and a count."""

from dataclasses import dataclass

import pandas as pd

from bench.record import SHOTS
from reports.data.arms import ZEROTH
from reports.data.erasures import SHARED, ArmRuns
from reports.data.load import BACK, PROBED
from reports.data.part import Part
from reports.data.words.glossary import distinct
from reports.tables.table import MISSING, Table, number, spread

ENERGY = "energy over Retrain's"
MEANS = {
    "RA, %": ("quality.ra", ".1f"),
    "peak, MiB": ("mib", ".2f"),
    "steps": ("completion.step", ".0f"),
    "sample-forwards over Retrain's": (f"{SHARED['sample-forwards']} share", ".2g"),
    ENERGY: (f"{SHARED['energy']} share", ".2g"),
    f"probe, {SHOTS} shots": (PROBED, ".1f"),
    f"relearned, {SHOTS} shots": (BACK, ".1f"),
}


def overview(part: Part) -> Table:
    """Every arm that was run: what it took and left at T*, and how many runs collapsed afterwards."""
    rows = tuple((one.setting, one.name, one.complete, *_figures(one)) for one in part.arms)
    basis = distinct(part.done["energy.basis"])
    means = (f"{name} ({basis})" if name == ENERGY else name for name in MEANS)
    columns = ("setting", "arm", "complete", "ToW (range)", *means, "collapsed")
    return Table("", "", columns, rows)


def _figures(one: ArmRuns) -> list[str]:
    means = (
        number(pd.to_numeric(one.done[column]).mean(), form) if column in one.done else MISSING
        for column, form in MEANS.values()
    )
    known = one.done["stability.collapsed"].dropna()
    collapsed = f"{(known == True).sum()} of {len(known)}" if len(known) else MISSING  # noqa: E712
    return [spread(one.done["quality.tow"], ".3f"), *means, collapsed]


@dataclass(frozen=True)
class Count:
    """In how many cases something is equal."""

    equal: int
    cases: int


def pool_alone(part: Part) -> Count:
    """Where a zeroth-order step peaks at inference's live tensors and its noise, to the byte."""
    by_arm = {arm: cases.set_index(["model", "batch_size"]) for arm, cases in part.steps.groupby("method")}
    peaks = {arm: pd.to_numeric(cases["memory.tensor_peak_bytes"]) for arm, cases in by_arm.items()}
    noise = pd.to_numeric(by_arm[ZEROTH]["memory.tensor_by_category.noise"])
    equal = peaks[ZEROTH] == (peaks["forward"] + noise).reindex(noise.index)
    return Count(int(equal.sum()), len(equal))
