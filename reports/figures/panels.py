"""A figure with its words, and what the figures have in common: panels, ticks, one legend."""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.figures.style import ArmStyle

PANELS_ACROSS = 3
LEGEND_ENTRY_INCHES = 2
TITLE_LETTERS = 48  # in a line, above a panel
MOST_RATIO = 200


@dataclass(frozen=True)
class Drawing:
    """A figure with what a reader needs beside it.

    Attributes:
        title, caption: what it shows, with n and spread.
        alt: for those who cannot see it.
    """

    title: str
    caption: str
    alt: str
    figure: Figure


def panels(count: int, height: float, across: int = PANELS_ACROSS) -> tuple[Figure, list[Axes]]:
    """So many panels, at most `across` beside one another, each of `height` inches."""
    columns, rows = min(count, across), math.ceil(count / across)
    figure = Figure(figsize=(3.4 * max(2, columns), 0.6 + height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(count)]


def setting_panels(
    rows: pd.DataFrame, settings: Sequence[str], height: float, draw: Callable[[Axes, pd.DataFrame], None]
) -> Figure:
    """A panel a setting, two beside one another, its name above what `draw` makes of its rows."""
    figure, places = panels(len(settings), height, across=2)
    for axes, setting in zip(places, settings, strict=True):
        draw(axes, rows[rows["setting"] == setting])
        titled(axes, setting)
    return figure


def plain_numbers(axis: Axis) -> None:
    """Ticks of a logarithmic axis as a person would write them: more of them where it spans little."""
    low, high = axis.get_view_interval()
    digits = (1, 2, 5) if high / low < MOST_RATIO else (1,)
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _written(value)))
    axis.set_minor_formatter(NullFormatter())


def _written(value: float) -> str:
    """2,000, 10k, 1M: short enough to stand beside the next power of ten."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,.10g}"


def whiskers(mean: float, low: float, high: float) -> list[list[float]]:
    """As matplotlib's errorbar takes them; a mean of equal values may be off by a rounding."""
    return [[max(0.0, mean - low)], [max(0.0, high - mean)]]


def titled(axes: Axes, text: str, loc: Literal["left", "center"] = "center") -> None:
    """A title in as many lines as it takes."""
    axes.set_title(textwrap.fill(text, TITLE_LETTERS), fontsize=10, loc=loc)


def shared_legend(figure: Figure) -> None:
    """The first panel's legend, above all panels."""
    legend_above(figure, *figure.axes[0].get_legend_handles_labels())


def arm_lines(axes: Axes, rows: pd.DataFrame, x: str, y: str, style: ArmStyle, **looks: Any) -> None:
    """A line an arm."""
    sns.lineplot(
        rows,
        x=x,
        y=y,
        hue="method",
        style="method",
        hue_order=style.order,
        style_order=style.order,
        palette=style.palette,
        dashes=style.dashes,
        errorbar=None,
        ax=axes,
        **looks,
    )


def line_style(style: ArmStyle, arm: str) -> Any:
    """An arm's dashes as matplotlib's lines and collections take them."""
    return (0, style.dashes[arm]) if style.dashes[arm] else "solid"


def line_legend(figure: Figure, style: ArmStyle) -> None:
    """A legend of the arms' lines, above all panels."""
    handles = [Line2D([], [], color=style.palette[arm], linestyle=line_style(style, arm)) for arm in style.order]
    legend_above(figure, handles, style.order)


def marker_legend(figure: Figure, style: ArmStyle) -> None:
    """A legend of the arms' markers, above all panels."""
    handles = [Line2D([], [], linestyle="", color=style.palette[arm], marker=style.markers[arm]) for arm in style.order]
    legend_above(figure, handles, style.order)


def legend_above(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend above all panels, in as many columns as fit."""
    fitting = int(figure.get_size_inches()[0] / LEGEND_ENTRY_INCHES)
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), fitting), handlelength=3)


def span(values: pd.Series, form: str = ".0f") -> str:
    """Least to greatest, or the one value that all have."""
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
