"""The figures of whole erasures up to completion: cost and quality against Retrain, memory against what is kept."""

import math
import textwrap
from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import SHOTS
from reports.data.arms import RETRAIN, places
from reports.data.erasures import QUALITIES, SHARED
from reports.data.words.glossary import SAMPLE_FORWARDS, distinct
from reports.figures.looks.direct import Place, name_directly
from reports.figures.panels import NAMED_INCHES, Drawing, plain_numbers, setting_panels, span, titled, whiskers
from reports.figures.style import FAINT, QUIET, ArmStyle, arm_style

ROW_INCHES = 0.27
AXIS_LETTERS = 18
LEAST_POINTS, BEYOND = 5.0, 4.0  # half an axis, in points; and in medians of the arms' distances from Retrain
PARETO_INCHES = 3.4
MOST_MARKS = 20  # of an arm in a setting
MEANS = "A small mark a seed, the large one their mean"


def completion_cost(done: pd.DataFrame) -> Drawing | None:
    """Time, energy and sample-forwards to completion, as shares of Retrain's."""
    runs = _arms(done)
    shares = {f"{column} share": f"{name} / Retrain's" for name, column in SHARED.items() if name != "peak"}
    shares = {column: name for column, name in shares.items() if runs[column].notna().any()}
    if not shares:
        return None
    figure = _by_arm(runs, shares, logarithmic=True, reference=1.0)
    basis = distinct(runs["energy.basis"]) or "not metered"
    return Drawing(
        "Cost to completion, over Retrain's",
        f"{MEANS} ({_seeds(runs)}); left of the line an erasure costs less than retraining from scratch with the same "
        f"seed. Energy is {basis}. {SAMPLE_FORWARDS} The axes are logarithmic; runs that never complete are left out.",
        "Time, energy and sample-forwards to completion over Retrain's, one row a setting, one line an arm.",
        figure,
    )


def quality_gaps(done: pd.DataFrame) -> Drawing | None:
    """UA, RA, TA and MIA at completion, as differences to Retrain's of the same seed."""
    runs = _arms(done)
    gaps = {f"{column} gap": f"{name} minus Retrain's, points" for name, column in QUALITIES.items()}
    gaps = {column: label for column, label in gaps.items() if column in runs and runs[column].notna().any()}
    if not gaps:
        return None
    return Drawing(
        "Quality at completion, against Retrain",
        f"{MEANS} ({_seeds(runs)}). Points above or below Retrain's value with the same seed; the line is Retrain. "
        "UA: error on the forget set; RA, TA: accuracy on retain and test data; MIA: share of the forget set that an "
        f"attacker takes for unseen; probe: what one of {SHOTS} samples a class finds of the forgotten in the "
        "features. What lies far beyond the others stands at the edge, with its number. Runs that never complete are "
        "left out.",
        "Differences to Retrain in UA, RA, TA, MIA and what a probe finds, one row a setting, one line an arm.",
        _by_arm(runs, gaps, logarithmic=False, reference=0.0),
    )


def pareto(points: pd.DataFrame) -> Drawing | None:
    """Peak memory against the retain accuracy kept at completion."""
    if points.empty:
        return None
    style = arm_style(points["method"])
    settings = list(points["setting"].unique())
    figure = setting_panels(points, settings, PARETO_INCHES, partial(_pareto_panel, style=style), width=NAMED_INCHES)
    return Drawing(
        "Peak memory against utility kept",
        "Retain accuracy at completion, mean and range over the seeds that completed, against the peak of live tensors "
        "in a step. Up and to the left is better; the line joins the arms that no other beats in both. The memory axis "
        "is logarithmic; beside an arm stands its batch size, Retrain's being that of its training.",
        "Retain accuracy at completion against peak memory, one panel a setting, one mark an arm.",
        figure,
    )


def _pareto_panel(axes: Axes, points: pd.DataFrame, style: ArmStyle) -> None:
    for method, point in points.set_index("method").iterrows():
        axes.errorbar(
            point["mib"],
            point["mean"],
            yerr=whiskers(point["mean"], point["low"], point["high"]),
            color=style.palette[str(method)],
            marker=style.markers[str(method)],
            linestyle="",
            elinewidth=1,
        )
    front = points[points["front"]].sort_values("mib")
    axes.plot(front["mib"], front["mean"], drawstyle="steps-post", color=FAINT, linewidth=1, zorder=0)
    axes.set(xscale="log", xlabel="peak of live tensors (MiB)", ylabel="retain accuracy at T* (%)")
    axes.autoscale_view()
    plain_numbers(axes.xaxis)
    places = [
        Place(point["mib"], point["mean"], _named(point), style.palette[point["method"]])
        for _, point in points.iterrows()
    ]
    name_directly(axes, places, PARETO_INCHES - 1)


