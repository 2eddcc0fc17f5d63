"""What the frontier figure shows, against records and points of a search by hand."""

from matplotlib.axes import Axes

from bench.record import Record
from reports.figures.frontier import frontier
from reports.figures.style import FAINT, PALETTE, PAPER
from tests.reports.conftest import PartOf, changed, searched, unlearning_record

RED, BLUE = PALETTE[1], PALETTE[2]


def marks(axes: Axes, size: int) -> list[tuple[object, ...]]:
    """Colour, marker, filling and points of the marks of one size, where there are any."""
    return [
        (
            line.get_color(),
            line.get_marker(),
            line.get_markerfacecolor() == PAPER,
            [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)],
        )
        for line in axes.lines
        if line.get_linestyle() == "None" and line.get_markersize() == size and len(line.get_xdata())
    ]


def test_arms_have_the_colour_of_their_order_and_a_marker_of_their_own(part_of: PartOf) -> None:
    arms = ("fo-ga", "fo-ga-head", "salun", "zo-ga", "zo-ga-clipped")
    drawing = frontier(part_of([unlearning_record(arm, 0) for arm in arms]).frontier)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    found = marks(axes, 8)
    assert [(color, hollow) for color, _, hollow, _ in found] == [(RED, False)] * 3 + [(BLUE, True)] * 2
    assert len({(color, marker) for color, marker, *_ in found}) == 5
    assert all(points == [(80.0, 0.9)] for *_, points in found)
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.texts] == list(arms)
    assert axes.get_xscale() == "log"


def test_a_mark_is_the_mean_with_its_range_and_the_search_lies_behind(part_of: PartOf) -> None:
    """Two seeds at ToW 0.6 and 0.8; of the two points of the search one is cheaper, the other beaten by the mean."""
    records = [changed(unlearning_record("zo-ga", seed), "quality.tow", 0.6 + seed / 5) for seed in (0, 1)]
    points = (searched(tow=0.5, sample_forwards=20.0), searched(tow=0.65, sample_forwards=200.0))
    drawing = frontier(part_of(records, *points).frontier)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    assert [points for *_, points in marks(axes, 8)] == [[(80.0, 0.7)]]
    assert marks(axes, 4) == [(BLUE, "x", False, [(20.0, 0.5), (200.0, 0.65)])]
    (line,) = (line for line in axes.lines if line.get_drawstyle() == "steps-post" and len(line.get_xdata()))
    assert (list(line.get_xdata()), [round(y, 9) for y in line.get_ydata()]) == ([20.0, 80.0], [0.5, 0.7])
    assert any(list(line.get_ydata()) == [0.6, 0.8] for line in axes.lines)
    assert "means over 2 pilot runs each" in drawing.caption


def test_a_setting_with_nothing_but_a_search_has_no_panel(part_of: PartOf) -> None:
    elsewhere = searched(setting="cnn digits b4 class:4")
    assert frontier(part_of([unlearning_record("retrain", 0)], elsewhere).frontier) is None
    drawing = frontier(part_of([unlearning_record("zo-ga", 0)], elsewhere).frontier)
    assert drawing is not None
    assert [axes.get_title() for axes in drawing.figure.axes] == ["cnn digits b4 class:3"]


def test_what_hides_the_class_is_grey_and_on_no_line(part_of: PartOf) -> None:
    """fo-ga on the whole network is at 70 %: 73 is as deep, 73.1 is not, however good its ToW."""
    points = [
        searched(method="fo-ga", eps=None, tow=0.6, depth=70.0),
        searched(tow=0.95, depth=73.1, tail="layer", sample_forwards=10.0),
        searched(tow=0.65, depth=73.0, tail="block", sample_forwards=30.0),
    ]
    part = part_of([changed(unlearning_record("zo-ga", 0), "quality.tow", 0.5)], *points)
    assert part.frontier.set_index("mean")["shallow"].to_dict() == {0.5: False, 0.6: False, 0.95: True, 0.65: False}
    drawing = frontier(part.frontier)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    assert (FAINT, "x", False, [(10.0, 0.95)]) in marks(axes, 4)
    lines = [list(line.get_xdata()) for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert lines == [[100.0], [30.0]]
    assert "over 3 points more of the forgotten class than after fo-ga" in drawing.caption


def test_an_arm_that_hides_the_class_is_grey_too(part_of: PartOf) -> None:
    records = []
    for arm, found in (("fo-ga", 71.0), ("fo-ga-head", 85.0), ("zo-ga", 72.0)):
        record = unlearning_record(arm, 0).model_dump()
        record["quality"]["depth"] = [{"shots": 20, "model": found, "original": 85.0}]
        records.append(Record.model_validate(record))
    drawing = frontier(part_of(records).frontier)
    assert drawing is not None
    assert [color for color, *_ in marks(drawing.figure.axes[0], 8)] == [RED, FAINT, BLUE]
