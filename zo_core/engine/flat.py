"""`FlatZO`: what `ZOSGD` does, in numpy, on parameters that lie in one flat float32 buffer; no torch anywhere.

Every step is that of `ZOSGD(noise="portable")` to the bit: the same cuts, the same windows of the same pool, a product
that is rounded before it is added, and the sum again.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import zo_core.spsa as spsa
from zo_core.course import Course
from zo_core.engine.cuts import pieces, runs
from zo_core.engine.interrupts import uninterrupted
from zo_core.engine.streams import integers

Numbers: TypeAlias = NDArray[np.float32]


class FlatZO(Course):
    """Zeroth-order SGD on flat views, a step at a time; see `ZOSGD` for what the settings mean.

    Args:
        parameters: 1-D float32 views, one a parameter, which steps change in place.
        pool: (3 N,) float32, as `PortableNoise.pool` makes it.
        lr, eps, clip, maximize: as for `spsa.Group`.
        settings: as for `Course`.

    Attributes:
        group: lr, eps, clip and maximize, which may be replaced between steps.

    Raises:
        ValueError: an argument is out of its bounds, or there are more blocks than numbers.
    """

    def __init__(
        self,
        parameters: Sequence[Numbers],
        pool: Numbers,
        lr: float,
        *,
        eps: float = 1e-3,
        clip: float | None = None,
        maximize: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        # Python's own numbers: numpy's would have float32 arithmetic of their own, and no receipt could hold them.
        self.group = spsa.Group(float(lr), float(eps), None if clip is None else float(clip), bool(maximize))
        self.pool = pool
        self._window = len(pool) // 3
        cut = list(pieces([len(parameter) for parameter in parameters], self._window, self.blocks))
        self._blocks: list[list[Numbers]] = [[] for _ in range(self.blocks)]
        for piece in cut:
            chunk = parameters[piece.parameter][piece.first : piece.first + piece.numbers]
            self._blocks[piece.block].append(chunk)
        longest = max((len(chunk) for chunks in self._blocks for chunk in chunks), default=0)
        self._scratch = np.empty(longest, np.float32)

    def step(self, loss: Callable[[], float]) -> float:
        """Take one step; see `ZOSGD.step`.

        Args:
            loss: computes the loss from the parameters as they are.

        Returns:
            The mean of the losses seen.

        Raises:
            FloatingPointError: a loss was not finite, or the step is beyond what float32 can hold.
            After this, and after any exception of `loss`, the parameters are as they were before, to rounding.
        """
        with self._engine(loss) as engine:
            losses, rises = spsa.step(
                engine, [self.group], queries=self.queries, two_sided=self.two_sided, former=self.former()
            )
            self.took(rises)
        return spsa.mean(losses)

    def replay(self, rises: Sequence[float]) -> None:
        """Take the step that had these `rises`, in this state, again; raises ValueError if they are not one a query."""
        self.check_rises(rises)
        with self._engine(lambda: math.nan) as engine:
            spsa.replay(engine, [self.group], rises, two_sided=self.two_sided, former=self.former())
            self.took(rises)

    @contextmanager
    def _engine(self, loss: Callable[[], float]) -> Iterator["_Engine"]:
        with uninterrupted() as interruptible:
            yield _Engine(self, partial(interruptible, loss))

    def _direction(self, query: int) -> list[tuple[Numbers, Numbers]]:
        """The chunks that the direction of a query is of, each with its z."""
        chunks = self._blocks[self.block(query)]
        together = list(runs(((len(chunk), None) for chunk in chunks), self._window))
        result = []
        for run, offset in zip(together, integers(len(together), self.seed, self.steps_taken, query, 0), strict=True):
            place = offset % (2 * self._window)
            ends = np.cumsum([place, *(len(chunks[index]) for index in run)]).tolist()
            result += [(chunks[index], self.pool[i:j]) for index, (i, j) in zip(run, pairwise(ends), strict=True)]
        return result

    def _add(self, direction: list[tuple[Numbers, Numbers]], scale: float) -> None:
        length = np.float32(scale * self.stretch)
        for chunk, window in direction:
            product = self._scratch[: len(chunk)]
            np.multiply(window, length, out=product)
            chunk += product


class _Engine:
    """The parameters and a loss during one step: `spsa.Engine`."""

    def __init__(self, optimizer: FlatZO, loss: Callable[[], float]) -> None:
        self.optimizer, self.loss = optimizer, loss
        self._directions: list[list[tuple[Numbers, Numbers]]] = []

    def add(self, query: int, scales: Sequence[float]) -> None:
        """See `spsa.Engine.add`."""
        if query == len(self._directions):
            self._directions.append(self.optimizer._direction(query))
        self.optimizer._add(self._directions[query], scales[0])
