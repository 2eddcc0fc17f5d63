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
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.figures.style import QUIET, ArmStyle

PANELS_ACROSS = 3
PANEL_INCHES, NAMED_INCHES = 3.4, 4.7  # of a panel, and of one with names beside it
LEGEND_ENTRY_INCHES = 2
TITLE_LETTERS, ROW_LETTERS = 48, 90  # in a line, above a panel and above a row of them
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


def panels(
    count: int, height: float, across: int = PANELS_ACROSS, width: float = PANEL_INCHES
) -> tuple[Figure, list[Axes]]:
    """So many panels, at most `across` beside one another, each of `height` and `width` inches."""
    columns, rows = min(count, across), math.ceil(count / across)
    figure = Figure(figsize=(width * max(2, columns), 0.6 + height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(count)]


def setting_panels(
    rows: pd.DataFrame,
    settings: Sequence[str],
    height: float,
    draw: Callable[[Axes, pd.DataFrame], None],
    width: float = PANEL_INCHES,
) -> Figure:
    """A panel a setting, two beside one another, its name above what `draw` makes of its rows."""
    figure, places = panels(len(settings), height, across=2, width=width)
    for axes, setting in zip(places, settings, strict=True):
        draw(axes, rows[rows["setting"] == setting])
        titled(axes, setting)
    return figure


def signed(drawing: Drawing, source: str) -> None:
    """Write the title above the figure and where it comes from below, for a picture that is sent on alone."""
    figure = drawing.figure
    if figure.legends:
        figure.legends[0].set_title(drawing.title, prop=FontProperties(size=12, weight="bold"))
    else:
        figure.suptitle(drawing.title, fontsize=12, fontweight="bold")
    figure.supxlabel(source, fontsize=7, x=0.01, ha="left", color=QUIET)


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
    """A title in as many lines as it takes; one on the left is that of a row, and as wide as it likes."""
    letters = ROW_LETTERS if loc == "left" else TITLE_LETTERS
    lines = (textwrap.fill(line, letters) for line in text.split("\n"))
    title = axes.set_title("\n".join(lines), fontsize=10, loc=loc)
    if loc == "left":
        axes.set_title(" \n" * title.get_text().count("\n") + " ", fontsize=10)  # for the layout, which has the height
        title.set_in_layout(False)


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


def legend_above(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend above all panels, in as many columns as fit."""
    fitting = int(figure.get_size_inches()[0] / LEGEND_ENTRY_INCHES)
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), fitting), handlelength=3)


def span(values: pd.Series, form: str = ".0f") -> str:
    """Least to greatest, or the one value that all have."""
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
