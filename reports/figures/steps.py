"""The figures of single steps: memory in each ledger and by category, time, energy."""

import math
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.data.device_budgets import BUDGETS
from reports.data.glossary import ESTIMATED, LEDGER_WORDS, distinct, image_sizes
from reports.data.load import CATEGORY, MIB, categories
from reports.figures.panels import (
    PANELS_ACROSS,
    Drawing,
    arm_lines,
    legend_above,
    panels,
    plain_numbers,
    shared_legend,
    span,
)
from reports.figures.style import FAINT, OKABE_ITO, PAPER, ArmStyle, arm_style

MOST_TICKS = 12
HATCHES = ("", "//", "\\\\", "..", "xx", "--", "++")
HOLLOW = " A hollow marker is a forecast from the shapes of the tensors, where the step could not be run."


def memory(steps: pd.DataFrame, ledger: str = "tensor") -> Drawing | None:
    """One ledger's peak of one step against batch size, with a device's budgets as lines."""
    column = f"memory.{ledger}_peak_bytes"
    steps = _positive(steps, column)
    if steps.empty:
        return None
    forecast = (steps["memory.tensor_basis"] == "forecast") & (ledger == "tensor")
    steps = steps.assign(mib=pd.to_numeric(steps[column]) / MIB, hollow=forecast)
    whose, words = LEDGER_WORDS[ledger]
    figure = _against_batch_size(steps, "mib", f"peak of {whose} (MiB)")
    for axes in figure.axes:
        _budgets(axes)
    return Drawing(
        f"Peak memory of one step: {whose}",
        f"{words}{HOLLOW if forecast.any() else ''} Grey lines are budgets of {', '.join(BUDGETS)}, where they "
        "are in range. Both axes are logarithmic.",
        f"Peak memory of {whose} in MiB against batch size, one panel a model, one line an arm.",
        figure,
    )


def allocator_memory(steps: pd.DataFrame) -> Drawing | None:
    """The same of torch's allocator."""
    return memory(steps, "allocator")


def process_memory(steps: pd.DataFrame) -> Drawing | None:
    """The same of the operating system's view."""
    return memory(steps, "process")


def composition(steps: pd.DataFrame) -> Drawing | None:
    """What the tensor ledger's peak is made of, of steps at each model's largest batch."""
    if steps.empty:
        return None
    models = list(steps["model"].unique())
    figure, places = panels(len(models), height=3.0)
    for index, (axes, model) in enumerate(zip(places, models, strict=True)):
        of_model = steps[steps["model"] == model]
        _stack(axes, of_model)
        axes.set(title=f"{model}, {image_sizes(of_model)}, batch {of_model['batch_size'].iloc[0]}")
        axes.set_ylabel("" if index % PANELS_ACROSS else "peak of live tensors (MiB)")
    legend_above(figure, *places[0].get_legend_handles_labels())
    return Drawing(
        "What the peak is made of",
        "Tensor ledger at its peak, by what the tensors are for, at the largest batch of each model; exact.",
        "Stacked bars of the peak of live tensors by category, one panel a model, one bar an arm.",
        figure,
    )


def step_time(steps: pd.DataFrame) -> Drawing | None:
    """One step as a multiple of two forward passes, against batch size."""
    steps = _positive(steps, "time.times_two_forwards")
    if steps.empty:
        return None
    figure = _against_batch_size(steps, "time.times_two_forwards", "times two forward passes")
    for axes in figure.axes:
        axes.axhline(1, color=FAINT, linewidth=1, zorder=0)
    return Drawing(
        "Time of one step, as a multiple of two forward passes",
        "Medians of the ratios to two forward passes of the same model and batch, timed in turn with the step "
        f"({span(steps['time.rounds'])} rounds): what carries over between machines, which seconds do not. Two forward "
        "passes are the least that a zeroth-order step can take. Both axes are logarithmic.",
        "Step time over that of two forward passes against batch size, one panel a model, one line an arm.",
        figure,
    )


def step_energy(steps: pd.DataFrame) -> Drawing | None:
    """Energy of one step against batch size."""
    steps = _positive(steps, "energy.joules_per_step")
    if steps.empty:
        return None
    basis = distinct(steps["energy.basis"])
    estimated = f" {ESTIMATED}" if "estimated" in basis else ""
    return Drawing(
        f"Energy of one step ({basis})",
        f"One window of {span(steps['energy.window_s'], '.1f')} s a case, by CodeCarbon in process mode; no "
        f"spread is known from one window.{estimated} Both axes are logarithmic.",
        "Energy of one step in joules against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "energy.joules_per_step", f"energy of a step (J, {basis})"),
    )


def _positive(steps: pd.DataFrame, column: str) -> pd.DataFrame:
    """The steps with such a figure that a logarithmic axis can show."""
    return steps[pd.to_numeric(steps[column]) > 0]


def _stack(axes: Axes, of_model: pd.DataFrame) -> None:
    arms = list(of_model["method"])
    base = pd.Series(0.0, index=of_model.index)
    for color, hatch, category in zip(cycle(OKABE_ITO), cycle(HATCHES), categories(of_model), strict=False):
        height = pd.to_numeric(of_model[f"{CATEGORY}{category}"]).fillna(0) / MIB
        axes.bar(
            range(len(arms)),
            height,
            bottom=base,
            color=color,
            label=category,
            width=0.7,
            hatch=hatch,
            edgecolor=PAPER,
            linewidth=0,
        )
        base = base + height
    axes.set_xticks(range(len(arms)), arms, rotation=35, ha="right", rotation_mode="anchor")
    axes.grid(visible=False, axis="x")


def _budgets(axes: Axes) -> None:
    """Lines at the budgets that the panel's own figures reach or nearly reach."""
    low, high = axes.get_ylim()
    for name, size in BUDGETS.items():
        if low <= size / MIB <= high:
            axes.axhline(size / MIB, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
            axes.annotate(
                name, (1, size / MIB), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
            )


def _against_batch_size(steps: pd.DataFrame, column: str, label: str) -> Figure:
    """One panel a model, one line an arm, both axes logarithmic."""
    style = arm_style(steps["method"])
    models = list(steps["model"].unique())
    figure, places = panels(len(models), height=3.0)
    for index, (axes, model) in enumerate(zip(places, models, strict=True)):
        of_model = steps[steps["model"] == model]
        arm_lines(axes, of_model, "batch_size", column, style, markers=style.markers)
        _hollow(axes, steps[(steps["model"] == model) & steps.get("hollow", False)], column, style)
        axes.set(
            xscale="log",
            yscale="log",
            title=f"{model}, {image_sizes(steps[steps['model'] == model])}",
            xlabel="batch size",
        )
        axes.set_ylabel("" if index % PANELS_ACROSS else label)
        batches = sorted(steps.loc[steps["model"] == model, "batch_size"].unique())
        batches = batches[:: math.ceil(len(batches) / MOST_TICKS)]
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_xticks([], minor=True)
        plain_numbers(axes.yaxis)
        axes.legend_ = None
    shared_legend(figure)
    return figure


def _hollow(axes: Axes, points: pd.DataFrame, column: str, style: ArmStyle) -> None:
    """Draw the markers of these points again, without filling."""
    for method, of_arm in points.groupby("method"):
        axes.plot(
            of_arm["batch_size"],
            of_arm[column],
            linestyle="",
            marker=style.markers[str(method)],
            markeredgecolor=style.palette[str(method)],
            markerfacecolor="white",
            zorder=5,
        )
