"""Simultaneous perturbation, and no engine in it: how a step is found from losses alone.

SPSA (Spall, "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation", IEEE TAC
1992), in place and with replayed noise (MeZO; Malladi et al., "Fine-tuning language models with just forward passes",
NeurIPS 2023, algorithm 1). Of whatever holds the parameters it asks two things: add a multiple of a direction z, and
tell the loss. For each direction the parameters walk along the line theta + position * eps * z; the last pass over them
restores and updates at once, so that a step with one query takes three passes.

A step is its rises: the engine, the groups and those few numbers lead from the same start to the same end, to the bit.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

LONGEST = 2.0**100  # the largest multiple of z: z and the parameters need room below float32's 2^128, too
DECAY = 0.9  # of the running mean square, a step


class Engine(Protocol):
    """What holds the parameters, in groups, and runs the network, during one step."""

    def add(self, query: int, scales: Sequence[float]) -> None:
        """Do theta += scale * z in place, z being the direction of that query in this step, with a scale a group.

        Raises:
            Exception: whatever goes wrong; if it went halfway, nobody can restore the parameters.
        """
        ...

    def loss(self) -> float:
        """The loss at the parameters as they are; an exception if it cannot be had."""
        ...


@dataclass(frozen=True)
class Group:
    """How far one group of parameters moves.

    Attributes:
        lr: learning rate.
        eps: size of the perturbation, in the units of the parameters.
        clip: bound on what `lr` multiplies beside z; None for none.
        maximize: up the slope instead of down.

    Raises:
        ValueError: a number is out of its bounds.
    """

    lr: float
    eps: float
    clip: float | None = None
    maximize: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.lr < math.inf:
            raise ValueError(f"lr must be at least 0 and finite, not {self.lr}")
        if not 0 < self.eps < LONGEST:
            raise ValueError(f"eps must be above 0 and finite, not {self.eps}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, or None, not {self.clip}")

    def slope(self, rise: float, root: float | None) -> float:
        """The slope along z, or, with the root mean square of former rises, its multiple of that of former slopes."""
        slope = rise / self.eps if root is None else rise / root if root else 0.0
        return slope if self.clip is None else max(-self.clip, min(self.clip, slope))

    def length(self, slope: float) -> float:
        """The multiple of z that a slope asks for."""
        return self.lr * slope if self.maximize else -self.lr * slope


@dataclass(frozen=True)
class RunningSquare:
    """The exponential running mean of squared rises, unbiased from the first step on (Kingma and Ba 2015, section 3).

    Dividing by its root makes lr a length: of a model that is sure of its answers slopes are tiny, and grow a
    thousandfold as it forgets (as in MEAZO, Dbouk et al. 2026, and FZOO, Dang et al. 2026).

    Attributes:
        mean: before the correction; the one number that is kept.
        steps: how many it comes from.
    """

    mean: float = 0.0
    steps: int = 0

    def with_step(self, rises: Sequence[float]) -> "RunningSquare":
        """What it is after a step; FloatingPointError where the square of a rise is beyond a float."""
        try:
            square = mean([rise**2 for rise in rises])
        except OverflowError:
            raise FloatingPointError("the loss rises too far to be squared; the parameters are as before") from None
        return RunningSquare(DECAY * self.mean + (1 - DECAY) * square, self.steps + 1)

    @property
    def root(self) -> float:
        """The root mean square."""
        return math.sqrt(self.mean / (1 - DECAY**self.steps))


def step(
    engine: Engine,
    groups: Sequence[Group],
    *,
    queries: int = 1,
    two_sided: bool = True,
    former: RunningSquare | None = None,
) -> tuple[list[float], list[float]]:
    """Take one step.

    Args:
        groups: one for each of the engine's.
        queries: directions averaged.
        two_sided: see each direction at +eps and -eps, 2 * queries losses; otherwise at +eps, and the parameters as
            they are once, queries + 1.
        former: normalize by the running square of the rises, this step's included; None for slopes as they are.

    Returns:
        The losses, and each query's rise: by how much the loss rises over a length of eps.

    Raises:
        FloatingPointError: a loss is not finite, the step is beyond what float32 can hold, or the square of a rise
            beyond a float.
        After this and any exception of `engine.loss`, the parameters are as they were, to rounding.
    """
    losses: list[float] = []
    lines = _walk(engine, groups, queries, _looking(engine, losses, two_sided), lambda lines: _update(lines, former))
    return losses, [line.rise for line in lines]


def look(
    engine: Engine, groups: Sequence[Group], *, queries: int = 1, two_sided: bool = True
) -> tuple[list[float], list[float]]:
    """Do as `step` does, but go back to where the parameters were, to rounding: losses and rises, and no step."""
    losses: list[float] = []
    lines = _walk(engine, groups, queries, _looking(engine, losses, two_sided), lambda lines: lines[-1].move_to(0.0))
    return losses, [line.rise for line in lines]


def replay(
    engine: Engine,
    groups: Sequence[Group],
    rises: Sequence[float],
    *,
    two_sided: bool = True,
    former: RunningSquare | None = None,
) -> None:
    """Do to the parameters what the step with these rises did, to the bit; no loss is asked for."""

    def look(line: "_Line") -> None:
        for position in (1.0, -1.0) if two_sided else (1.0,):
            line.move_to(position)
        line.rise = rises[line.query]

    _walk(engine, groups, len(rises), look, lambda lines: _update(lines, former))


def mean(numbers: Sequence[float]) -> float:
    """Their mean, rounded once; the standard library's own brings a MiB of modules along, which counts on a device."""
    return math.fsum(numbers) / len(numbers)


