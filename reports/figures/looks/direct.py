"""Names where the lines end or the points lie, instead of a legend: in a column on the right, with leader lines."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from reports.figures.style import FAINT

LETTERS = 26  # in a line
POINTS = 8  # of the font
LINE_INCHES = 1.2 * POINTS / 72
COLUMN = 1.05  # where names begin, in widths of the panel


@dataclass(frozen=True)
class Place:
    """Where a name belongs, in the units of the axes."""

    x: float
    y: float
    name: str
    color: str


def name_directly(axes: Axes, places: Sequence[Place], height: float) -> None:
    """Write the names; limits and scales of the axes must be as they are going to stay.

    Args:
        height: about how many inches the axes will take.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    everywhere = [(place, to_axes.transform((place.x, place.y))) for place in places]
    on_paper = [
        (place, at) for place, at in everywhere if (abs(at - 0.5) <= 1).all()
    ]  # no nought where there are logarithms
    places, at = [place for place, _ in on_paper], [at for _, at in on_paper]
    texts = [textwrap.fill(place.name, LETTERS, break_long_words=False, break_on_hyphens=False) for place in places]
    heights = [(text.count("\n") + 1) * LINE_INCHES / height for text in texts]
    for place, (x, y), text, middle in zip(places, at, texts, _apart([y for _, y in at], heights), strict=True):
        axes.annotate(
            text,
            (x, y),
            xytext=(COLUMN, middle),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=POINTS,
            color=place.color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": FAINT,
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )


def _apart(wanted: Sequence[float], heights: Sequence[float]) -> Iterator[float]:
    """Middles near the wanted ones that leave each its height, in the same order from below, none above the top.

    Names that touch become one pile, in the middle of where its own belong (Dwyer et al. 2006, "Fast node overlap
    removal", in one dimension); names that do not fit below one another go on below the panel.
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    piles: list[tuple[list[int], float, float]] = []  # names from below, bottom, height
    for place in order:
        pile, height = [place], heights[place]
        bottom = wanted[place] - height / 2
        while piles and piles[-1][1] + piles[-1][2] > bottom:
            lower, _, lower_height = piles.pop()
            pile, height = [*lower, *pile], lower_height + height
            bottom = sum(wanted[name] for name in pile) / len(pile) - height / 2
        bottom = min(max(bottom, 0.0), 1.0 - height)
        piles.append((pile, bottom, height))
    middles = dict[int, float]()
    ceiling = 1.0
    for pile, bottom, height in reversed(piles):
        top = min(bottom + height, ceiling)
        ceiling = top - height
        for name in reversed(pile):
            middles[name] = top - heights[name] / 2
            top -= heights[name]
    yield from (middles[place] for place in range(len(wanted)))
