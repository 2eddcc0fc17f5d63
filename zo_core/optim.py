"""`ZOSGD`: stochastic gradient descent or ascent from forward passes alone.

Simultaneous perturbation (SPSA; Spall, "Multivariate stochastic approximation using a simultaneous perturbation
gradient approximation", IEEE TAC 1992), in place and with replayed noise (MeZO; Malladi et al., "Fine-tuning language
models with just forward passes", NeurIPS 2023, algorithm 1). The last pass over the parameters restores and updates at
once, so a step with one query takes three passes.
"""

import math
import operator
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any, SupportsIndex

import torch
from torch import Tensor
from torch.optim import Optimizer

from zo_core.draws import SameDraws
from zo_core.interrupts import uninterrupted
from zo_core.layout import Group, Layout, count
from zo_core.noise import NOISES, Direction, Noise

# The largest multiple of z: z itself reaches 6, and the parameters need room, too.
LONGEST = torch.finfo(torch.float32).max / 16


class ZOSGD(Optimizer):
    """Zeroth-order SGD, used like `torch.optim.SGD` but with a closure that only computes the loss.

    For each direction z: g = (L(theta + eps z) - L(theta - eps z)) / (2 eps), or, one-sided,
    (L(theta + eps z) - L(theta)) / eps; then theta <- theta - lr g z, or + when `maximize`. Besides the noise's own
    table nothing is allocated: no gradients, no copy of the parameters, no stored z. All passes of a step draw the same
    random numbers from torch's default generators, so that dropout has one mask in them.

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
        noise: "pooled" (fast), "gaussian", "rademacher", or a class of your own with the protocol `Noise`, for which
            `FreshNoise` is a base.
        clip: bounds g to [-clip, clip] for every direction; None for no bound.
        maximize: ascend instead of descend.
        seed: integer in [0, 2**63) that all randomness comes from.

    Raises:
        ValueError: an argument or a parameter is out of these bounds.
    """

    noise: Noise
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
        seed: int = 0,
    ) -> None:
        if queries < 1:
            raise ValueError(f"queries must be at least 1, not {queries}")
        if not isinstance(seed, SupportsIndex) or not 0 <= operator.index(seed) < 2**63:
            raise ValueError(f"seed must be an integer in [0, 2**63), not {seed}")
        self.queries = queries
        self.two_sided = two_sided
        self.seed = operator.index(seed)
        self.steps_taken = 0
        self._noise_class = _noise_class(noise)
        super().__init__(params, {"lr": lr, "eps": eps, "clip": clip, "maximize": maximize})

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, as every torch optimizer does; raises ValueError for one it could not update."""
        super().add_param_group(param_group)
        try:
            _check_group(self.param_groups[-1])
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
        losses: list[float] = []
        lines: list[_Line] = []
        draws = SameDraws(self._lay_out().accelerators)
        with uninterrupted() as interruptible:

            def loss() -> float:
                draws.again()
                losses.append(_finite_scalar(interruptible(closure)))
                return losses[-1]

            try:
                start = None if self.two_sided else loss()
                for query in range(self.queries):
                    if lines:
                        lines[-1].move_to(0.0)
                    lines.append(self._line(query))
                    lines[-1].measure(loss, start)
                self._update(lines)
            except BaseException:
                if lines:
                    lines[-1].move_to(0.0)
                raise
        return fmean(losses)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on to the bit: groups, queries, sides, noise, seed, steps taken."""
        return super().state_dict() | {
            "queries": self.queries,
            "two_sided": self.two_sided,
            "noise": self._noise_class.__qualname__,
            "seed": self.seed,
            "steps_taken": self.steps_taken,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` stopped, with its queries, sides and seed; ValueError if its noise differs."""
        own, saved = self._noise_class.__qualname__, state_dict.get("noise", "another optimizer")
        if own != saved:
            raise ValueError(f"the state is of {saved}, this optimizer has {own}: make it with that noise")
        super().load_state_dict(state_dict)
        self.queries = state_dict["queries"]
        self.two_sided = state_dict["two_sided"]
        self.seed = state_dict["seed"]
        self.steps_taken = state_dict["steps_taken"]
        self._layout = None
        self._lay_out()

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take along, beyond what torch's base class does; the layout is of the original."""
        own = ("queries", "two_sided", "seed", "steps_taken", "noise", "_noise_class")
        return super().__getstate__() | {name: getattr(self, name) for name in own}

    def _lay_out(self) -> Layout:
        """Where the parameters lie now; if they moved, the noise is made anew for so many of them."""
        if self._layout is None or not self._layout.holds(self.param_groups):
            noise = self._noise_class(self.seed, count(self.param_groups))
            self._layout = Layout(self.param_groups, noise.chunk_numbers)
            self.noise = noise
        return self._layout

    def _line(self, query: int) -> "_Line":
        chunks_of_groups = self._lay_out().chunks
        return _Line(
            [
                (self.noise.direction(chunks, self.steps_taken, query, index), group)
                for index, (chunks, group) in enumerate(zip(chunks_of_groups, self.param_groups, strict=True))
                if chunks
            ]
        )

    def _update(self, lines: list["_Line"]) -> None:
        """Take the step, unless one of its parts is too long; the last line's part restores the parameters, too."""
        scales = [line.update_scales(self.queries) for line in lines]
        if not all(abs(scale) <= LONGEST for scales_of_line in scales for scale in scales_of_line):
            raise FloatingPointError("the step is beyond what float32 can hold; the parameters are as before it")
        for line, scales_of_line in zip(lines, scales, strict=True):
            line.add(scales_of_line)
            line.position = 0.0
        self.steps_taken += 1


class _Line:
    """theta + position * eps * z: one direction through all groups, and where on it the parameters now are.

    Attributes:
        rise: by how much the loss rises from position 0 to position 1, once it is measured.
    """

    def __init__(self, parts: list[tuple[Direction, Group]]) -> None:
        self.parts = parts
        self.position = 0.0
        self.rise = 0.0

    def measure(self, loss: Callable[[], float], start: float | None) -> None:
        """Find `rise` from both sides, or from `start`, the loss at 0; the parameters stay where it was seen last."""
        self.move_to(1.0)
        ahead = loss()
        if start is not None:
            self.rise = ahead - start
            return
        self.move_to(-1.0)
        self.rise = (ahead - loss()) / 2

    def move_to(self, position: float) -> None:
        """Add to the parameters what leads from here to `position`."""
        if position != self.position:
            self.add([(position - self.position) * group["eps"] for _, group in self.parts])
            self.position = position

    def update_scales(self, queries: int) -> list[float]:
        """For each group the multiple of z that leads to position 0 and on by this line's share of the step."""
        return [-self.position * group["eps"] + _step_size(group, self.rise) / queries for _, group in self.parts]

    def add(self, scales: list[float]) -> None:
        """Add each group's multiple of z, in one pass."""
        for (add, _), scale in zip(self.parts, scales, strict=True):
            add(scale)


def _step_size(group: Group, rise: float) -> float:
    """lr * g, against the slope or up it; g is clipped."""
    slope, clip = rise / group["eps"], group["clip"]
    if clip is not None:
        slope = max(-clip, min(clip, slope))
    return float(group["lr"] * slope if group["maximize"] else -group["lr"] * slope)


def _finite_scalar(loss: Any) -> float:
    if isinstance(loss, Tensor) and loss.requires_grad:
        raise ValueError(
            "the loss requires grad: the closure built a graph, with the memory that costs; remove its enable_grad"
        )
    try:
        value = float(loss)
    except (TypeError, ValueError, RuntimeError):
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"the closure must return a scalar loss, not {what}") from None
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value}; the parameters are as they were before this step")
    return value


def _noise_class(noise: str | type[Noise]) -> type[Noise]:
    if isinstance(noise, str) and noise in NOISES:
        return NOISES[noise]
    if not isinstance(noise, type):
        raise ValueError(f"unknown noise {noise!r}; choose from: {', '.join(NOISES)}, or give a class")
    return noise


def _check_group(group: Group) -> None:
    if not 0 <= group["lr"] < math.inf:
        raise ValueError(f"lr must be at least 0 and finite, not {group['lr']}")
    if not 0 < group["eps"] < LONGEST:
        raise ValueError(f"eps must be above 0 and finite, not {group['eps']}")
    if group["clip"] is not None and not group["clip"] > 0:
        raise ValueError(f"clip must be above 0, or None, not {group['clip']}")
