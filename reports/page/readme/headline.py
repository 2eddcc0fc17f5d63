"""The README's figure: what forgetting a class of photographs takes and leaves, an arm a row, as three aligned bars.

Below, what a process takes on an inference engine, beside torch's.
"""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from reports.data.arms import FIRST, HEAD, RETRAIN, ZEROTH
from reports.data.erasures import SHARED, beside_one_another, by_setting
from reports.data.part import Part
from reports.figures.style import INK, arm_style
from reports.tables.table import number


@dataclass(frozen=True)
class Measure:
    """One of the three bars.

    Attributes:
        label, column: its words, and where its numbers are.
        form: how they are written.
        room: the length of the axis over the longest bar, for the numbers behind the bars.
    """

    label: str
    column: str
    form: str
    room: float


MEASURES = (
    Measure("peak of live tensors (MiB)", "mib", ".2f", 1.35),
    Measure("energy over Retrain's", f"{SHARED['energy']} share", ".2g", 1.35),
    Measure("ToW (1 is Retrain)", "quality.tow", ".2f", 1.7),
)
ON_ENGINES = (
    (ZEROTH, "onnxruntime"),
    (HEAD, "onnxruntime"),
    ("forward", "onnxruntime"),
    (ZEROTH, "torch"),
    (FIRST, "torch"),
)
HATCHES = {RETRAIN: "//"}


def first_setting(part: Part) -> str:
    """The one that the figure, and the words beside it, are of."""
    return part.arms[0].setting


def shown(part: Part) -> dict[str, pd.DataFrame]:
    """The completed runs of each arm of the figure, in its order."""
    setting = first_setting(part)
    own = {setting: dict(by_setting(part.arms))[setting]}
    return {one.arm: one.done for one in beside_one_another(own, setting)}


def on_engines(part: Part) -> pd.DataFrame:
    """The steps of the lower figure, a row each: of the largest network that ran on several engines."""
    steps = part.on_engines
    network = steps.sort_values("model_bytes")["network"].iloc[-1]
    rows = steps[steps["network"] == network].set_index(["method", "engine"])
    found: pd.DataFrame = rows.reindex([place for place in ON_ENGINES if place in rows.index]).reset_index()
    return found


def headline(erasures: Part, edge: Part) -> Figure:
    """A row an arm, a panel a measure: the mean over the seeds, and for ToW their range; below, peaks of processes."""
    arms, steps = shown(erasures), on_engines(edge)
    heights = [0.7 + 0.36 * len(arms), 0.9 + 0.36 * len(steps)]
    figure = Figure(figsize=(8.4, sum(heights)), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False).ravel()
    _erasures(above, arms)
    _processes(below, steps)
    return figure


def _erasures(figure: SubFigure, arms: dict[str, pd.DataFrame]) -> None:
    style = arm_style(arms)
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, measure in zip(panels, MEASURES, strict=True):
        for place, (arm, runs) in enumerate(arms.items()):
            _bar(axes, place, pd.to_numeric(runs[measure.column]).dropna(), measure, style.palette[arm], arm)
        axes.set_xlabel(measure.label)
        axes.set_xlim(0, axes.get_xlim()[1] * measure.room)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(arms)), ["Retrain" if arm == RETRAIN else arm for arm in arms])
    panels[0].invert_yaxis()


def _processes(figure: SubFigure, steps: pd.DataFrame) -> None:
    style, axes = arm_style(steps["method"]), figure.subplots()
    for place, (_, row) in enumerate(steps.iterrows()):
        color, hatch = style.palette[row["method"]], "//" if row["engine"] == "torch" else ""
        axes.barh(place, row["mib"], height=0.62, color=color, hatch=hatch, edgecolor="white", linewidth=0)
        axes.annotate(
            number(row["mib"], ".0f"),
            (row["mib"], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(steps)), [f"{row['method']}, {row['engine']}" for _, row in steps.iterrows()])
    axes.invert_yaxis()
    network, batch = steps["network"].iloc[0], int(steps["batch_size"].iloc[0])
    axes.set(xlabel=f"peak of the whole process (MiB), a step of {network}, batch {batch}")
    axes.grid(visible=False, axis="y")


def _bar(axes: Axes, place: int, values: pd.Series, measure: Measure, color: str, arm: str) -> None:
    mean, low, high = values.mean(), values.min(), values.max()
    axes.barh(place, mean, height=0.62, color=color, hatch=HATCHES.get(arm, ""), edgecolor="white", linewidth=0)
    text, end = number(mean, measure.form), mean
    if measure.column == "quality.tow" and low != high:
        axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color=INK, capsize=3, linewidth=1)
        text, end = f"{text} ({number(low, measure.form)} to {number(high, measure.form)})", high
    axes.annotate(text, (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
