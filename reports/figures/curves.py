"""The figures of whole runs: loss and accuracy through completion and beyond, in time and against displacement.

A thin line is a seed, a thick one the median over seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reports.data.points import COLLAPSED, LOSSES, at_time
from reports.figures.panels import Drawing, arm_lines, line_legend, line_style, plain_numbers, span, titled
from reports.figures.style import QUIET, ArmStyle, arm_style

GRID_POINTS = 400
MOST_LINES = 15  # of an arm in a setting
UNITS = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (%)"}
MOST_TIME = 2.0  # multiples of T* that are drawn: most of what collapses does so soon after 1
SEEDS = "A thin line a seed ({}), the thick one their median while all last."
TIME = (
    f"Steps are divided by each run's own T*, the time of completion, marked at 1. A run is drawn to {MOST_TIME:g} T*, "
    f"its last finite loss or the first of {COLLAPSED:,} nats, whichever comes first; runs that never complete, or "
    "have nothing to forget, are left out."
)


@dataclass(frozen=True)
class Against:
    """What the runs are drawn against: a column of the curves, and the axis' words."""

    column: str
    label: str
    logarithmic: bool = False


RELATIVE_TIME = Against("relative_step", "steps / T*")
DISPLACEMENT = Against("distance", "distance from the original (L2)", logarithmic=True)


def loss_curves(curves: pd.DataFrame) -> Drawing | None:
    """Forget and retain loss of the ascents in relative time."""
    return _in_time(curves, "Loss through completion and beyond", LOSSES)


def accuracy_curves(curves: pd.DataFrame) -> Drawing | None:
    """Forget and retain accuracy of the ascents in relative time."""
    columns = ("forget_accuracy", "retain_accuracy")
    return _in_time(curves, "Accuracy through completion and beyond", columns)


def displacement_curves(curves: pd.DataFrame) -> Drawing | None:
    """Forget loss and retain accuracy of the ascents against how far the model has moved."""
    curves = curves[curves["distance"] > 0]
    if curves.empty:
        return None
    figure = _figure(curves, ("forget_loss", "retain_accuracy"), DISPLACEMENT)
    return Drawing(
        "The same against displacement",
        f"A line a seed ({_seeds(curves)}). An optimizer that merely moves less looks stable in time; here arms "
        "are compared where they have moved equally far. A dot marks T* of a run. The distance is that of the "
        "parameters from the original's; its axis is logarithmic.",
        "Forget loss and retain accuracy against the parameters' distance from the original's, one row a setting.",
        figure,
    )


def other_loss_curves(curves: pd.DataFrame) -> Drawing | None:
    """Forget and retain loss of the arms that also learn from the retain set, and of a user's own."""
    return _in_time(curves, "Loss of the other arms through completion and beyond", LOSSES)


def median_run(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """The median over an arm's seeds on a common grid of relative time, up to where the first seed ends."""
    medians = []
    for method, of_method in curves.groupby("method"):
        runs = [run for _, run in of_method.groupby("seed")]
        grid = np.linspace(0, min(run["relative_step"].max() for run in runs), GRID_POINTS)
        median = np.median([at_time(run, column, grid) for run in runs], axis=0)
        medians.append(pd.DataFrame({"method": method, "relative_step": grid, column: median}))
    return pd.concat(medians)


def _in_time(curves: pd.DataFrame, title: str, columns: Sequence[str]) -> Drawing | None:
    before = curves.groupby(["setting", "method", "seed"])["relative_step"].shift(fill_value=0)
    curves = curves[before < MOST_TIME]
    if curves.empty:
        return None
    logarithmic = " The loss axis is logarithmic." if "forget_loss" in columns else ""
    what = " and ".join(column.replace("_", " ") for column in columns)
    return Drawing(
        title,
        f"{SEEDS.format(_seeds(curves))} {TIME}{logarithmic}",
        f"{what.capitalize()} against relative time, one row a setting; completion is marked at 1.",
        _figure(curves, columns, RELATIVE_TIME),
    )


def _figure(curves: pd.DataFrame, columns: Sequence[str], against: Against) -> Figure:
    """A row a setting, a panel a column."""
    style = arm_style(curves["method"])
    settings = list(curves["setting"].unique())
    figure = Figure(figsize=(8.2, 0.6 + 2.9 * len(settings)), layout="constrained")
    rows = figure.subplots(len(settings), len(columns), squeeze=False)
    for row, setting in zip(rows, settings, strict=True):
        for axes, column in zip(row, columns, strict=True):
            _panel(axes, curves[curves["setting"] == setting], column, against, style)
            subset, figured = column.split("_")
            titled(axes, f"{setting}: {subset} {figured}")
            axes.set_ylabel(UNITS[figured])
    line_legend(figure, style)
    return figure


def _panel(axes: Axes, curves: pd.DataFrame, column: str, against: Against, style: ArmStyle) -> None:
    in_time = against is RELATIVE_TIME
    _seed_lines(axes, curves, against.column, column, style, width=0.8 if in_time else 1.2)
    if in_time:
        medians = median_run(curves, column)
        arm_lines(axes, medians, against.column, column, style, linewidth=2.5, legend=False)
        axes.axvline(1, color=QUIET, linewidth=1)
    else:
        some = curves.groupby("method")["seed"].rank(method="dense") <= MOST_LINES
        completions = curves[some & (curves["relative_step"] == 1)]
        axes.scatter(completions[against.column], completions[column], c=completions["method"].map(style.palette), s=18)
    if curves[column].nunique() == 1:
        axes.set_ylim(curves[column].iloc[0] / 10, max(curves[column].iloc[0] * 10, 1))
    if against.logarithmic:
        axes.set_xscale("log")
    if column in LOSSES:
        axes.set_yscale("log")
    axes.autoscale_view()
    if in_time:
        axes.set_xlim(0, MOST_TIME)
    for axis, logarithmic in ((axes.xaxis, against.logarithmic), (axes.yaxis, column in LOSSES)):
        if logarithmic:
            plain_numbers(axis)
    axes.set_xlabel(against.label)


def _seed_lines(axes: Axes, curves: pd.DataFrame, x: str, y: str, style: ArmStyle, width: float) -> None:
    """A thin line a seed; those of an arm as one collection."""
    for arm, of_arm in curves.groupby("method"):
        runs = [run[[x, y]].to_numpy(float) for _, run in islice(of_arm.groupby("seed"), MOST_LINES)]
        lines = LineCollection(
            runs,
            colors=style.palette[str(arm)],
            linestyles=line_style(style, str(arm)),
            linewidths=width,
            alpha=0.7,
        )
        axes.add_collection(lines)


def _seeds(curves: pd.DataFrame) -> str:
    """How many seeds each line stands for."""
    counts = curves.groupby(["setting", "method"])["seed"].nunique()
    if counts.max() > MOST_LINES:
        return f"{span(counts)} seeds, of which the first {MOST_LINES} have a line"
    return f"{span(counts)} seeds"
