"""How a zeroth-order run goes on from step to step: its settings and its progress, which every engine shares."""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import zo_core.spsa as spsa
from zo_core.engine.streams import permutation

SETTINGS = ("queries", "two_sided", "blocks", "steps_per_batch", "normalize", "seed")
PROGRESS = ("steps_taken", "mean_square")


class Course:
    """What a step needs to know beside the parameters and the loss; see `zo_core.optim.ZOSGD` for the arguments.

    Attributes:
        steps_taken: steps that were taken.
        mean_square: the running mean, where steps are normalized.
        rises: of the last step, one a query: by how much the loss rose over a length of eps. They, and what the course
            was before it, are the step.

    Raises:
        ValueError: an argument is out of its bounds.
    """

    def __init__(
        self,
        *,
        queries: int = 1,
        two_sided: bool = True,
        blocks: int = 1,
        steps_per_batch: int = 1,
        normalize: bool = False,
        seed: int = 0,
    ) -> None:
        self.queries = _at_least_one("queries", queries)
        self.two_sided = bool(two_sided)
        self.blocks = _at_least_one("blocks", blocks)
        self.steps_per_batch = _at_least_one("steps_per_batch", steps_per_batch)
        self.normalize = bool(normalize)
        if not isinstance(seed, SupportsIndex) or not 0 <= operator.index(seed) < 2**63:
            raise ValueError(f"seed must be an integer in [0, 2**63), not {seed}")
        self.seed = int(operator.index(seed))
        self.steps_taken = 0
        self.mean_square = 0.0
        self.rises: list[float] = []

    @property
    def stretch(self) -> float:
        """How many times as long a direction of one block is, so that E[z z^T] = I over all of them."""
        return math.sqrt(self.blocks)

    def block(self, query: int) -> int:
        """Which block the direction of a query is of, in the next step: each comes once before any comes again."""
        if self.blocks == 1:
            return 0
        cycle, place = divmod(self.steps_taken // self.steps_per_batch * self.queries + query, self.blocks)
        return permutation(self.blocks, self.seed, cycle)[place]

    def former(self) -> spsa.RunningSquare | None:
        """What the next step is normalized by; None where steps are not."""
        return spsa.RunningSquare(self.mean_square, self.steps_taken) if self.normalize else None

    def took(self, rises: Sequence[float]) -> None:
        """Count a step, once it is taken."""
        if (former := self.former()) is not None:
            self.mean_square = former.with_step(rises).mean
        self.rises = list(rises)
        self.steps_taken += 1

    def check_rises(self, rises: Sequence[float]) -> None:
        """Raise ValueError unless there is a rise for each query."""
        if len(rises) != self.queries:
            raise ValueError(f"a step has as many rises as queries, {self.queries}, not {len(rises)}")

    def saved(self) -> dict[str, Any]:
        """Settings and progress, by name."""
        return {name: getattr(self, name) for name in (*SETTINGS, *PROGRESS)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Be what `saved` was given by; other names in it do not matter."""
        for name in (*SETTINGS, *PROGRESS):
            setattr(self, name, saved[name])


def _at_least_one(name: str, number: int) -> int:
    if not isinstance(number, SupportsIndex) or operator.index(number) < 1:
        raise ValueError(f"{name} must be an integer, at least 1, not {number}")
    return int(operator.index(number))
