"""The figures: one function each, tidy frame in, matplotlib `Figure` out."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.load import MIB, Results
from reports.style import ArmStyle, arm_style

GRID_POINTS = 400
PANELS_ACROSS = 3
LEGEND_ENTRY_INCHES = 2
FEW_DECADES = 200
ASCENTS = ("fo-ga", "zo-ga", "fo-ga-clipped", "zo-ga-clipped", "fo-ga-matched", "fo-ga-head")
COLLAPSED = 1000
LEAST_LOSS = 1e-6  # nats; less is drawn here
FORECAST = " A hollow marker is a forecast from the shapes of the tensors, where the step could not be run."
ESTIMATED = (
    " The estimate is processor time times a table power plus a fixed guess for the memory, which counts while "
    "nothing is done, too: it adds nothing to the time."
)


@dataclass(frozen=True)
class Drawing:
    """A figure with what a reader needs beside it.

    Attributes:
        name: of its files.
        title, caption: what it shows, with n and spread.
        alt: for those who cannot see it.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


def draw_all(results: Results) -> list[Drawing]:
    """Every figure that there are data for, in the order of the page; `results` is of one run and device."""
    return [drawing for draw in FIGURES if (drawing := draw(results)) is not None]


def memory(results: Results) -> Drawing | None:
    """Tensor-ledger peak of one step against batch size."""
    steps = results.of_kind("step").dropna(subset=["memory.tensor_peak_bytes"])
    if steps.empty:
        return None
    forecast = steps["memory.tensor_basis"] == "forecast"
    steps = steps.assign(mib=steps["memory.tensor_peak_bytes"] / MIB, hollow=forecast)
    return Drawing(
        "memory",
        "Peak memory of one step",
        "Tensor ledger: bytes of live tensors at their peak, parameters and batch included; exact, so there is no "
        f"spread.{FORECAST if forecast.any() else ''} Both axes are logarithmic.",
        "Peak tensor memory in MiB against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "mib", "peak of live tensors (MiB)"),
    )


def step_time(results: Results) -> Drawing | None:
    """Median seconds of one step against batch size."""
    steps = results.of_kind("step").dropna(subset=["time.step_s"])
    if steps.empty:
        return None
    steps = steps.assign(ms=1000 * steps["time.step_s"])
    return Drawing(
        "step-time",
        "Time of one step",
        f"Medians over {_span(steps['time.rounds'])} rounds. Seconds belong to this machine and hour: the table "
        "gives each step as a multiple of two forward passes timed beside it. Both axes are logarithmic.",
        "Median step time in milliseconds against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "ms", "median time of a step (ms)"),
    )


def step_energy(results: Results) -> Drawing | None:
    """Energy of one step against batch size."""
    steps = results.of_kind("step").dropna(subset=["energy.joules_per_step"])
    if steps.empty:
        return None
    basis = " and ".join(sorted(steps["energy.basis"].unique()))
    estimated = ESTIMATED if "estimated" in basis else ""
    return Drawing(
        "step-energy",
        f"Energy of one step ({basis})",
        f"One window of {_span(steps['energy.window_s'], '.1f')} s a case, by CodeCarbon in process mode; no "
        f"spread is known from one window.{estimated} Both axes are logarithmic.",
        "Energy of one step in joules against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "energy.joules_per_step", f"energy of a step (J, {basis})"),
    )


def loss_curves(results: Results) -> Drawing | None:
    """Forget and retain loss of the ascents through completion and beyond, in relative time."""
    curves = results.curves[results.curves["method"].isin(ASCENTS)]
    return _losses(curves, "loss-curves", "Loss through completion and beyond")


def other_loss_curves(results: Results) -> Drawing | None:
    """The same of the arms that also learn from the retain set, and of a user's own."""
    curves = results.curves[~results.curves["method"].isin(ASCENTS)]
    return _losses(curves, "other-loss-curves", "Loss of the other arms through completion and beyond")


def _losses(curves: pd.DataFrame, name: str, title: str) -> Drawing | None:
    finite = curves.dropna(subset=["relative_step", "forget_loss", "retain_loss"])
    curves = _until_collapse(finite)
    if curves.empty:
        return None
    return Drawing(
        name,
        title,
        f"A thin line a seed ({_seeds(curves)}), the thick one their median while all last. Steps are divided by "
        "each run's own T*, the first evaluation at which the forget set is forgotten, marked at 1. A run is drawn to "
        f"its horizon, its last finite loss or the first of {COLLAPSED:,} nats, whichever comes first; runs that never "
        "complete, or have nothing to forget, are left out. The loss axis is logarithmic.",
        "Forget loss and retain loss against relative time, one row a setting; completion is marked at 1.",
        _loss_panels(curves),
    )


FIGURES: tuple[Callable[[Results], Drawing | None], ...] = (
    memory,
    step_time,
    step_energy,
    loss_curves,
    other_loss_curves,
)


