"""The figures: one function each, tidy frame in, matplotlib `Figure` out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from reports.load import Results
from reports.style import arm_style

MIB = 2**20
RELATIVE_GRID = np.geomspace(0.02, 11, 200)


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
    """Every figure that there are data for, in the order of the page; `results` is of one run."""
    return [drawing for draw in FIGURES if (drawing := draw(results)) is not None]


def memory(results: Results) -> Drawing | None:
    """Tensor-ledger peak of one step against batch size."""
    steps = _steps(results).dropna(subset=["memory.tensor_peak_bytes"])
    if steps.empty:
        return None
    steps = steps.assign(mib=steps["memory.tensor_peak_bytes"] / MIB)
    return Drawing(
        "memory",
        "Peak memory of one step",
        "Tensor ledger: bytes of live tensors at their peak, parameters and batch included; exact, so there is no "
        "spread. Both axes are logarithmic.",
        "Peak tensor memory in MiB against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "mib", "peak of live tensors (MiB)"),
    )


def step_time(results: Results) -> Drawing | None:
    """Median seconds of one step against batch size."""
    steps = _steps(results).dropna(subset=["time.step_s"])
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
    steps = _steps(results).dropna(subset=["energy.joules_per_step"])
    if steps.empty:
        return None
    basis = " and ".join(sorted(steps["energy.basis"].unique()))
    estimated = " An estimate from load and table power adds nothing to the time." if "estimated" in basis else ""
    return Drawing(
        "step-energy",
        f"Energy of one step ({basis})",
        f"One window of {_span(steps['energy.window_s'], '.1f')} s a case, by CodeCarbon, this process only; no "
        f"spread is known from one window.{estimated} Both axes are logarithmic.",
        "Energy of one step in joules against batch size, one panel a model, one line an arm.",
        _against_batch_size(steps, "energy.joules_per_step", f"energy of a step (J, {basis})"),
    )


def loss_curves(results: Results) -> Drawing | None:
    """Forget and retain loss through completion and beyond, in relative time."""
    curves = results.curves
    if curves.empty or curves["relative_step"].isna().all():
        return None
    curves = curves.dropna(subset=["relative_step"])
    resampled = pd.concat(
        _resampled(run).assign(scenario=scenario, method=method, seed=seed)
        for (scenario, method, seed), run in curves.groupby(["scenario", "method", "seed"])
    )
    seeds = curves["seed"].nunique()
    there = resampled.groupby(["scenario", "method", "relative_step"])["seed"].transform("count")
    resampled = resampled[there == resampled.groupby(["scenario", "method"])["seed"].transform("nunique")]
    return Drawing(
        "loss-curves",
        "Loss through completion and beyond",
        f"Median over {seeds} seeds, band from the least to the greatest; each run's own steps divided by its T*, "
        "the first evaluation at which the forget set is forgotten. Runs that never complete are not drawn, and a line "
        "ends where its first seed ends. Both axes are logarithmic.",
        "Forget loss and retain loss against relative time, one row a scenario; completion is marked at 1.",
        _loss_panels(resampled),
    )


FIGURES: tuple[Callable[[Results], Drawing | None], ...] = (memory, step_time, step_energy, loss_curves)


def _steps(results: Results) -> pd.DataFrame:
    return results.cases[results.cases["kind"] == "step"]


def _span(values: pd.Series, form: str = ".0f") -> str:
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"


def _against_batch_size(steps: pd.DataFrame, column: str, label: str) -> Figure:
    """One panel a model, one line an arm, both axes logarithmic."""
    style = arm_style(steps["method"])
    models = list(steps["model"].unique())
    figure = Figure(figsize=(3.4 * max(2, len(models)), 3.6), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
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
        axes.set(xscale="log", yscale="log", title=model, xlabel="batch size", ylabel=label if model == models[0] else "")
        axes.set_xticks(sorted(steps["batch_size"].unique()))
        _plain_numbers(axes)
        axes.get_legend().remove()
    _shared_legend(figure)
    return figure


def _loss_panels(curves: pd.DataFrame) -> Figure:
    style = arm_style(curves["method"])
    scenarios = list(curves["scenario"].unique())
    figure = Figure(figsize=(8.2, 3.1 * len(scenarios)), layout="constrained")
    rows = figure.subplots(len(scenarios), 2, squeeze=False, sharex=True)
    for row, scenario in zip(rows, scenarios, strict=True):
        for axes, subset in zip(row, ("forget", "retain"), strict=True):
            sns.lineplot(
                curves[curves["scenario"] == scenario],
                x="relative_step",
                y=f"{subset}_loss",
                hue="method",
                style="method",
                hue_order=style.order,
                style_order=style.order,
                palette=style.palette,
                dashes=style.dashes,
                estimator="median",
                errorbar=("pi", 100),
                ax=axes,
            )
            axes.axvline(1, color="#666666", linewidth=1)
            axes.set(xscale="log", yscale="log", title=f"{scenario}: {subset} loss")
            axes.set(xlabel="steps / T*", ylabel="cross-entropy (nats)")
            _plain_numbers(axes)
            axes.get_legend().remove()
    _shared_legend(figure)
    return figure


def _resampled(run: pd.DataFrame) -> pd.DataFrame:
    """One run on the common grid of relative time, so that a median over seeds compares like with like."""
    known = run[run["relative_step"] > 0]
    end = known.dropna(subset=["forget_loss", "retain_loss"])["relative_step"].max()
    grid = RELATIVE_GRID[(known["relative_step"].min() <= RELATIVE_GRID) & (end >= RELATIVE_GRID)]
    columns = {
        name: np.interp(np.log(grid), np.log(known["relative_step"]), known[name])
        for name in ("forget_loss", "retain_loss")
    }
    return pd.DataFrame({"relative_step": grid, **columns})


def _plain_numbers(axes: Axes) -> None:
    """Tick labels a person would write, and none between them."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _shared_legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), handlelength=3)
