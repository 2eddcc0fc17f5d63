"""The figures of how deep an erasure went: outputs against features, and what comes back by fine-tuning."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import SHOTS
from reports.data.arms import RETRAIN
from reports.data.words.glossary import RELEARNING
from reports.figures.looks.direct import Place, name_directly
from reports.figures.panels import NAMED_INCHES, Drawing, arm_lines, setting_panels, span, titled, whiskers
from reports.figures.style import QUIET, ArmStyle, arm_style

INCHES, ROW_INCHES = 3.4, 3.0
ENDS = {"original": ":", RETRAIN: "-"}  # and the lines that mark them


def features(points: pd.DataFrame) -> Drawing | None:
    """ToW, which sees outputs, against what a probe finds in the features; an arm a mark, one panel a setting."""
    if points.empty:
        return None
    style = arm_style(points["method"])
    settings = list(points["setting"].unique())
    figure = setting_panels(points, settings, INCHES, partial(_features_panel, style=style), width=NAMED_INCHES)
    return Drawing(
        "Forgotten in outputs, and in features",
        f"ToW at completion against what a probe of {SHOTS} samples a class finds of the forgotten: means and ranges "
        f"over {span(points['n'])} seeds. Right is better in outputs, and nearer to the line of {RETRAIN} is better in "
        "features. An arm on the dotted line, the original's, has hidden what it was to forget and forgotten nothing.",
        "ToW against a probe's accuracy on the forgotten, one panel a setting, one mark an arm, with lines for the "
        "original and Retrain.",
        figure,
    )


def _features_panel(axes: Axes, points: pd.DataFrame, style: ArmStyle) -> None:
    for _, point in points.iterrows():
        arm = str(point["method"])
        across, along = (
            whiskers(point[name], point[f"{name} low"], point[f"{name} high"]) for name in ("tow", "probe")
        )
        axes.errorbar(
            point["tow"],
            point["probe"],
            xerr=across,
            yerr=along,
            color=style.palette[arm],
            marker=style.markers[arm],
            linestyle="",
            elinewidth=0.8,
        )
    for name, mean in (("original", points["original"].mean()), (RETRAIN, points["retrained"].mean())):
        axes.axhline(mean, color=QUIET, linestyle=ENDS[name], linewidth=1, zorder=0)
        axes.annotate(
            name, (0, mean), xycoords=("axes fraction", "data"), xytext=(3, 2), textcoords="offset points", color=QUIET
        )
    axes.set(xlabel="ToW at T* (1 is Retrain)", ylabel="probe finds (%)")
    places = [
        Place(row["tow"], row["probe"], row["method"], style.palette[row["method"]]) for _, row in points.iterrows()
    ]
    name_directly(axes, places, INCHES - 1)


def relearning(curves: pd.DataFrame) -> Drawing | None:
    """Accuracy on the forgotten by steps of fine-tuning: a row a setting, a panel a number of shots, a line an arm."""
    if curves.empty:
        return None
    curves = curves.assign(method=curves["whose"])
    style = arm_style(curves["method"])
    settings, shots = list(curves["setting"].unique()), sorted(curves["shots"].unique())
    figure = Figure(figsize=(9.4, 0.6 + ROW_INCHES * len(settings)), layout="constrained")
    rows = figure.subplots(len(settings), len(shots), squeeze=False, sharey="row")
    for row, setting in zip(rows, settings, strict=True):
        for axes, count in zip(row, shots, strict=True):
            of_panel = curves[(curves["setting"] == setting) & (curves["shots"] == count)]
            if of_panel.empty:
                axes.axis("off")
                continue
            _relearning_panel(axes, of_panel, style)
            titled(axes, f"{setting}\n{count} shots" if axes is row[0] else f"\n{count} shots", loc="left")
            last = axes, _ends(of_panel, style)
        name_directly(*last, ROW_INCHES - 1)
        row[0].set_ylabel("accuracy on the forgotten (%)")
    return Drawing(
        "What comes back by fine-tuning",
        f"{RELEARNING} Means over {span(curves['n'])} seeds; the steps double from mark to mark. What comes back "
        f"sooner than in {RETRAIN} was still there.",
        "Accuracy on what was forgotten against steps of fine-tuning, one row a setting, one panel a number of "
        "samples.",
        figure,
    )


def _ends(curves: pd.DataFrame, style: ArmStyle) -> list[Place]:
    """Where each line ends, and whose it is."""
    most = curves["step"].nunique() - 1
    last = curves[curves["step"] == curves["step"].max()]
    return [Place(most, row["accuracy"], row["method"], style.palette[row["method"]]) for _, row in last.iterrows()]


def _relearning_panel(axes: Axes, curves: pd.DataFrame, style: ArmStyle) -> None:
    steps = sorted(curves["step"].unique())  # 0, 1, 2, 4, ...: as far apart as their logarithms, but for the first
    apart = curves.assign(place=curves["step"].map(steps.index))
    arm_lines(axes, apart, "place", "accuracy", style, linewidth=1.5, legend=False)
    axes.set_xticks(range(len(steps)), [f"{step}" for step in steps])
    axes.set(xlabel="steps of fine-tuning", ylabel="")
