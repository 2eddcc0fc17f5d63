"""The estimator on an engine of plain Python lists: no torch, no arrays, arithmetic that can be done by hand."""

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest

from zo_core.spsa import DECAY, Engine, Group, RunningSquare, look, replay, step


class Numbers:
    """Two groups of three numbers; z is drawn by Python's own generator. Keeps what was asked of it."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.theta = [[0.5, -1.0, 2.0], [1.0, 0.0, -0.25]]
        self.asked: list[str] = []
        self.seen: list[list[list[float]]] = []
        self.fail_at = fail_at

    def z(self, query: int) -> list[list[float]]:
        draws = random.Random(query)
        return [[draws.gauss(0, 1) for _ in range(3)] for _ in range(2)]

    def add(self, query: int, scales: Sequence[float]) -> None:
        self.asked.append(f"add {query}")
        for values, scale, along in zip(self.theta, scales, self.z(query), strict=True):
            values[:] = [value + scale * part for value, part in zip(values, along, strict=True)]

    def loss(self) -> float:
        if len(self.seen) == self.fail_at:
            raise RuntimeError("boom")
        self.asked.append("loss")
        self.seen.append([list(values) for values in self.theta])
        return sum((place + 1) * value**2 for place, value in enumerate(self.theta[0] + self.theta[1]))


GROUPS = [Group(lr=0.01, eps=1e-3), Group(lr=0.02, eps=1e-2, maximize=True)]


def near(found: list[list[float]], wanted: list[list[float]], rel: float = 1e-9) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=rel, abs=1e-12)


def test_a_list_is_engine_enough() -> None:
    engine: Engine = Numbers()
    assert len(step(engine, GROUPS)[0]) == 2


@pytest.mark.parametrize(
    ("queries", "two_sided", "asked"),
    [
        (1, True, ["add 0", "loss", "add 0", "loss", "add 0"]),
        (1, False, ["loss", "add 0", "loss", "add 0"]),
        (2, True, ["add 0", "loss", "add 0", "loss", "add 0", "add 1", "loss", "add 1", "loss", "add 0", "add 1"]),
    ],
)
def test_a_step_takes_no_more_passes_than_it_must(queries: int, two_sided: bool, asked: list[str]) -> None:
    engine = Numbers()
    step(engine, GROUPS, queries=queries, two_sided=two_sided)
    assert engine.asked == asked


def test_losses_are_seen_on_both_sides_at_distance_eps() -> None:
    engine = Numbers()
    start, z = Numbers().theta, engine.z(0)
    step(engine, GROUPS)
    for seen, sign in zip(engine.seen, (1, -1), strict=True):
        near(
            seen,
            [
                [value + sign * group.eps * part for value, part in zip(values, along, strict=True)]
                for values, along, group in zip(start, z, GROUPS, strict=True)
            ],
        )


def test_the_step_is_that_of_spsa_in_exact_fractions() -> None:
    """On this quadratic the two-sided rise is the sum of eps_g grad_g . z_g; a group's slope is that over its eps."""
    engine = Numbers()
    start = [[Fraction(value) for value in values] for values in engine.theta]
    z = [[Fraction(part) for part in along] for along in engine.z(0)]
    weights = [[1, 2, 3], [4, 5, 6]]
    eps = [Fraction(group.eps) for group in GROUPS]
    rise = sum(
        e * 2 * weight * value * part
        for e, values, along, factors in zip(eps, start, z, weights, strict=True)
        for value, part, weight in zip(values, along, factors, strict=True)
    )
    losses, (found,) = step(engine, GROUPS)
    assert found == pytest.approx(float(rise), rel=1e-9)
    assert (losses[0] - losses[1]) / 2 == found
    near(
        engine.theta,
        [
            [
                float(value + sign * Fraction(group.lr) * rise / e * part)
                for value, part in zip(values, along, strict=True)
            ]
            for values, along, group, e, sign in zip(start, z, GROUPS, eps, (-1, 1), strict=True)
        ],
    )


