"""What the figures of whole erasures up to completion show, against the records by hand."""

from matplotlib.axes import Axes

from reports.figures import style
from reports.figures.erasures import completion_cost, pareto, quality_gaps
from tests.reports.conftest import MIB, PartOf, changed, unlearning_record, weighing


def large_marks(axes: Axes) -> dict[str, tuple[float, float]]:
    """Where the means stand, by colour."""
    marks = [line for line in axes.lines if line.get_markersize() == 8 and line.get_linestyle() == "None"]
    return {str(line.get_color()): (float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks}


def test_cost_is_drawn_as_a_share_of_retrains(part_of: PartOf) -> None:
    """1 and 3 s, of 4 and 4 s: the mean of a quarter and three quarters."""
    records = [changed(unlearning_record("zo-ga", seed), "completion.seconds", 1.0 + 2 * seed) for seed in (0, 1)]
    records += [changed(unlearning_record("retrain", seed), "completion.seconds", 4.0) for seed in (0, 1)]
    drawing = completion_cost(part_of(records).done)
    assert drawing is not None
    time = next(axes for axes in drawing.figure.axes if axes.get_xlabel() == "time / Retrain's")
    assert large_marks(time) == {style.PALETTE[2]: (0.5, 0.0)}


def test_quality_is_drawn_as_a_gap_to_retrain_of_the_same_seed(part_of: PartOf) -> None:
    records = [changed(unlearning_record("zo-ga", seed), "quality.ra", 70.0 + 10 * seed) for seed in (0, 1)]
    records += [changed(unlearning_record("retrain", seed), "quality.ra", 95.0 + seed) for seed in (0, 1)]
    drawing = quality_gaps(part_of(records).done)
    assert drawing is not None
    kept = next(axes for axes in drawing.figure.axes if axes.get_xlabel() == "RA minus\nRetrain's, points")
    assert large_marks(kept) == {style.PALETTE[2]: (-20.5, 0.0)}


def test_an_arm_far_beyond_the_others_stands_at_the_edge_with_its_number(part_of: PartOf) -> None:
    """Five arms are within 2 points of Retrain, one is 70 below; the axis goes to 5 points either way."""
    kept = {"retrain": 95, "zo-ga": 94, "fo-ga": 93, "fo-ga-head": 95, "salun": 96, "random-label": 94, "finetune": 25}
    records = [changed(unlearning_record(arm, 0), "quality.ra", float(ra)) for arm, ra in kept.items()]
    drawing = quality_gaps(part_of(records).done)
    assert drawing is not None
    axes = next(axes for axes in drawing.figure.axes if axes.get_xlabel().startswith("RA"))
    assert axes.get_xlim() == (-5, 5)
    (edge,) = (line for line in axes.lines if line.get_marker() == "<")
    assert list(edge.get_xdata()) == [-5]
    assert [text.get_text() for text in axes.texts] == ["-70"]


def test_without_retrain_there_is_nothing_to_compare_with(part_of: PartOf) -> None:
    part = part_of([unlearning_record("zo-ga", 0)])
    assert completion_cost(part.done) is None
    assert quality_gaps(part.done) is None


def test_the_line_joins_the_arms_that_no_other_beats(part_of: PartOf) -> None:
    points = {"fo-ga": (4, 90.0), "zo-ga": (1, 80.0), "fo-ga-head": (1, 85.0), "finetune": (8, 95.0)}
    records = [
        weighing(changed(unlearning_record(arm, 0), "quality.ra", kept), mib * MIB)
        for arm, (mib, kept) in points.items()
    ]
    drawing = pareto(part_of(records).pareto_points)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    (front,) = (line for line in axes.lines if line.get_drawstyle() == "steps-post")
    assert (list(front.get_xdata()), list(front.get_ydata())) == ([1, 4, 8], [85, 90, 95])


def test_a_run_that_never_completed_keeps_nothing(part_of: PartOf) -> None:
    assert pareto(part_of([unlearning_record("zo-ga", 0, completed=None)]).pareto_points) is None
