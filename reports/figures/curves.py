"""The figures of whole runs: loss and accuracy through completion and beyond, in time and against displacement.

In time a line is the median over seeds, in a band from the least to the greatest; a cross is where a seed collapses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bench.record import COLLAPSE_POINTS
from reports.data.points import COLLAPSED, LOSSES, at_time
from reports.figures.panels import Drawing, line_legend, line_style, plain_numbers, span, titled
from reports.figures.style import QUIET, ArmStyle, arm_style

GRID_POINTS = 100
MOST_LINES = 15  # of an arm in a setting
INSETS = {"loss": (0.07, 0.66, 0.3, 0.3), "accuracy": (0.07, 0.12, 0.3, 0.3)}  # where nothing else is
UNITS = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (%)"}
MOST_TIME = 2.0  # multiples of T* that are drawn: most of what collapses does so soon after 1
SEEDS = (
    "A line the median over the seeds ({}) while all last, a band from the least to the greatest; a cross marks where "
    f"a seed's retain accuracy is {COLLAPSE_POINTS:g} points under its value at T*."
)
REST = " The inset has the medians of the whole runs."
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


def over_seeds(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """By `method` on a grid of `relative_step`: the `median` over the seeds, up to where the first of them ends, and
    `low` and `high`, the least and the greatest of those that last so long.
    """
    found = []
    for method, of_method in curves.groupby("method"):
        runs = [run for _, run in of_method.groupby("seed")]
        ends = [run["relative_step"].max() for run in runs]
        grid = np.unique([*np.linspace(0, min(ends), GRID_POINTS), *np.linspace(min(ends), max(ends), GRID_POINTS)])
        values = np.array([at_time(run, column, grid) for run in runs])
        values[grid > np.array(ends)[:, None]] = math.nan
        median = np.where(grid <= min(ends), np.nanmedian(values, axis=0), math.nan)
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        found.append(
            pd.DataFrame({"method": method, "relative_step": grid, "median": median, "low": low, "high": high})
        )
    return pd.concat(found)


def collapses(curves: pd.DataFrame) -> pd.DataFrame:
    """The first evaluation of each run after T* at which its retain accuracy is so much under its value there."""
    keys = ["setting", "method", "seed"]
    at_completion = curves[curves["relative_step"] == 1].set_index(keys)["retain_accuracy"]
    then = at_completion[~at_completion.index.duplicated()].reindex(pd.MultiIndex.from_frame(curves[keys])).to_numpy()
    after = (curves["relative_step"] > 1) & (curves["retain_accuracy"] < then - COLLAPSE_POINTS)
    return curves[after].drop_duplicates(keys)


def _in_time(whole: pd.DataFrame, title: str, columns: Sequence[str]) -> Drawing | None:
    before = whole.groupby(["setting", "method", "seed"])["relative_step"].shift(fill_value=0)
    curves = whole[before < MOST_TIME]
    if curves.empty:
        return None
    logarithmic = " The loss axis is logarithmic." if "forget_loss" in columns else ""
    what = " and ".join(column.replace("_", " ") for column in columns)
    return Drawing(
        title,
        f"{SEEDS.format(_seeds(curves))} {TIME}{REST if len(whole) > len(curves) else ''}{logarithmic}",
        f"{what.capitalize()} against relative time, one row a setting; completion is marked at 1.",
        _figure(curves, columns, RELATIVE_TIME, whole),
    )


def _figure(
    curves: pd.DataFrame, columns: Sequence[str], against: Against, whole: pd.DataFrame | None = None
) -> Figure:
    """A row a setting, a panel a column; in it an inset where the `whole` runs go on."""
    style = arm_style(curves["method"])
    settings = list(curves["setting"].unique())
    figure = Figure(figsize=(8.2, 0.6 + 2.9 * len(settings)), layout="constrained")
    rows = figure.subplots(len(settings), len(columns), squeeze=False)
    for row, setting in zip(rows, settings, strict=True):
        for axes, column in zip(row, columns, strict=True):
            of_setting = curves[curves["setting"] == setting]
            _panel(axes, of_setting, column, against, style)
            subset, figured = column.split("_")
            titled(axes, f"{setting}\n{subset} {figured}" if axes is row[0] else f"\n{subset} {figured}", loc="left")
            axes.set_ylabel(UNITS[figured])
            if whole is not None:
                rest = whole[whole["setting"] == setting]
                if len(rest) > len(of_setting):
                    _inset(axes.inset_axes(INSETS[figured]), rest, column, style)
    line_legend(figure, style)
    return figure


def _panel(axes: Axes, curves: pd.DataFrame, column: str, against: Against, style: ArmStyle) -> None:
    in_time = against is RELATIVE_TIME
    if in_time:
        _bands(axes, curves, column, style)
        axes.axvline(1, color=QUIET, linewidth=1)
    else:
        _seed_lines(axes, curves, against.column, column, style)
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


def _bands(axes: Axes, curves: pd.DataFrame, column: str, style: ArmStyle) -> None:
    """An arm's seeds as their median and their range, and where each of them collapses."""
    spread = over_seeds(curves, column)
    for arm, of_arm in spread.groupby("method"):
        x, color = of_arm["relative_step"], style.palette[str(arm)]
        axes.fill_between(x, of_arm["low"], of_arm["high"], color=color, alpha=0.12, linewidth=0)
        axes.plot(x, of_arm["median"], color=color, linestyle=line_style(style, str(arm)), linewidth=2)
    for arm, of_arm in collapses(curves).groupby("method"):
        x = of_arm["relative_step"]
        axes.plot(x, of_arm[column], linestyle="", marker="x", markersize=5, color=style.palette[str(arm)], zorder=4)


def _inset(axes: Axes, curves: pd.DataFrame, column: str, style: ArmStyle) -> None:
    """The medians of the whole runs, small."""
    for arm, of_arm in over_seeds(curves, column).groupby("method"):
        look = {"color": style.palette[str(arm)], "linestyle": line_style(style, str(arm))}
        axes.plot(of_arm["relative_step"], of_arm["median"], linewidth=1, **look)
    axes.patch.set_alpha(0.8)
    axes.set_xlim(0, curves["relative_step"].max())
    if column in LOSSES:
        axes.set_yscale("log")
    axes.tick_params(labelsize=6, labelleft=False, which="both", length=2)
    axes.grid(visible=False)


def _seed_lines(axes: Axes, curves: pd.DataFrame, x: str, y: str, style: ArmStyle) -> None:
    """A thin line a seed; those of an arm as one collection."""
    for arm, of_arm in curves.groupby("method"):
        runs = [run[[x, y]].to_numpy(float) for _, run in islice(of_arm.groupby("seed"), MOST_LINES)]
        lines = LineCollection(
            runs,
            colors=style.palette[str(arm)],
            linestyles=line_style(style, str(arm)),
            linewidths=1.2,
            alpha=0.7,
        )
        axes.add_collection(lines)


def _seeds(curves: pd.DataFrame) -> str:
    """How many seeds each line stands for."""
    counts = curves.groupby(["setting", "method"])["seed"].nunique()
    if counts.max() > MOST_LINES:
        return f"{span(counts)} seeds, of which the first {MOST_LINES} have a line"
    return f"{span(counts)} seeds"
