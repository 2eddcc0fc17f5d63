"""The figures of single steps: memory in each ledger and by category, time, energy."""

import math
from collections.abc import Mapping
from itertools import cycle
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.data.device_budgets import BUDGETS
from reports.data.load import CATEGORY, MIB, categories
from reports.data.words.glossary import ESTIMATED, LEDGER_WORDS, distinct, image_sizes, listed
from reports.figures.looks.direct import Place, name_directly
from reports.figures.panels import (
    NAMED_INCHES,
    PANELS_ACROSS,
    Drawing,
    legend_above,
    line_style,
    panels,
    plain_numbers,
    span,
    titled,
)
from reports.figures.style import PALETTE, PAPER, QUIET, ArmStyle, arm_style

MOST_TICKS = 12
ACROSS, HEIGHT = 2, 3.2
SAME = 0.05  # figures no farther apart are one
NEAR = 0.06  # of the length of an axis, between the marks of two ticks
BUDGETS_MIB = {name: size / MIB for name, size in BUDGETS.items()}
BUNDLED = f"Arms that are the same to {SAME:.0%} at every batch size are one band."
HATCHES = ("", "//", "\\\\", "||", "xx", "--", "++")
HOLLOW = " A hollow marker is a forecast from the shapes of the tensors, where the step could not be run."


def memory(steps: pd.DataFrame, ledger: str = "tensor") -> Drawing | None:
    """One ledger's peak of one step against batch size, with a device's budgets on the axis."""
    column = f"memory.{ledger}_peak_bytes"
    steps = _positive(steps, column)
    if steps.empty:
        return None
    forecast = (steps["memory.tensor_basis"] == "forecast") & (ledger == "tensor")
    steps = steps.assign(mib=pd.to_numeric(steps[column]) / MIB, hollow=forecast)
    whose, words = LEDGER_WORDS[ledger]
    return Drawing(
        f"Peak memory of one step: {whose}",
        f"{words}{HOLLOW if forecast.any() else ''} {BUNDLED} Budgets of {listed(BUDGETS)} stand on the axis, where "
        "they are in range. Both axes are logarithmic.",
        f"Peak memory of {whose} in MiB against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "mib", f"peak of {whose} (MiB)", BUDGETS_MIB),
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
        axes.axhline(1, color=QUIET, linewidth=1, zorder=0)
    return Drawing(
        "Time of one step, as a multiple of two forward passes",
        "Medians of the ratios to two forward passes of the same model and batch, timed in turn with the step "
        f"({span(steps['time.rounds'])} rounds): what carries over between machines, which seconds do not. Two forward "
        f"passes are the least that a zeroth-order step can take. {BUNDLED} Both axes are logarithmic.",
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
        f"spread is known from one window.{estimated} {BUNDLED} Both axes are logarithmic.",
        "Energy of one step in joules against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "energy.joules_per_step", f"energy of a step (J, {basis})"),
    )


def _positive(steps: pd.DataFrame, column: str) -> pd.DataFrame:
    """The steps with such a figure that a logarithmic axis can show."""
    return steps[pd.to_numeric(steps[column]) > 0]


def _stack(axes: Axes, of_model: pd.DataFrame) -> None:
    arms = list(of_model["method"])
    base = pd.Series(0.0, index=of_model.index)
    for color, hatch, category in zip(cycle(PALETTE), cycle(HATCHES), categories(of_model), strict=False):
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


def _against_batch_size(
    steps: pd.DataFrame, column: str, label: str, marked: Mapping[str, float] = MappingProxyType({})
) -> Figure:
    """One panel a model, one line an arm, or a band where arms are the same; both axes logarithmic.

    Args:
        marked: names of values that stand on the axis of figures.
    """
    style = arm_style(steps["method"])
    models = list(steps["model"].unique())
    figure, places = panels(len(models), height=HEIGHT, across=ACROSS, width=NAMED_INCHES)
    for index, (axes, model) in enumerate(zip(places, models, strict=True)):
        of_model = steps[steps["model"] == model]
        titled(axes, f"{model}, {image_sizes(of_model)}")
        axes.set(xscale="log", yscale="log", xlabel="batch size", ylabel="" if index % ACROSS else label)
        curves = {
            arm: of_model[of_model["method"] == arm].set_index("batch_size")[column].astype(float).sort_index()
            for arm in style.order
            if arm in set(of_model["method"])
        }
        ends = [_drawn(axes, {arm: curves[arm] for arm in arms}, style) for arms in bundles(curves)]
        if "hollow" in of_model:
            _hollow(axes, of_model[of_model["hollow"]], column, style)
        batches = sorted(of_model["batch_size"].unique())
        batches = batches[:: math.ceil(len(batches) / MOST_TICKS)]
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_xticks([], minor=True)
        axes.autoscale_view()
        plain_numbers(axes.yaxis)
        _mark(axes, marked)
        name_directly(axes, ends, HEIGHT - 0.8)
    return figure


def bundles(curves: Mapping[str, pd.Series]) -> list[list[str]]:
    """The arms, those together whose figures are the same to `SAME` at every batch size, of which the first has all."""
    found: list[list[str]] = []
    for arm, curve in curves.items():
        for arms in found:
            first = curves[arms[0]]
            if curve.index.isin(first.index).all() and ((curve / first[curve.index] - 1).abs() <= SAME).all():
                arms.append(arm)
                break
        else:
            found.append([arm])
    return found


def _drawn(axes: Axes, curves: Mapping[str, pd.Series], style: ArmStyle) -> Place:
    """A line, or a band from the least to the greatest; returns where its name belongs."""
    every = pd.concat(list(curves.values()), axis=1)
    low, high, middle = every.min(axis=1), every.max(axis=1), every.mean(axis=1)
    arm, colors = next(iter(curves)), list(dict.fromkeys(style.palette[arm] for arm in curves))
    color = colors[0] if len(colors) == 1 else QUIET
    if len(curves) == 1:
        axes.plot(
            middle.index,
            middle,
            color=color,
            linestyle=line_style(style, arm),
            marker=style.markers[arm],
            markeredgecolor="white",
        )
    else:
        axes.plot(middle.index, middle, color=color, linewidth=5, alpha=0.35, solid_capstyle="round")
        axes.fill_between(middle.index, low, high, color=color, alpha=0.35, linewidth=0)
    return Place(float(middle.index[-1]), float(middle.iloc[-1]), ", ".join(curves), color)


def _mark(axes: Axes, marked: Mapping[str, float]) -> None:
    """Put values on the axis under their names, in the place of numbers that would touch them."""
    low, high = axes.get_ylim()
    names = {value: name for name, value in marked.items() if low <= value <= high}
    if not names:
        return
    near = (high / low) ** NEAR
    numbers = [
        tick
        for tick in axes.yaxis.get_majorticklocs()
        if low <= tick <= high and all(not 1 / near < tick / value < near for value in names)
    ]
    written = axes.yaxis.get_major_formatter().format_ticks(numbers)
    axes.set_yticks([*numbers, *names], [*written, *names.values()])
    axes.set_ylim(low, high)


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
