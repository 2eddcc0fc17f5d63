"""`ZOSGD`: stochastic gradient descent or ascent from forward passes alone, the torch engine of `zo_core.spsa`."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

import zo_core.spsa as spsa
from zo_core.course import PROGRESS, SETTINGS, Course
from zo_core.engine.draws import SameDraws
from zo_core.engine.interrupts import uninterrupted
from zo_core.engine.layout import Block, Group, Layout, count
from zo_core.noise import NOISES, Direction, Noise

GROUP_SETTINGS = ("lr", "eps", "clip", "maximize")


class ZOSGD(Course, Optimizer):
    """Zeroth-order SGD, used like `torch.optim.SGD` but with a closure that only computes the loss.

    For each direction z: g = (L(theta + eps z) - L(theta - eps z)) / (2 eps), or, one-sided,
    (L(theta + eps z) - L(theta)) / eps; then theta <- theta - lr g z, or + when `maximize`. Besides the noise's own
    table nothing is allocated: no gradients, no copy of the parameters, no stored z. All passes of a step draw the same
    random numbers from torch's default generators, so that dropout has one mask in them.

    With `blocks`, each direction is of one block of the parameters, a contiguous share of them, and sqrt(blocks) times
    as long: E[z z^T] = I as before, and so are the estimate's mean and, to first order, its variance; but a pass costs
    the share (block coordinates: MeZO-BCD, Park et al. 2025; layers: LeZO, Wang et al. 2024). Blocks come in random
    order, each once before any comes again.

    Args:
        params: parameters or parameter groups; a group may have its own `lr`, `eps`, `clip` and `maximize`. Those
            with `requires_grad=False` are never touched, and memory that several trainable ones share is perturbed
            once. They must be dense in memory, and float32 or float64: in half precision the way out and back does
            not end where it began.
        lr: learning rate, at least 0.
        eps: size of the perturbation, above 0, in the units of the parameters.
        queries: directions averaged in a step.
        two_sided: evaluate each direction at +eps and -eps, 2 * queries forward passes a step; otherwise at +eps and
            once at the parameters as they are, queries + 1.
        noise: "pooled" (fast), "portable" (its steps are the same to the bit in numpy), "gaussian", "rademacher", or a
            class of your own with the protocol `Noise`, for which `FreshNoise` is a base.
        clip: bounds g to [-clip, clip] for every direction; None for no bound.
        maximize: ascend instead of descend.
        blocks: how many the parameters are divided into; each as large as the next, cut within layers where need be.
        steps_per_batch: so many steps in a row move the same blocks; for a closure that goes on with one batch, and a
            `PrefixReuse` that keeps what lies before them.
        normalize: g in units of the root of its own running mean square; `lr` is then a length along z.
        seed: integer in [0, 2**63) that all randomness comes from.

    Attributes:
        steps_taken: steps that were taken.
        rises: of the last step, one a query: by how much the loss rose over a length of eps. They, and what
            `state_dict` was before it, are the step; see `replay`.
        mean_square: the running mean, where steps are normalized.
        moving: the parameters that a direction has a part of, while the closure runs; else None.

    Raises:
        ValueError: an argument or a parameter is out of these bounds.
    """

    noise: Noise
    moving: Sequence[Tensor] | None = None
    _layout: Layout | None = None

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float,
        *,
        eps: float = 1e-3,
        queries: int = 1,
        two_sided: bool = True,
        noise: str | type[Noise] = "pooled",
        clip: float | None = None,
        maximize: bool = False,
        blocks: int = 1,
        steps_per_batch: int = 1,
        normalize: bool = False,
        seed: int = 0,
    ) -> None:
        Course.__init__(
            self,
            queries=queries,
            two_sided=two_sided,
            blocks=blocks,
            steps_per_batch=steps_per_batch,
            normalize=normalize,
            seed=seed,
        )
        blocks, self.blocks = self.blocks, 1  # until all groups are here: torch adds one at a time
        self._noise_class = _noise_class(noise)
        Optimizer.__init__(self, params, {"lr": lr, "eps": eps, "clip": clip, "maximize": maximize})
        self.blocks = blocks
        self._layout, self.noise = self._laid_out(self.seed, blocks)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, as every torch optimizer does; raises ValueError for one it could not update."""
        super().add_param_group(param_group)
        try:
            _as_group(self.param_groups[-1])
            self._lay_out()
        except BaseException:
            self.param_groups.pop()
            raise

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """Take one step.

        Args:
            closure: computes the loss, a scalar, from the parameters as they are; it must not change them.

        Returns:
            The mean of the losses seen.

        Raises:
            FloatingPointError: a loss was not finite, or the step it asks for is beyond what float32 can hold.
            ValueError: the closure returned something else than a scalar, or a loss that requires grad.
            After these, and after any exception of the closure's own, the parameters are as they were before the
            step, to rounding. An interrupt (Ctrl-C) stops the closure and is such an exception; one that comes while
            the parameters are moving waits for the next call, or for the end of the step.
        """
        with self._engine(closure) as engine:
            losses, rises = spsa.step(
                engine, self._groups(), queries=self.queries, two_sided=self.two_sided, former=self.former()
            )
            self.took(rises)
        return spsa.mean(losses)

    @torch.no_grad()
    def estimate(self, closure: Callable[[], Any]) -> float:
        """Add the estimate of the gradient, g z, to `.grad`, as `backward` adds the gradient; for other optimizers.

        The parameters come back, to rounding; the next estimate has the next directions. `lr`, `clip`, `maximize` and
        `normalize` do not matter. See `step` for arguments, return value and errors.
        """
        with self._engine(closure) as engine:
            groups = self._groups()
            losses, rises = spsa.look(engine, groups, queries=self.queries, two_sided=self.two_sided)
            scales = [[rise / group.eps / self.queries for group in groups] for rise in rises]
            spsa.check_lengths(scales)
            for query, scales_of_query in enumerate(scales):
                engine.add_to_gradients(query, scales_of_query)
            self.took(rises)
        return spsa.mean(losses)

    @torch.no_grad()
    def replay(self, rises: Sequence[float]) -> None:
        """Take the step that had these `rises`, in this state, again: no closure, the same parameters to the bit.

        Raises:
            ValueError: there is not one for each query.
        """
        self.check_rises(rises)
        with self._engine(lambda: math.nan) as engine:
            spsa.replay(engine, self._groups(), rises, two_sided=self.two_sided, former=self.former())
            self.took(rises)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on to the bit: groups, noise, settings and progress."""
        return super().state_dict() | self.saved() | {"noise": self._noise_class.__qualname__}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` stopped, in every way as it did.

        Raises:
            ValueError: its noise or its groups are others, it lacks something, or it has more blocks than there are
                numbers here. Nothing has changed then.
        """
        own, saved = self._noise_class.__qualname__, state_dict.get("noise", "another optimizer")
        if own != saved:
            raise ValueError(f"the state is of {saved}, this optimizer has {own}: make it with that noise")
        if missing := _missing(state_dict):
            raise ValueError(f"the state lacks {', '.join(missing)}: it is of another version")
        layout, noise = self._laid_out(state_dict["seed"], state_dict["blocks"])
        super().load_state_dict(state_dict)
        self.restore(state_dict)
        self._layout, self.noise = layout, noise

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take along, beyond what torch's base class does; the layout is of the original."""
        own = {name: getattr(self, name) for name in ("rises", "noise", "_noise_class")}
        return super().__getstate__() | self.saved() | own

    def _lay_out(self) -> Layout:
        """Where the parameters lie now; if they moved, the noise is made anew for so many of them."""
        if self._layout is None or not self._layout.holds(self.param_groups):
            self._layout, self.noise = self._laid_out(self.seed, self.blocks)
        return self._layout

    def _laid_out(self, seed: int, blocks: int) -> tuple[Layout, Noise]:
        """The parameters in so many blocks, and noise for them from a seed."""
        noise = self._noise_class(seed, count(self.param_groups))
        return Layout(self.param_groups, noise.chunk_numbers, blocks), noise

    @contextmanager
    def _engine(self, closure: Callable[[], Any]) -> Iterator["_Engine"]:
        """The engine of the next step; an interrupt that comes while the parameters are moving waits for its end."""
        with uninterrupted() as interruptible:
            try:
                yield _Engine(self, self._lay_out(), partial(interruptible, closure))
            finally:
                self.moving = None

    def _groups(self) -> list[spsa.Group]:
        return [_as_group(group) for group in self.param_groups]


