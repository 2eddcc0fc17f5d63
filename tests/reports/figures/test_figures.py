"""What the figures of erasures and of memory show, against the records by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from bench.record import Record
from reports.data.device_budgets import BUDGETS, smallest_budget
from reports.data.load import load
from reports.figures import style
from reports.figures.curves import displacement_curves, loss_curves
from reports.figures.erasures import completion_cost, pareto, pareto_points, quality_gaps
from reports.figures.steps import composition, memory
from tests.reports.conftest import MIB, step_record, unlearning_record

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _use_style() -> None:
    style.use()


def weighing(record: Record, peak: int, **categories: int) -> Record:
    memory = record.memory.model_copy(update={"tensor_peak_bytes": peak, "tensor_by_category": categories})
    return record.model_copy(update={"memory": memory})


def worth(record: Record, **quality: float) -> Record:
    assert record.quality is not None
    return record.model_copy(update={"quality": record.quality.model_copy(update=quality)})


def costing(record: Record, seconds: float) -> Record:
    assert record.completion is not None
    return record.model_copy(update={"completion": record.completion.model_copy(update={"seconds": seconds})})


def large_marks(axes: Axes) -> dict[str, tuple[float, float]]:
    """Where the means stand, by colour."""
    marks = [line for line in axes.lines if line.get_markersize() == 8 and line.get_linestyle() == "None"]
    return {str(line.get_color()): (float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks}


def test_the_parts_of_a_bar_are_stacked_to_the_peak(write_json: Write) -> None:
    """At the largest batch; a smaller one is not drawn."""
    records = [
        weighing(step_record("zo-ga", 1), 9 * MIB, parameters=4 * MIB, activations=5 * MIB),
        weighing(step_record("zo-ga", 8), 6 * MIB, parameters=4 * MIB, activations=2 * MIB),
        weighing(step_record("fo-ga", 8), 9 * MIB, parameters=4 * MIB, activations=5 * MIB),
    ]
    drawing = composition(load([write_json(records)]))
    assert drawing is not None
    bars = [(bar.get_y(), bar.get_height()) for bar in drawing.figure.axes[0].patches]
    assert bars == [(0, 4), (0, 4), (4, 5), (4, 2)]  # parameters of fo-ga and zo-ga, then activations
    assert drawing.figure.axes[0].get_title() == "cnn, batch 8"


def test_budgets_are_drawn_where_they_are_in_range(write_json: Write) -> None:
    sizes = {1: MIB // 8, 8: 100 * MIB}
    drawing = memory(load([write_json([weighing(step_record("zo-ga", b), size) for b, size in sizes.items()])]))
    assert drawing is not None
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["256 KiB", "64 MiB"]


@pytest.mark.parametrize(
    ("peak", "budget"),
    [(1, "256 KiB"), (2**18, "256 KiB"), (2**18 + 1, "64 MiB"), (2**29, "512 MiB"), (2**29 + 1, "more than 512 MiB")],
)
def test_the_smallest_budget_that_holds_a_peak(peak: int, budget: str) -> None:
    assert smallest_budget(peak) == budget
    assert list(BUDGETS.values()) == sorted(BUDGETS.values())


def test_cost_is_drawn_as_a_share_of_retrains(write_json: Write) -> None:
    """1 and 3 s, of 4 and 4 s: the mean of a quarter and three quarters."""
    records = [costing(unlearning_record("zo-ga", seed), 1.0 + 2 * seed) for seed in (0, 1)]
    records += [costing(unlearning_record("retrain", seed), 4.0) for seed in (0, 1)]
    drawing = completion_cost(load([write_json(records)]))
    assert drawing is not None
    time = next(axes for axes in drawing.figure.axes if axes.get_xlabel() == "time / Retrain's")
    assert large_marks(time) == {style.OKABE_ITO[2]: (0.5, 0.0)}


def test_quality_is_drawn_as_a_gap_to_retrain_of_the_same_seed(write_json: Write) -> None:
    records = [worth(unlearning_record("zo-ga", seed), ra=70.0 + 10 * seed) for seed in (0, 1)]
    records += [worth(unlearning_record("retrain", seed), ra=95.0 + seed) for seed in (0, 1)]
    drawing = quality_gaps(load([write_json(records)]))
    assert drawing is not None
    kept = next(axes for axes in drawing.figure.axes if axes.get_xlabel() == "RA (points)")
    assert large_marks(kept) == {style.OKABE_ITO[2]: (-20.5, 0.0)}


def test_without_retrain_there_is_nothing_to_compare_with(write_json: Write) -> None:
    results = load([write_json([unlearning_record("zo-ga", 0)])])
    assert completion_cost(results) is None
    assert quality_gaps(results) is None


def test_the_line_joins_the_arms_that_no_other_beats(write_json: Write) -> None:
    """Less memory and more kept is better; an arm that equals another in both is beaten by neither."""
    points = {
        "fo-ga": (4, 90.0),
        "zo-ga": (1, 80.0),
        "fo-ga-head": (1, 85.0),  # beats zo-ga
        "salun": (5, 90.0),  # beaten by fo-ga
        "finetune": (8, 95.0),
        "l1-sparse": (8, 95.0),
    }
    records = [weighing(worth(unlearning_record(arm, 0), ra=kept), mib * MIB) for arm, (mib, kept) in points.items()]
    results = load([write_json(records)])
    found = pareto_points(results).set_index("method")["front"].to_dict()
    assert found == {
        "fo-ga": True,
        "zo-ga": False,
        "fo-ga-head": True,
        "salun": False,
        "finetune": True,
        "l1-sparse": True,
    }
    drawing = pareto(results)
    assert drawing is not None
    assert len(drawing.figure.axes) == 1


def test_a_run_that_never_completed_keeps_nothing(write_json: Write) -> None:
    assert pareto(load([write_json([unlearning_record("zo-ga", 0, completed=None)])])) is None


def test_of_many_seeds_only_some_have_a_line_and_the_caption_says_so(write_json: Write) -> None:
    drawing = loss_curves(load([write_json([unlearning_record("zo-ga", seed) for seed in range(25)])]))
    assert drawing is not None
    assert "25 seeds, of which the first 15 have a line" in drawing.caption
    (lines,) = drawing.figure.axes[0].collections
    assert len(lines.get_paths()) == 15


def test_completion_is_a_dot_where_the_model_then_was(write_json: Write) -> None:
    """The fixture's model moves by 1 a step, and completes at step 4."""
    drawing = displacement_curves(load([write_json([unlearning_record("zo-ga", 0, completed=4)])]))
    assert drawing is not None
    loss = drawing.figure.axes[0]
    dots = next(found for found in loss.collections if isinstance(found, PathCollection))
    assert dots.get_offsets().tolist() == [[4.0, pytest.approx(0.01 * 2**4)]]
