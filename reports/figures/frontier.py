"""The frontier: what an erasure takes against what it comes to, every point of the searches behind the results."""

from collections.abc import Mapping
from functools import partial
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.record import DEPTH_MARGIN
from reports.data.arms import places
from reports.data.words.glossary import SAMPLE_FORWARDS
from reports.figures.panels import Drawing, legend_above, plain_numbers, setting_panels, span
from reports.figures.style import FAINT, MARKERS, PALETTE, PAPER

Look = dict[str, Any]  # as matplotlib's lines take it
FIRST: Look = {"color": PALETTE[1], "markerfacecolor": PALETTE[1], "markeredgewidth": 1.0}
ZEROTH: Look = {"color": PALETTE[2], "markerfacecolor": PAPER, "markeredgewidth": 1.8}
MARK: Look = {"linestyle": "", "markersize": 8, "zorder": 4}
TRIED: Look = {"linestyle": "", "markersize": 4, "alpha": 0.45, "zorder": 1}
LINE: Look = {"linewidth": 1, "drawstyle": "steps-post", "zorder": 2}


def frontier(points: pd.DataFrame) -> Drawing | None:
    """Sample-forwards to completion against ToW, an arm a marker, one panel a setting; see `frontier_points`."""
    measured, tried = points[points["measured"]], points[~points["measured"]]
    if measured.empty:
        return None
    looks = _looks(measured)
    legend = looks | ({"others, search": _tried(False), "zeroth order, search": _tried(True)} if len(tried) else {})
    settings = list(measured["setting"].unique())
    figure = setting_panels(points, settings, 3.3, partial(_panel, looks=looks))
    legend_above(figure, [Line2D([], [], **look) for look in legend.values()], list(legend))
    return Drawing(
        "What an erasure takes, and what it comes to",
        f"ToW at completion against the work until then: mean and range over the {span(measured['n'])} seeds that "
        "completed. Hollow and blue: arms of zeroth order; filled and red: the others. "
        f"{_behind(tried)}{_grey(points)}Up and to the left is better; a line, broken for zeroth order, joins the "
        f"points that no other of the same kind beats in both. {SAMPLE_FORWARDS} Samples a step and the part of the "
        "network that an arm moved are in the table. The axis of work is logarithmic.",
        "ToW at completion against sample-forwards, one panel a setting, a marker an arm, both orders apart.",
        figure,
    )


def _behind(tried: pd.DataFrame) -> str:
    if tried.empty:
        return ""
    return (
        f"Small marks are points of the searches, means over {span(tried['n'])} pilot runs each, all of which "
        "completed; no result uses their seeds. "
    )


def _grey(points: pd.DataFrame) -> str:
    if not points["shallow"].any():
        return ""
    return (
        f"Grey, and on no line: points where a probe finds over {DEPTH_MARGIN:g} points more of the forgotten class "
        "than after fo-ga; they hide it rather than forget it. "
    )


def _looks(measured: pd.DataFrame) -> dict[str, Look]:
    """Of each arm, those of first order before the others; no two of an order have the same marker."""
    orders = measured.drop_duplicates("method").set_index("method")["zeroth"]
    looks: dict[str, Look] = {}
    for zeroth in (False, True):
        arms = places(orders.index[orders == zeroth])
        looks |= {
            arm: _order(zeroth) | MARK | {"marker": mark} for arm, mark in zip(arms, cycle(MARKERS), strict=False)
        }
    return looks


def _panel(axes: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    for zeroth in (False, True):
        of_order = points[points["zeroth"] == zeroth]
        tried, front = of_order[~of_order["measured"]], of_order[of_order["front"]].sort_values("forwards")
        for color, some in ((FAINT, tried[tried["shallow"]]), (_order(zeroth)["color"], tried[~tried["shallow"]])):
            axes.plot(some["forwards"], some["mean"], **_tried(zeroth) | {"color": color, "markerfacecolor": color})
        axes.plot(
            front["forwards"], front["mean"], **LINE, color=_order(zeroth)["color"], linestyle="--" if zeroth else "-"
        )
    for _, point in points[points["measured"]].iterrows():
        look = looks[point["method"]]
        if point["shallow"]:
            filling = PAPER if point["zeroth"] else FAINT
            look = look | {"color": FAINT, "markerfacecolor": filling}
        axes.plot([point["forwards"]] * 2, [point["low"], point["high"]], color=look["color"], linewidth=1)
        axes.plot(point["forwards"], point["mean"], **look)
    axes.set(xscale="log", xlabel="sample-forwards to completion", ylabel="ToW at T* (1 is Retrain)")
    plain_numbers(axes.xaxis)


def _order(zeroth: bool) -> Look:
    return ZEROTH if zeroth else FIRST


def _tried(zeroth: bool) -> Look:
    """How the points of a search look."""
    return _order(zeroth) | TRIED | {"marker": "x" if zeroth else ".", "markeredgewidth": 1.0}
