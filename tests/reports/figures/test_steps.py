"""The figures of single steps show what is in the records."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from matplotlib.text import Text

from bench.record import Record
from reports.figures import style
from reports.figures.panels import Drawing
from reports.figures.steps import composition, memory, step_energy, step_time
from reports.tables.steps import memory_comparison, step_table
from tests.reports.conftest import MIB, PartOf, step_record, weighing


def lines(drawing: Drawing | None, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    """What a panel shows, by colour of the line."""
    assert drawing is not None
    axes = drawing.figure.axes[panel]
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 1]
    return {str(line.get_color()): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}


@pytest.mark.parametrize(
    ("draw", "factor"),
    [(memory, 1.0), (step_energy, 0.1)],
)
def test_step_figures_show_the_records(part_of: PartOf, draw: Callable, factor: float) -> None:
    """Each arm's figure is its factor times the batch size, in MiB and tenths of a joule."""
    shown = lines(draw(part_of().steps), panel=1)
    palette = style.arm_style(["forward", "fo-ga", "zo-ga"]).palette
    for method, arm in (("forward", 1), ("zo-ga", 2), ("fo-ga", 3)):
        x, y = shown[palette[method]]
        assert x == [1, 8]
        assert y == pytest.approx([factor * arm * 1, factor * arm * 8])


def test_the_time_figure_shows_multiples_of_two_forwards(part_of: PartOf) -> None:
    shown = lines(step_time(part_of().steps), panel=1)
    palette = style.arm_style(["forward", "fo-ga", "zo-ga"]).palette
    for method, arm in (("forward", 1), ("zo-ga", 2), ("fo-ga", 3)):
        assert shown[palette[method]] == ([1, 8], pytest.approx([arm / 2, arm / 2]))


def forecast_record(batch: int) -> Record:
    """A case that ran out of memory, of which only a forecast is known."""
    record = step_record("zo-ga", batch)
    memory = record.memory.model_copy(update={"tensor_basis": "forecast", "tensor_peak_bytes": 100 * 2**20})
    return record.model_copy(update={"memory": memory, "outcome": "out-of-memory", "time": None, "energy": None})


def test_a_forecast_is_marked_wherever_it_is_shown(part_of: PartOf) -> None:
    part = part_of([step_record("zo-ga", 1), forecast_record(64)])
    table = step_table(part)
    assert table is not None
    column = table.columns.index("peak of live tensors, MiB")
    assert [row[column] for row in table.rows] == ["2.00", "100.00 (forecast)"]
    comparison = memory_comparison(part)
    assert comparison is not None
    assert [row[2] for row in comparison.rows] == ["2.00", "100.00 (forecast)"]
    assert "forecast was not measured" in comparison.note
    drawing = memory(part.steps)
    assert drawing is not None
    assert "hollow marker is a forecast" in drawing.caption
    hollow = [line for line in drawing.figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in hollow] == [([64], [100.0])]


def test_without_forecasts_nothing_speaks_of_them(part_of: PartOf) -> None:
    part = part_of()
    drawing, comparison = memory(part.steps), memory_comparison(part)
    assert drawing is not None
    assert comparison is not None
    assert "forecast" not in drawing.caption + comparison.note
    assert all(line.get_markerfacecolor() != "white" for axes in drawing.figure.axes for line in axes.lines)


def test_the_parts_of_a_bar_are_stacked_to_the_peak(part_of: PartOf) -> None:
    """At the largest batch; a smaller one is not drawn."""
    records = [
        weighing(step_record("zo-ga", 1), 9 * MIB, parameters=4 * MIB, activations=5 * MIB),
        weighing(step_record("zo-ga", 8), 6 * MIB, parameters=4 * MIB, activations=2 * MIB),
        weighing(step_record("fo-ga", 8), 9 * MIB, parameters=4 * MIB, activations=5 * MIB),
    ]
    drawing = composition(part_of(records).largest_batches)
    assert drawing is not None
    bars = [(bar.get_y(), bar.get_height()) for bar in drawing.figure.axes[0].patches]
    assert bars == [(0, 4), (0, 4), (4, 5), (4, 2)]  # parameters of fo-ga and zo-ga, then activations
    assert drawing.figure.axes[0].get_title() == "cnn, 8x8, batch 8"


def test_budgets_stand_on_the_axis_where_they_are_in_range(part_of: PartOf) -> None:
    sizes = {1: MIB // 8, 8: 100 * MIB}
    drawing = memory(part_of([weighing(step_record("zo-ga", b), size) for b, size in sizes.items()]).steps)
    assert drawing is not None
    axis = drawing.figure.axes[0].yaxis
    written = {label.get_text(): place for label, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)}
    assert written["256 KiB"] == 0.25
    assert written["64 MiB"] == 64
    assert "512 MiB" not in written
    assert {float(text): place for text, place in written.items() if "iB" not in text} == {
        power: power for power in (0.1, 1, 10, 100)
    }


def test_arms_that_are_the_same_are_one_band_with_all_their_names(part_of: PartOf) -> None:
    """zo-ga is 4 % above forward, fo-ga 10 %; zo-mezo is the same at one of its batches only."""
    factors = {"forward": (100, 100), "zo-ga": (104, 100), "fo-ga": (110, 110), "zo-mezo": (100, 150)}
    records = [
        weighing(step_record(arm, batch), factor * MIB)
        for arm, both in factors.items()
        for batch, factor in zip((1, 8), both, strict=True)
    ]
    drawing = memory(part_of(records).steps)
    assert drawing is not None
    axes = drawing.figure.axes[0]
    assert {text.get_text() for text in axes.texts} == {"forward, zo-ga", "fo-ga", "zo-mezo"}
    (band,) = axes.collections
    assert band.get_datalim(axes.transData).extents == pytest.approx([1, 100, 8, 104])


def test_no_two_names_of_lines_touch(part_of: PartOf) -> None:
    """Ten arms whose lines end within a pixel or two of one another."""
    arms = ["forward", "fo-ga", "zo-ga", "fo-ga-head", "zo-mezo", "zo-sign", "zo-adam", "zo-momentum", "mine", "yours"]
    records = [weighing(step_record(arm, 8), int(100 * 1.06**place * MIB)) for place, arm in enumerate(arms)]
    records.append(weighing(step_record("zo-ga", 1), 100_000 * MIB))
    drawing = memory(part_of(records).steps)
    assert drawing is not None
    drawing.figure.draw_without_rendering()
    texts = drawing.figure.axes[0].texts
    boxes = sorted((Text.get_window_extent(text) for text in texts), key=lambda box: box.y0)  # without leader lines
    assert len(boxes) >= 9
    assert all(lower.y1 <= upper.y0 + 1 for lower, upper in pairwise(boxes))
