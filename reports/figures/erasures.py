"""The figures of whole erasures up to completion: cost and quality against Retrain, memory against what is kept."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import SHOTS
from reports.data.arms import RETRAIN, places
from reports.data.erasures import QUALITIES, SHARED
from reports.data.glossary import SAMPLE_FORWARDS, distinct
from reports.figures.panels import Drawing, marker_legend, plain_numbers, setting_panels, span, titled, whiskers
from reports.figures.style import FAINT, QUIET, ArmStyle, arm_style

ROW_INCHES = 0.27
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
    gaps = {f"{column} gap": f"{name} (points)" for name, column in QUALITIES.items()}
    gaps = {column: label for column, label in gaps.items() if column in runs and runs[column].notna().any()}
    if not gaps:
        return None
    return Drawing(
        "Quality at completion, against Retrain",
        f"{MEANS} ({_seeds(runs)}). Points above or below Retrain's value with the same seed; the line is Retrain. "
        "UA: error on the forget set; RA, TA: accuracy on retain and test data; MIA: share of the forget set that an "
        f"attacker takes for unseen; probe: what one of {SHOTS} samples a class finds of the forgotten in the "
        "features. Runs that never complete are left out.",
        "Differences to Retrain in UA, RA, TA, MIA and what a probe finds, one row a setting, one line an arm.",
        _by_arm(runs, gaps, logarithmic=False, reference=0.0),
    )


def pareto(points: pd.DataFrame) -> Drawing | None:
    """Peak memory against the retain accuracy kept at completion."""
    if points.empty:
        return None
    style = arm_style(points["method"])
    figure = setting_panels(points, list(points["setting"].unique()), 3.0, partial(_pareto_panel, style=style))
    marker_legend(figure, style)
    return Drawing(
        "Peak memory against utility kept",
        "Retain accuracy at completion, mean and range over the seeds that completed, against the peak of live tensors "
        "in a step. Up and to the left is better; the line joins the arms that no other beats in both. The memory axis "
        "is logarithmic.",
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
    plain_numbers(axes.xaxis)


def _by_arm(runs: pd.DataFrame, columns: dict[str, str], logarithmic: bool, reference: float) -> Figure:
    """A row a setting, a panel a column; in it a line an arm, with a mark a seed or their range, and the mean's."""
    style = arm_style(runs["method"])
    settings = list(runs["setting"].unique())
    arms = {setting: list(places(runs.loc[runs["setting"] == setting, "method"])) for setting in settings}
    heights = [len(order) for order in arms.values()]
    figure = Figure(figsize=(8.2, 0.4 + sum(ROW_INCHES * height + 0.8 for height in heights)), layout="constrained")
    rows = figure.subplots(len(settings), len(columns), squeeze=False, sharey="row", height_ratios=heights)
    for row, setting in zip(rows, settings, strict=True):
        for axes, (column, label) in zip(row, columns.items(), strict=True):
            _marks(axes, runs[runs["setting"] == setting], column, arms[setting], style)
            axes.axvline(reference, color=QUIET, linewidth=1, zorder=0)
            if logarithmic:
                axes.set_xscale("log")
                plain_numbers(axes.xaxis)
            axes.set_xlabel(label)
        row[0].set_yticks(range(len(arms[setting])), arms[setting])
        row[0].invert_yaxis()
        titled(row[0], setting, loc="left")
    return figure


def _marks(axes: Axes, runs: pd.DataFrame, column: str, order: Sequence[str], style: ArmStyle) -> None:
    for place, arm in enumerate(order):
        values = pd.to_numeric(runs.loc[runs["method"] == arm, column]).dropna()
        if values.empty:
            continue
        color, marker = style.palette[arm], style.markers[arm]
        if len(values) > MOST_MARKS:
            axes.plot([values.min(), values.max()], [place, place], color=color, linewidth=1)
        else:
            axes.plot(values, [place] * len(values), color=color, marker=marker, linestyle="", markersize=3, alpha=0.6)
        axes.plot([values.mean()], [place], color=color, marker=marker, linestyle="", markersize=8)


def _arms(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["method"] != RETRAIN]


def _seeds(runs: pd.DataFrame) -> str:
    """How many seeds an arm has in a setting, and what becomes of them if they are many."""
    counts = runs.groupby(["setting", "method"])["seed"].nunique()
    many = f"; of more than {MOST_MARKS}, a line from least to greatest" if counts.max() > MOST_MARKS else ""
    return f"{span(counts)} seeds{many}"