def _span(values: pd.Series, form: str = ".0f") -> str:
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"


def _against_batch_size(steps: pd.DataFrame, column: str, label: str) -> Figure:
    """One panel a model, one line an arm, both axes logarithmic."""
    style = arm_style(steps["method"])
    models = list(steps["model"].unique())
    across, down = min(len(models), PANELS_ACROSS), math.ceil(len(models) / PANELS_ACROSS)
    figure = Figure(figsize=(3.4 * max(2, across), 0.6 + 3.0 * down), layout="constrained")
    for index, model in enumerate(models):
        axes = figure.add_subplot(down, across, index + 1)
        sns.lineplot(
            steps[steps["model"] == model],
            x="batch_size",
            y=column,
            hue="method",
            style="method",
            hue_order=style.order,
            style_order=style.order,
            palette=style.palette,
            markers=style.markers,
            dashes=style.dashes,
            errorbar=None,
            ax=axes,
        )
        _hollow(axes, steps[(steps["model"] == model) & steps.get("hollow", False)], column, style)
        axes.set(xscale="log", yscale="log", title=model, xlabel="batch size", ylabel="" if index % across else label)
        batches = sorted(steps.loc[steps["model"] == model, "batch_size"].unique())
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_xticks([], minor=True)
        _plain_numbers(axes.yaxis)
        axes.legend_ = None
    _shared_legend(figure)
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


def _loss_panels(curves: pd.DataFrame) -> Figure:
    style = arm_style(curves["method"])
    settings = list(curves["setting"].unique())
    figure = Figure(figsize=(8.2, 3.1 * len(settings)), layout="constrained")
    rows = figure.subplots(len(settings), 2, squeeze=False)
    for row, setting in zip(rows, settings, strict=True):
        for axes, subset in zip(row, ("forget", "retain"), strict=True):
            _loss_panel(axes, curves[curves["setting"] == setting], f"{subset}_loss", style)
            axes.set(title=f"{setting}: {subset} loss", ylabel="cross-entropy (nats)" if subset == "forget" else "")
    _shared_legend(figure)
    return figure


def _loss_panel(axes: Axes, curves: pd.DataFrame, column: str, style: ArmStyle) -> None:
    look = {
        "x": "relative_step",
        "y": column,
        "hue": "method",
        "style": "method",
        "hue_order": style.order,
        "style_order": style.order,
        "palette": style.palette,
        "dashes": style.dashes,
        "ax": axes,
    }
    sns.lineplot(_median_run(curves, column), **look, linewidth=2.5)
    sns.lineplot(curves, **look, units="seed", estimator=None, linewidth=0.8, alpha=0.7, legend=False)
    axes.axvline(1, color="#666666", linewidth=1)
    axes.set(yscale="log", xlabel="steps / T*", xlim=(0, None))
    _plain_numbers(axes.yaxis)
    axes.legend_ = None


def _seeds(curves: pd.DataFrame) -> str:
    """How many seeds each line stands for."""
    counts = curves.groupby(["setting", "method"])["seed"].nunique()
    if counts.nunique() == 1:
        return f"{counts.iloc[0]} seeds"
    return ", ".join(f"{name}: {count}" for name, count in zip(counts.index.map(" ".join), counts, strict=True))


def _until_collapse(curves: pd.DataFrame) -> pd.DataFrame:
    """Each run up to its first loss beyond `COLLAPSED`: what a wreck does afterwards says nothing."""
    curves = curves.assign(**{name: curves[name].clip(lower=LEAST_LOSS) for name in ("forget_loss", "retain_loss")})
    wrecked = (curves["forget_loss"] > COLLAPSED) | (curves["retain_loss"] > COLLAPSED)
    before = wrecked.groupby([curves["setting"], curves["method"], curves["seed"]]).cumsum() == 0
    return curves[before]


def _median_run(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """The median over seeds on a common grid of relative time, up to where the first seed ends.

    Between evaluations the logarithm of the loss is interpolated, as the eye does on a logarithmic axis.
    """
    medians = []
    for method, of_method in curves.groupby("method"):
        runs = [run for _, run in of_method.groupby("seed")]
        end = min(run["relative_step"].max() for run in runs)
        grid = np.linspace(0, end, GRID_POINTS)
        logs = [np.interp(grid, run["relative_step"], np.log(run[column])) for run in runs]
        medians.append(pd.DataFrame({"method": method, "relative_step": grid, column: np.exp(np.median(logs, axis=0))}))
    return pd.concat(medians)


def _plain_numbers(axis: Axis) -> None:
    """Ticks of a logarithmic axis as a person would write them: enough of them where it spans less than two decades."""
    low, high = axis.get_view_interval()
    digits = (1, 2, 5) if high / low < FEW_DECADES else (1,)
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _shared_legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    fitting = int(figure.get_size_inches()[0] / LEGEND_ENTRY_INCHES)
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), fitting), handlelength=3)
