"""The figures of whole runs show what is in the records."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from reports.data.points import COLLAPSED
from reports.figures import style
from reports.figures.curves import displacement_curves, loss_curves
from tests.reports.conftest import PartOf, unlearning_record


def test_loss_curves_show_every_seed_and_the_median(part_of: PartOf) -> None:
    drawing = loss_curves(part_of().ascents)
    assert drawing is not None
    assert "3 seeds" in drawing.caption
    forget = drawing.figure.axes[0]
    zeroth = style.OKABE_ITO[2]
    (median,) = (line for line in forget.lines if line.get_color() == zeroth)
    (seeds,) = (found for found in forget.collections if to_hex(found.get_colors()[0]) == zeroth.lower())
    paths = [path.vertices for path in seeds.get_paths()]
    assert len(paths) == 3
    for points in (*paths, np.column_stack([median.get_xdata(), median.get_ydata()])):
        x, y = points.T
        on_record = np.isclose(x * 10, np.round(x * 10))
        assert y[on_record] == pytest.approx(0.01 * 2 ** (10 * x[on_record]))
        assert y.max() <= COLLAPSED


def test_of_many_seeds_only_some_have_a_line_and_the_caption_says_so(part_of: PartOf) -> None:
    drawing = loss_curves(part_of([unlearning_record("zo-ga", seed) for seed in range(25)]).ascents)
    assert drawing is not None
    assert "25 seeds, of which the first 15 have a line" in drawing.caption
    (lines,) = drawing.figure.axes[0].collections
    assert len(lines.get_paths()) == 15


def test_completion_is_a_dot_where_the_model_then_was(part_of: PartOf) -> None:
    """The fixture's model moves by 1 a step, and completes at step 4."""
    drawing = displacement_curves(part_of([unlearning_record("zo-ga", 0, completed=4)]).ascents)
    assert drawing is not None
    loss = drawing.figure.axes[0]
    dots = next(found for found in loss.collections if isinstance(found, PathCollection))
    assert dots.get_offsets().tolist() == [[4.0, pytest.approx(0.01 * 2**4)]]