def _named(point: pd.Series) -> str:
    """With the batch, on which the memory depends."""
    return f"{point['method']}, batch {point['batch']:.0f}" if point["batch"] > 0 else str(point["method"])


def _by_arm(runs: pd.DataFrame, columns: dict[str, str], logarithmic: bool, reference: float) -> Figure:
    """A row a setting, a panel a column; in it a line an arm, with a mark a seed or their range, and the mean's."""
    runs = runs[runs[list(columns)].notna().any(axis=1)]
    style = arm_style(runs["method"])
    settings = list(runs["setting"].unique())
    arms = {setting: list(places(runs.loc[runs["setting"] == setting, "method"])) for setting in settings}
    heights = [len(order) for order in arms.values()]
    figure = Figure(figsize=(8.2, 0.4 + sum(ROW_INCHES * height + 0.8 for height in heights)), layout="constrained")
    rows = figure.subplots(len(settings), len(columns), squeeze=False, sharey="row", height_ratios=heights)
    for row, setting in zip(rows, settings, strict=True):
        for axes, (column, label) in zip(row, columns.items(), strict=True):
            _marks(axes, runs[runs["setting"] == setting], column, arms[setting], style, edges=not logarithmic)
            axes.axvline(reference, color=QUIET, linewidth=1, zorder=0)
            if logarithmic:
                axes.set_xscale("log")
                plain_numbers(axes.xaxis)
            axes.set_xlabel(textwrap.fill(label, AXIS_LETTERS), fontsize=9)
        row[0].set_yticks(range(len(arms[setting])), arms[setting])
        row[0].invert_yaxis()
        titled(row[0], setting, loc="left")
    return figure


def _marks(
    axes: Axes, runs: pd.DataFrame, column: str, order: Sequence[str], style: ArmStyle, edges: bool = False
) -> None:
    """With `edges`, an arm far beyond the others stands at the edge, its mean in numbers."""
    of_arm = {arm: pd.to_numeric(runs.loc[runs["method"] == arm, column]).dropna() for arm in order}
    most = _most(pd.Series({arm: values.mean() for arm, values in of_arm.items()}).dropna()) if edges else math.inf
    if math.isfinite(most):
        axes.set_xlim(-most, most)
    for place, arm in enumerate(order):
        values = of_arm[arm]
        if values.empty:
            continue
        if abs(mean := values.mean()) > most:
            side = math.copysign(1, mean)
            axes.plot([side * most], [place], color=style.palette[arm], marker=">" if side > 0 else "<", clip_on=False)
            axes.annotate(
                f"{mean:.0f}",
                (side * most, place),
                xytext=(-7 * side, 0),
                textcoords="offset points",
                ha="right" if side > 0 else "left",
                va="center",
                fontsize=8,
            )
            continue
        color, marker = style.palette[arm], style.markers[arm]
        if len(values) > MOST_MARKS:
            axes.plot([values.min(), values.max()], [place, place], color=color, linewidth=1)
        else:
            axes.plot(values, [place] * len(values), color=color, marker=marker, linestyle="", markersize=3, alpha=0.6)
        axes.plot([values.mean()], [place], color=color, marker=marker, linestyle="", markersize=8)


def _most(means: pd.Series) -> float:
    """How far an axis goes to either side where a few means lie far beyond the others; infinity where none does."""
    if means.empty:
        return math.inf
    within = max(LEAST_POINTS, BEYOND * float(means.abs().median()))
    return within if means.abs().max() > 1.5 * within else math.inf


def _arms(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["method"] != RETRAIN]


def _seeds(runs: pd.DataFrame) -> str:
    """How many seeds an arm has in a setting, and what becomes of them if they are many."""
    counts = runs.groupby(["setting", "method"])["seed"].nunique()
    many = f"; of more than {MOST_MARKS}, a line from least to greatest" if counts.max() > MOST_MARKS else ""
    return f"{span(counts)} seeds{many}"
