"""The statistics after completion on synthetic curves whose answers are known."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bench.erasure.stability import stability
from bench.record import Curve, Rules, Stability

Value = float | None
COMPLETED, HORIZON, NORM, CHANCE = 10, 3.0, 20.0, 11.0
STEPS = tuple(range(0, 41, 5))


def curve(steps: Sequence[int] = STEPS, **columns: Callable[[float], Value]) -> Curve:
    """Columns as functions of the time after completion, in multiples of T*; a run where nothing happens by default."""
    calm: dict[str, Callable[[float], Value]] = {
        "forget_loss": lambda _: 3.0,
        "retain_loss": lambda _: 0.2,
        "test_loss": lambda _: 0.3,
        "forget_accuracy": lambda _: 10.0,
        "retain_accuracy": lambda _: 98.0,
        "test_accuracy": lambda _: 90.0,
        "distance": lambda _: 4.0,
    }
    times = [(step - COMPLETED) / COMPLETED for step in steps]
    return Curve(step=list(steps), **{name: [value(t) for t in times] for name, value in (calm | columns).items()})


def found(seen: Curve, diverged: int | None = None) -> Stability:
    return stability(seen, COMPLETED, HORIZON, Rules(), NORM, CHANCE, diverged)


def test_a_run_where_nothing_happens_is_censored_at_the_horizon() -> None:
    seen = found(curve())
    assert (seen.collapse, seen.collapsed) == (HORIZON, False)
    assert seen.loss_slope == pytest.approx(0, abs=1e-12)
    assert seen.drop_at_time == 0
    assert (seen.drop_at_distance, seen.drop_at_forget_loss) == (None, None)


@pytest.mark.parametrize("rate", [-0.3, 0.7, 5.0])
def test_exponential_growth_has_its_rate_as_slope(rate: float) -> None:
    """Per multiple of T*; what was before T* does not count."""
    seen = found(curve(retain_loss=lambda t: 0.1 * math.exp(rate * t) if t >= 0 else 7.0))
    assert seen.loss_slope == pytest.approx(rate, rel=1e-9)


def test_linear_growth_has_the_slope_of_its_logarithm() -> None:
    """Between two evaluations log 3 over two T*; over several the least-squares line of log(1 + t)."""
    assert found(curve((0, 10, 30), retain_loss=lambda t: 1 + t)).loss_slope == pytest.approx(math.log(3) / 2)
    times = np.array([(step - COMPLETED) / COMPLETED for step in STEPS if step >= COMPLETED])
    expected = np.polyfit(times, np.log(1 + times), 1)[0]
    seen = found(curve(retain_loss=lambda t: 1 + t if t >= 0 else 50.0))
    assert seen.loss_slope == pytest.approx(expected, rel=1e-9)


def test_a_loss_that_rounds_to_zero_has_a_slope_all_the_same() -> None:
    """From the least loss that is told apart from none, 1e-12, to e times that in two T*."""
    seen = found(curve((0, 10, 30), retain_loss=lambda t: 0.0 if t < 1 else 1e-12 * math.e))
    assert seen.loss_slope == pytest.approx(0.5)


@pytest.mark.parametrize("time", [0.5, 1.5, 3.0])
def test_collapse_is_the_first_time_five_points_down(time: float) -> None:
    """And it stays the first, also where accuracy comes back."""
    seen = found(curve(retain_accuracy=lambda t: 93.0 if t == time else 98.0))
    assert (seen.collapse, seen.collapsed) == (pytest.approx(time), True)


def test_the_time_of_collapse_does_not_depend_on_how_often_one_looks() -> None:
    """Accuracy falls by 20 points a T*: 5 points take a quarter of it, for evaluations every step or every T*."""
    for steps in (tuple(range(41)), (0, 10, 20, 30, 40)):
        seen = found(curve(steps, retain_accuracy=lambda t: 98.0 - 20 * max(t, 0)))
        assert seen.collapse == pytest.approx(0.25)


def test_less_than_five_points_are_no_collapse() -> None:
    seen = found(curve(retain_accuracy=lambda t: 98.0 if t <= 0 else 93.1))
    assert (seen.collapse, seen.collapsed) == (HORIZON, False)


def test_what_happens_before_completion_is_no_collapse() -> None:
    seen = found(curve(retain_accuracy=lambda t: 98.0 if t >= 0 else 10.0, test_loss=lambda t: 1.0 if t >= 0 else None))
    assert (seen.collapse, seen.collapsed) == (HORIZON, False)


@pytest.mark.parametrize("column", ["forget_loss", "retain_loss", "test_loss"])
def test_a_loss_that_is_not_finite_midway_is_a_collapse(column: str) -> None:
    seen = found(curve(**{column: lambda t: None if t >= 2 else math.exp(t)}))
    assert (seen.collapse, seen.collapsed) == (2, True)


def test_the_slope_is_that_of_the_finite_losses() -> None:
    seen = found(curve(retain_loss=lambda t: None if t in (1.0, 3.0) else math.exp(0.4 * t)))
    assert seen.loss_slope == pytest.approx(0.4)
    assert seen.collapse == 1


@pytest.mark.parametrize("steps", [(0, 5, 10), STEPS])
def test_one_finite_loss_has_no_slope(steps: tuple[int, ...]) -> None:
    assert found(curve(steps, retain_loss=lambda t: None if t > 0 else 0.1)).loss_slope is None


def test_an_accuracy_that_is_not_known_counts_as_none() -> None:
    seen = found(curve(retain_accuracy=lambda t: None if t >= 1 else 98.0))
    assert (seen.collapse, seen.collapsed, seen.drop_at_time) == (pytest.approx(0.5 + 0.5 * 5 / 98), True, 98)


def test_divergence_before_any_evaluation_is_a_collapse_at_its_step() -> None:
    """The curve ends at T*; the step that was not finite is all there is. No loss of accuracy was seen."""
    seen = found(curve((0, 5, 10)), diverged=13)
    assert (seen.collapse, seen.collapsed) == (pytest.approx(0.3), True)
    assert (seen.loss_slope, seen.drop_at_time, seen.drop_at_distance, seen.drop_at_forget_loss) == (None, 0, 0, 0)


def test_a_run_that_diverged_stays_where_it_ended() -> None:
    """It reached no matched point; its last accuracy counts for each of them, and an earlier collapse stays earlier."""
    looked = curve((0, 10, 12, 14, 15), retain_accuracy=lambda t: {0.0: 98.0, 0.2: 97.0}.get(t, 60.0))
    seen = found(looked, diverged=15)
    assert (seen.collapse, seen.collapsed) == (pytest.approx(0.2 + 0.2 * 4 / 37), True)
    assert seen.loss_slope == pytest.approx(0, abs=1e-12)
    assert (seen.drop_at_time, seen.drop_at_distance, seen.drop_at_forget_loss) == (38, 38, 38)


def test_a_collapse_beyond_the_horizon_is_at_the_horizon() -> None:
    """Rounding up, the last step may lie a little behind it."""
    seen = found(curve((0, 10, 40, 41), retain_accuracy=lambda t: 98.0 if t <= 3 else 0.0))
    assert (seen.collapse, seen.collapsed) == (HORIZON, True)


def test_drops_at_matched_points() -> None:
    """Accuracy falls by 4 points a T*. By time: at 1. By distance: 4 -> 6 is a tenth of the norm of 20, at t = 2.

    By forget loss: 3 -> 8 is 5 nats, at t = 1.5; each read off at the first evaluation that is so far.
    """
    seen = found(
        curve(
            tuple(range(41)),
            retain_accuracy=lambda t: 98.0 - 4 * t if t >= 0 else 100.0,
            distance=lambda t: 4.0 + t,
            forget_loss=lambda t: 3.0 + 5 * t / 1.5,
        )
    )
    assert seen.drop_at_time == pytest.approx(4)
    assert seen.drop_at_distance == pytest.approx(8)
    assert seen.drop_at_forget_loss == pytest.approx(6)


def test_between_two_evaluations_accuracy_is_interpolated() -> None:
    """Accuracy falls by a point a T*; at t = 1, at 6 of distance (t = 0.5), at 8 nats (t = 5 / 3)."""
    seen = found(
        curve(
            (0, 10, 12, 22, 40),
            retain_accuracy=lambda t: 98.0 - t,
            distance=lambda t: 4.0 + 4 * t,
            forget_loss=lambda t: 3.0 + 3 * t,
        )
    )
    assert seen.drop_at_time == pytest.approx(1)
    assert seen.drop_at_distance == pytest.approx(0.5)
    assert seen.drop_at_forget_loss == pytest.approx(5 / 3)


def test_a_jump_past_the_matched_point_is_not_charged_with_all_of_it() -> None:
    """From 3 to 103 nats in one step, and 80 points down: at 8 nats it is a twentieth of that."""
    seen = found(
        curve(
            (0, 10, 11),
            retain_accuracy=lambda t: 98.0 if t <= 0 else 18.0,
            forget_loss=lambda t: 3.0 if t <= 0 else 103.0,
        )
    )
    assert seen.drop_at_forget_loss == pytest.approx(4)


def test_an_accuracy_that_rises_is_a_negative_drop() -> None:
    assert found(curve(retain_accuracy=lambda t: 90 + t)).drop_at_time == pytest.approx(-1)


def test_what_was_not_reached_is_no_number() -> None:
    seen = found(curve((0, 10, 15), distance=lambda t: 4 + t, forget_loss=lambda t: 3 + t))
    assert (seen.drop_at_time, seen.drop_at_distance, seen.drop_at_forget_loss) == (None, None, None)


@pytest.mark.parametrize("column", ["distance", "forget_loss"])
def test_what_is_not_finite_is_beyond_any_matched_point(column: str) -> None:
    seen = found(
        curve(retain_accuracy=lambda t: 98.0 if t < 1.5 else 10.0, **{column: lambda t: 3.0 if t < 1.5 else None})
    )
    assert {"distance": seen.drop_at_distance, "forget_loss": seen.drop_at_forget_loss}[column] == 88


@pytest.mark.parametrize("accuracy", [0.0, 11.0, 15.9])
def test_a_model_near_chance_had_collapsed_at_completion(accuracy: float) -> None:
    """Else it could never lose five points, and the worst model would look the most stable."""
    seen = found(curve(retain_accuracy=lambda _: accuracy, distance=lambda t: 4 + 9 * t))
    assert (seen.collapse, seen.collapsed) == (0, True)
    assert (seen.drop_at_time, seen.drop_at_distance, seen.drop_at_forget_loss) == (None, None, None)


def test_a_model_five_points_better_than_chance_has_something_to_lose() -> None:
    assert found(curve(retain_accuracy=lambda _: CHANCE + 5)).collapsed is False


def test_rules_and_norm_say_where_to_match() -> None:
    seen = curve(tuple(range(41)), retain_accuracy=lambda t: 98 - t, distance=lambda t: t, forget_loss=lambda t: t)
    rules = Rules(matched_distance=0.25, matched_rise=1.5)
    here = stability(seen, COMPLETED, HORIZON, rules, norm=8.0, chance=CHANCE)
    assert here.drop_at_distance == pytest.approx(2)
    assert here.drop_at_forget_loss == pytest.approx(1.5)


def test_figures_depend_on_relative_time_alone() -> None:
    """A run ten times as long with the same curve has the same figures."""
    short = curve(retain_loss=lambda t: 1 + t**2, retain_accuracy=lambda t: 98 - 3 * t, distance=lambda t: 4 + 2 * t)
    long = short.model_copy(update={"step": [10 * step for step in short.step]})
    one, other = found(short), stability(long, 10 * COMPLETED, HORIZON, Rules(), NORM, CHANCE)
    assert one.collapsed
    assert one == other
