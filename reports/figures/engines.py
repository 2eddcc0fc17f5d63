"""The figures of engines: what a process takes on each, and with how little memory it gets through."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.data.device_budgets import BUDGETS
from reports.data.load import CAPS, MIB, caps_of
from reports.data.words.glossary import image_sizes, listed
from reports.figures.panels import Drawing, legend_above, plain_numbers
from reports.figures.style import FAINT, LINE, QUIET, ArmStyle, arm_style

TORCH = "torch"
ROW_INCHES = 0.8
APART = 0.07  # of a row, between the marks of two arms
LANE = 0.22  # of a row, that an engine's marks are above or below its middle
FILLED = "A filled mark is a process of the engine's, in which torch never is; a hollow one is torch's."


def engine_peaks(steps: pd.DataFrame) -> Drawing | None:
    """A process's peak on each engine, a row a network, a mark an arm."""
    if steps.empty:
        return None
    style, networks = arm_style(steps["method"]), _networks(steps)
    figure, axes = _rows(networks)
    for engine, row, of_arm in _lanes(steps, networks):
        apart = APART * (style.order.index(of_arm["method"]) - (len(style.order) - 1) / 2)
        axes.plot(of_arm["mib"], row + apart, **_mark(style, of_arm["method"], engine))
    axes.set(xscale="log", xlabel="peak of the process (MiB)")
    low, high = axes.get_xlim()
    for name, size in BUDGETS.items():
        if low <= size / MIB <= high:
            axes.axvline(size / MIB, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
            axes.annotate(name, (size / MIB, 1), xycoords=("data", "axes fraction"), va="bottom", fontsize=8)
    plain_numbers(axes.xaxis)
    _legend(figure, style, steps)
    return Drawing(
        "What a process takes, on each engine",
        f"Peak of a process over its life, imports included, that does nothing but the arm's steps ({_scope(steps)}). "
        f"{FILLED} The axis is logarithmic.",
        "Peak of a process in MiB by network, one mark an arm and engine.",
        figure,
    )


def memory_caps(steps: pd.DataFrame) -> Drawing | None:
    """Who gets through under which limit: networks in rows, limits in columns, an arm's mark where it does."""
    limits = caps_of(steps)
    steps = steps.dropna(subset=[f"{CAPS}{limit}" for limit in limits], how="all")
    if not limits or steps.empty:
        return None
    style, networks = arm_style(steps["method"]), _networks(steps)
    figure, axes = _rows(networks)
    width = 0.8 / len(style.order)
    for engine, row, of_arm in _lanes(steps, networks):
        for place, limit in enumerate(limits):
            if of_arm[f"{CAPS}{limit}"]:
                across = place + (style.order.index(of_arm["method"]) - (len(style.order) - 1) / 2) * width
                axes.plot(across, row, **_mark(style, of_arm["method"], engine))
    axes.set_xticks(range(len(limits)), [f"{limit}" for limit in limits])
    axes.set(xlabel="memory that the operating system allows (MiB)", xlim=(-0.5, len(limits) - 0.5))
    axes.set_xticks([place + 0.5 for place in range(len(limits) - 1)], minor=True)
    axes.grid(visible=False, axis="x", which="major")
    axes.grid(visible=True, axis="x", which="minor", color=LINE)
    _legend(figure, style, steps)
    return Drawing(
        "Who gets through with how much memory",
        "A mark where a fresh process got through twenty of the arm's steps under the limit, nothing where it was "
        f"killed ({_scope(steps)}). {FILLED}",
        "Marks of the arms that get through, by network and memory limit.",
        figure,
    )


def _networks(steps: pd.DataFrame) -> list[str]:
    """The networks, that with the lowest peak first."""
    return list(steps.groupby("network")["mib"].min().sort_values().index)


def _rows(networks: list[str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.4, 1.3 + ROW_INCHES * len(networks)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(networks)), networks)
    axes.set_ylim(len(networks) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    for between in range(len(networks) - 1):
        axes.axhline(between + 0.5, color=LINE, linewidth=1, zorder=0)
    return figure, axes


def _lanes(steps: pd.DataFrame, networks: list[str]) -> Iterator[tuple[str, float, pd.Series]]:
    """Engine, height and row of each step: torch below the middle of a network's row, the engine above."""
    for _, row in steps.iterrows():
        yield row["engine"], networks.index(row["network"]) + (LANE if row["engine"] == TORCH else -LANE), row


def _mark(style: ArmStyle, arm: str, engine: str) -> dict[str, Any]:
    color = style.palette[arm]
    return {
        "linestyle": "",
        "marker": style.markers[arm],
        "color": color,
        "markerfacecolor": "white" if engine == TORCH else color,
        "markersize": 7,
    }


def _legend(figure: Figure, style: ArmStyle, steps: pd.DataFrame) -> None:
    arms: list[Artist] = [
        Line2D([], [], linestyle="", color=style.palette[arm], marker=style.markers[arm]) for arm in style.order
    ]
    engines = list(steps["engine"].unique())
    marks: list[Artist] = [
        Line2D([], [], linestyle="", color=QUIET, marker="o", markerfacecolor="white" if engine == TORCH else QUIET)
        for engine in engines
    ]
    legend_above(figure, [*arms, *marks], [*style.order, *(f"on {engine}" for engine in engines)])


def _scope(steps: pd.DataFrame) -> str:
    batches = sorted({int(size) for size in steps["batch_size"]})
    threads = sorted({int(count) for count in steps["threads"]})
    return (
        f"batch {listed(map(str, batches))}, images of {image_sizes(steps)} pixels, threads: "
        f"{listed(map(str, threads))}"
    )