class _Engine:
    """The parameters of an optimizer and a closure, during one step: `spsa.Engine`."""

    def __init__(self, optimizer: ZOSGD, layout: Layout, closure: Callable[[], Any]) -> None:
        self.optimizer, self.layout, self.closure = optimizer, layout, closure
        self.draws = SameDraws(layout.accelerators)
        self.blocks: list[Block] = []  # those of the queries begun so far
        self.directions: list[list[Direction]] = []

    def add(self, query: int, scales: Sequence[float]) -> None:
        """See `spsa.Engine.add`."""
        if query == len(self.blocks):
            self.blocks.append(self.layout.blocks[self.optimizer.block(query)])
            self.directions.append(self._direction(query, self.blocks[query].chunks))
        for add, scale in zip(self.directions[query], scales, strict=True):
            add(scale * self.optimizer.stretch)

    def add_to_gradients(self, query: int, scales: Sequence[float]) -> None:
        """The same to `.grad`, which is made where there is none."""
        for add, scale in zip(self._direction(query, self.blocks[query].gradients()), scales, strict=True):
            add(scale * self.optimizer.stretch)

    def loss(self) -> float:
        """See `spsa.Engine.loss`."""
        self.draws.again()
        self.optimizer.moving = self.blocks[-1].parameters if self.blocks else None
        return _scalar(self.closure())

    def _direction(self, query: int, chunks_of_groups: Iterable[list[Tensor]]) -> list[Direction]:
        """For each group, what adds a multiple of z."""
        own = self.optimizer
        return [
            own.noise.direction(chunks, own.steps_taken, query, group) if chunks else _nothing
            for group, chunks in enumerate(chunks_of_groups)
        ]


def _as_group(group: Group) -> spsa.Group:
    return spsa.Group(group["lr"], group["eps"], group["clip"], group["maximize"])


def _nothing(scale: float) -> None:
    """The direction of a group that has no part in a block."""


def _scalar(loss: Any) -> float:
    if isinstance(loss, Tensor) and loss.requires_grad:
        raise ValueError(
            "the loss requires grad: the closure built a graph, with the memory that costs; remove its enable_grad"
        )
    try:
        return float(loss)
    except (TypeError, ValueError, RuntimeError):
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"the closure must return a scalar loss, not {what}") from None


def _noise_class(noise: str | type[Noise]) -> type[Noise]:
    if isinstance(noise, str) and noise in NOISES:
        return NOISES[noise]
    if not isinstance(noise, type):
        raise ValueError(f"unknown noise {noise!r}; choose from: {', '.join(NOISES)}, or give a class")
    return noise


def _missing(state_dict: dict[str, Any]) -> list[str]:
    """What `load_state_dict` needs and the state does not have."""
    missing = [name for name in ("state", "param_groups", *SETTINGS, *PROGRESS) if name not in state_dict]
    groups = state_dict.get("param_groups", [])
    return missing + [name for name in ("params", *GROUP_SETTINGS) if any(name not in group for group in groups)]