def test_looking_moves_nothing_and_sees_the_same() -> None:
    engine, other = Numbers(), Numbers()
    assert look(engine, GROUPS, queries=3) == step(other, GROUPS, queries=3)
    near(engine.theta, Numbers().theta)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("former", [None, RunningSquare(2e-4, 3)])
def test_a_replay_ends_where_the_step_did_to_the_bit_without_a_loss(
    two_sided: bool, former: RunningSquare | None
) -> None:
    engine, other = Numbers(), Numbers(fail_at=0)
    _, rises = step(engine, GROUPS, queries=3, two_sided=two_sided, former=former)
    replay(other, GROUPS, rises, two_sided=two_sided, former=former)
    assert other.theta == engine.theta
    assert other.seen == []


@pytest.mark.parametrize(
    ("two_sided", "call"), [*((True, call) for call in range(4)), *((False, call) for call in range(3))]
)
@pytest.mark.parametrize("take", [step, look])
def test_after_a_failure_the_parameters_are_as_they_were(take, two_sided: bool, call: int) -> None:  # type: ignore[no-untyped-def]
    engine = Numbers(fail_at=call)
    with pytest.raises(RuntimeError, match="boom"):
        take(engine, GROUPS, queries=2, two_sided=two_sided)
    assert len(engine.seen) == call
    near(engine.theta, Numbers().theta)


def test_a_step_that_is_too_long_is_not_taken() -> None:
    engine = Numbers()
    with pytest.raises(FloatingPointError, match="beyond what float32 can hold"):
        step(engine, [Group(lr=1e38, eps=1e-3), GROUPS[1]])
    near(engine.theta, Numbers().theta)


@pytest.mark.parametrize("queries", [1, 3])
def test_rises_that_no_float_can_square_are_told_and_nothing_moves(queries: int) -> None:
    class Vast(Numbers):
        def loss(self) -> float:
            return 1e200 * super().loss()

    engine = Vast()
    with pytest.raises(FloatingPointError, match="too far to be squared"):
        step(engine, GROUPS, queries=queries, former=RunningSquare())
    near(engine.theta, Numbers().theta)
    with pytest.raises(FloatingPointError, match="too far to be squared"):
        RunningSquare().with_step([1.2e154, -1.2e154])  # each square is below 1.8e308, their sum is not


def test_the_running_square_is_that_of_the_definition() -> None:
    """The weighted mean of all squares, the weights falling by DECAY a step and summing to one."""
    rises = [3.0, -1.0, 0.5, 2.0]
    running = RunningSquare()
    for seen, rise in enumerate(rises, start=1):
        running = running.with_step([rise])
        weights = [DECAY ** (seen - 1 - place) for place in range(seen)]
        mean = sum(weight * value**2 for weight, value in zip(weights, rises[:seen], strict=True)) / sum(weights)
        assert running.root == pytest.approx(mean**0.5, rel=1e-12)


def test_a_normalized_step_does_not_depend_on_the_size_of_the_loss() -> None:
    """A loss a thousand times as large has rises a thousand times as large; the first step is lr long along z."""

    class Louder(Numbers):
        def loss(self) -> float:
            return 1000 * super().loss()

    quiet, loud = Numbers(), Louder()
    for engine in (quiet, loud):
        step(engine, GROUPS, former=RunningSquare())
    near(quiet.theta, loud.theta)
    for values, start, along, group in zip(quiet.theta, Numbers().theta, quiet.z(0), GROUPS, strict=True):
        assert [abs(value - then) for value, then in zip(values, start, strict=True)] == pytest.approx(
            [group.lr * abs(part) for part in along]
        )


def test_a_flat_loss_moves_nothing() -> None:
    """Normalized, too, where the root mean square is 0."""

    class Flat(Numbers):
        def loss(self) -> float:
            return 1.0

    for former in (None, RunningSquare()):
        engine = Flat()
        step(engine, GROUPS, former=former)
        near(engine.theta, Numbers().theta)