def check_lengths(lengths: Iterable[Iterable[float]]) -> None:
    """Raise FloatingPointError unless float32 can hold each of these multiples of z, one a query and group."""
    if not all(abs(length) <= LONGEST for lengths_of_query in lengths for length in lengths_of_query):
        raise FloatingPointError("the step is beyond what float32 can hold; the parameters are as before it")


class _Line:
    """theta + position * eps * z, for one query's z, and where on it the parameters now are.

    Attributes:
        rise: by how much the loss rises from position 0 to position 1, once that is known.
    """

    def __init__(self, engine: Engine, groups: Sequence[Group], query: int) -> None:
        self.engine, self.groups, self.query = engine, groups, query
        self.position = 0.0
        self.rise = 0.0

    def move_to(self, position: float) -> None:
        """Add to the parameters what leads from here to `position`."""
        if position != self.position:
            self.engine.add(self.query, [(position - self.position) * group.eps for group in self.groups])
            self.position = position

    def lengths(self, root: float | None, queries: int) -> list[float]:
        """For each group the multiple of z that leads to position 0 and on by this line's share of the step."""
        return [
            -self.position * group.eps + group.length(group.slope(self.rise, root)) / queries for group in self.groups
        ]

    def finish(self, lengths: list[float]) -> None:
        """Restore and update, in one pass."""
        self.engine.add(self.query, lengths)
        self.position = 0.0


def _walk(
    engine: Engine,
    groups: Sequence[Group],
    queries: int,
    look: Callable[[_Line], None],
    finish: Callable[[list[_Line]], None],
) -> list[_Line]:
    """Line after line; the one before is left when the next is begun, and the last by `finish` or an exception."""
    lines: list[_Line] = []
    try:
        for query in range(queries):
            if lines:
                lines[-1].move_to(0.0)
            lines.append(_Line(engine, groups, query))
            look(lines[-1])
        finish(lines)
    except BaseException:
        if lines:
            lines[-1].move_to(0.0)
        raise
    return lines


def _looking(engine: Engine, losses: list[float], two_sided: bool) -> Callable[[_Line], None]:
    """Finds a line's rise, and leaves the parameters where the loss was seen last; keeps `losses`."""

    def seen() -> float:
        loss = engine.loss()
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}; the parameters are as they were before this step")
        losses.append(loss)
        return loss

    def from_both_sides(line: _Line) -> None:
        line.move_to(1.0)
        ahead = seen()
        line.move_to(-1.0)
        line.rise = (ahead - seen()) / 2

    def from_the_middle(line: _Line) -> None:
        if not losses:
            seen()
        line.move_to(1.0)
        line.rise = seen() - losses[0]

    return from_both_sides if two_sided else from_the_middle


def _update(lines: Sequence[_Line], former: RunningSquare | None) -> None:
    """Take the step, unless a part of it is too long; the last line's part restores the parameters, too."""
    root = None if former is None else former.with_step([line.rise for line in lines]).root
    lengths = [line.lengths(root, len(lines)) for line in lines]
    check_lengths(lengths)
    for line, lengths_of_line in zip(lines, lengths, strict=True):
        line.finish(lengths_of_line)
