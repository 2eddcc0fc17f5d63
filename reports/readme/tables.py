"""Tables for a reader of Markdown: every arm of a run in a line, and what the claims came to."""

import math

import pandas as pd

from reports.data.arms import FIRST, ZEROTH
from reports.data.erasures import SHARED, ArmRuns
from reports.data.load import value_of
from reports.data.part import Part
from reports.tables.table import MISSING, Table, number, spread

MEANS = {
    "RA, %": ("quality.ra", ".1f"),
    "peak, MiB": ("mib", ".2f"),
    "steps": ("completion.step", ".0f"),
    "forwards over Retrain's": (f"{SHARED['forwards']} share", ".2g"),
    "energy over Retrain's": (f"{SHARED['energy']} share", ".2g"),
    "relearn steps": ("quality.relearn_steps", ".0f"),
}


def overview(part: Part) -> Table:
    """Every arm that was run: what it took and left at T*, and how many runs collapsed afterwards."""
    rows = tuple((one.setting, one.arm, one.complete, *_figures(one)) for one in part.arms)
    columns = ("setting", "arm", "complete", "ToW (range)", *MEANS, "collapsed")
    return Table("", "", columns, rows)


def _figures(one: ArmRuns) -> list[str]:
    means = (number(pd.to_numeric(one.done[column]).mean(), form) for column, form in MEANS.values())
    known = one.done["stability.collapsed"].dropna()
    collapsed = f"{(known == True).sum()} of {len(known)}" if len(known) else MISSING  # noqa: E712
    return [spread(one.done, "quality.tow", ".3f"), *means, collapsed]


def pool_alone(part: Part) -> tuple[int, int]:
    """In how many cases, of how many, a zeroth-order step peaks at inference's and its noise, to the byte."""
    steps = part.steps.set_index(["model", "batch_size", "method"])
    found = [
        value_of(row, "memory.tensor_peak_bytes")
        == value_of(steps.loc[(*where, "forward")], "memory.tensor_peak_bytes")
        + value_of(row, "memory.tensor_by_category.noise")
        for where, row in steps.xs(ZEROTH, level="method").iterrows()
    ]
    return sum(found), len(found)


def fastest_and_slowest(part: Part) -> list[tuple[str, int, float, float]]:
    """Model, batch, a zeroth-order step over two forwards and over first-order's, by the first ratio, ascending."""
    steps = part.steps.set_index(["model", "batch_size", "method"])["time.times_two_forwards"].astype(float).unstack()
    ordered = steps.sort_values(ZEROTH)
    return [
        (str(model), int(batch), float(row[ZEROTH]), float(row[ZEROTH] / row[FIRST]))
        for (model, batch), row in ordered.iterrows()
        if not math.isnan(row[ZEROTH])
    ]
