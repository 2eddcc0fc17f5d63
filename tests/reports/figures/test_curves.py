"""The figures of whole runs show what is in the records."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from reports.data.points import COLLAPSED
from reports.figures import style
from reports.figures.curves import accuracy_curves, displacement_curves, loss_curves
from tests.reports.conftest import PartOf, changed, unlearning_record


def test_loss_curves_show_the_median_and_the_range_over_the_seeds(part_of: PartOf) -> None:
    """All seeds of the fixture lose the same; one more loses twice as much, which moves the range alone."""
    worse = unlearning_record("zo-ga", 3)
    doubled = changed(worse, "curve.forget_loss", [2 * loss for loss in worse.curve.forget_loss])
    drawing = loss_curves(part_of([*(unlearning_record("zo-ga", seed) for seed in range(3)), doubled]).ascents)
    assert drawing is not None
    assert "4 seeds" in drawing.caption
    forget = drawing.figure.axes[0]
    (median,) = (line for line in forget.lines if line.get_color() == style.PALETTE[2])
    x, y = (values[np.isfinite(median.get_ydata())] for values in (median.get_xdata(), median.get_ydata()))
    assert x.max() == pytest.approx(1.5)  # where the seed that is worse is beyond drawing
    assert y == pytest.approx(0.01 * 2 ** (10 * x))
    (band,) = forget.collections
    at_completion = [y for x, y in band.get_paths()[0].vertices if np.isclose(x, 1)]
    assert (min(at_completion), max(at_completion)) == pytest.approx((0.01 * 2**10, 0.02 * 2**10))
    assert max(y for _, y in band.get_paths()[0].vertices) <= COLLAPSED


def test_a_cross_is_where_a_seed_collapses(part_of: PartOf) -> None:
    """T* is step 10; retain accuracy falls by 2 points a step from there on, and is 6 points lower at step 13."""
    falling = [100.0] * 11 + [100.0 - 2 * step for step in range(1, 11)]
    records = [changed(unlearning_record("zo-ga", seed), "curve.retain_accuracy", falling) for seed in range(2)]
    drawing = accuracy_curves(part_of([*records, unlearning_record("fo-ga", 0)]).ascents)
    assert drawing is not None
    crosses = [line for line in drawing.figure.axes[1].lines if line.get_marker() == "x"]
    assert [line.get_color() for line in crosses] == [style.PALETTE[2]]
    assert list(crosses[0].get_xdata()) == [1.3, 1.3]
    assert list(crosses[0].get_ydata()) == [94.0, 94.0]


def test_runs_that_go_on_have_the_rest_in_an_inset(part_of: PartOf) -> None:
    """With T* at step 4 they are drawn to 4 T*, where the loss is beyond drawing; with T* at 10 they end before 2."""
    records = [[unlearning_record("zo-ga", seed, completed) for seed in range(3)] for completed in (4, 10)]
    long, short = (accuracy_curves(part_of(some).ascents) for some in records)
    assert long is not None
    assert short is not None
    assert [[inset.get_xlim() for inset in axes.child_axes] for axes in long.figure.axes] == [[(0, 4)], [(0, 4)]]
    assert [axes.child_axes for axes in short.figure.axes] == [[], []]
    assert "inset" in long.caption
    assert "inset" not in short.caption


def test_completion_is_a_dot_where_the_model_then_was(part_of: PartOf) -> None:
    """The fixture's model moves by 1 a step, and completes at step 4."""
    drawing = displacement_curves(part_of([unlearning_record("zo-ga", 0, completed=4)]).ascents)
    assert drawing is not None
    loss = drawing.figure.axes[0]
    dots = next(found for found in loss.collections if isinstance(found, PathCollection))
    assert dots.get_offsets().tolist() == [[4.0, pytest.approx(0.01 * 2**4)]]
