"""`ZOSGD`: stochastic gradient descent or ascent from forward passes alone.

Two-sided simultaneous perturbation (SPSA; Spall, "Multivariate stochastic approximation using a simultaneous
perturbation gradient approximation", IEEE TAC 1992), in place and with replayed noise (MeZO; Malladi et al.,
"Fine-tuning language models with just forward passes", NeurIPS 2023, algorithm 1). The last pass over the parameters
restores and updates at once.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from zo_core.noise import Direction, PooledNoise

Group = dict[str, Any]
LARGEST = torch.finfo(torch.float32).max


class ZOSGD(Optimizer):
    """Zeroth-order SGD, used like `torch.optim.SGD` but with a closure that only computes the loss.

    For each direction z ~ N(0, I): g = (L(theta + eps z) - L(theta - eps z)) / (2 eps), then
    theta <- theta - lr g z, or + when `maximize`. Besides the noise pool nothing is allocated: no gradients, no copy
    of the parameters, no stored z.

    Args:
        params: parameters or parameter groups; a group may have its own `lr`, `eps` and `maximize`. Parameters with
            `requires_grad=False` are never touched. They must be contiguous, and float32 or float64: in half
            precision the way out and back does not end where it began.
        lr: learning rate, at least 0.
        eps: size of the perturbation, above 0, in the units of the parameters.
        queries: directions averaged in a step; a step takes 2 * queries forward passes.
        maximize: ascend instead of descend.
        seed: integer in [0, 2**63) that all randomness comes from.

    Raises:
        ValueError: an argument or a parameter is out of these bounds.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float,
        *,
        eps: float = 1e-3,
        queries: int = 1,
        maximize: bool = False,
        seed: int = 0,
    ) -> None:
        if queries < 1:
            raise ValueError(f"queries must be at least 1, not {queries}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed must be in [0, 2**63), not {seed}")
        super().__init__(params, {"lr": lr, "eps": eps, "maximize": maximize})
        self.queries = queries
        self.noise = PooledNoise(seed)
        self.steps_taken = 0

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, as every torch optimizer does; raises ValueError for one it could not update."""
        super().add_param_group(param_group)
        try:
            _check_group(self.param_groups[-1])
        except ValueError:
            self.param_groups.pop()
            raise

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on to the bit: the groups, the queries, the seed, the steps taken."""
        own = {"queries": self.queries, "seed": self.noise.seed, "steps_taken": self.steps_taken}
        return super().state_dict() | own

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` stopped, with its queries and its seed."""
        super().load_state_dict(state_dict)
        self.queries = state_dict["queries"]
        self.noise = PooledNoise(state_dict["seed"])
        self.steps_taken = state_dict["steps_taken"]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """Take one step.

        Args:
            closure: computes the loss, a scalar, from the parameters as they are; called 2 * queries times.

        Returns:
            The mean of the losses seen.

        Raises:
            FloatingPointError: a loss was not finite, or the step it asks for is beyond what float32 can hold.
            ValueError: the closure returned something else than a scalar.
            After these, and after any exception of the closure's own, the parameters are as they were before the
            step, to rounding.
        """
        measured: list[tuple[_Perturbation, float]] = []
        total = 0.0
        for query in range(self.queries):
            for perturbation, _ in measured:
                perturbation.move_to(0.0)
            perturbation = self._perturbation(query)
            plus, minus = perturbation.two_sided(closure)
            measured.append((perturbation, (plus - minus) / (2 * self.queries)))
            total += plus + minus
        self._update(measured)
        self.steps_taken += 1
        return total / (2 * self.queries)

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take along, beyond what torch's base class does."""
        own = {"queries": self.queries, "noise": self.noise, "steps_taken": self.steps_taken}
        return super().__getstate__() | own

    def _update(self, measured: list[tuple["_Perturbation", float]]) -> None:
        scales = [perturbation.update_scales(half_difference) for perturbation, half_difference in measured]
        if not all(abs(scale) <= LARGEST for group_scales in scales for scale in group_scales):
            measured[-1][0].move_to(0.0)
            raise FloatingPointError("the step is beyond what float32 can hold; the parameters are as before it")
        for (perturbation, _), group_scales in zip(measured, scales, strict=True):
            perturbation.add(group_scales)

    def _perturbation(self, query: int) -> "_Perturbation":
        return _Perturbation(
            [
                (self.noise.direction(chunks, self.steps_taken, query, index), group)
                for index, group in enumerate(self.param_groups)
                if (chunks := _chunks(group, self.noise.chunk_numbers))
            ]
        )


class _Perturbation:
    """One direction z through all groups, and where on the line theta + position * eps * z the parameters now are."""

    def __init__(self, parts: list[tuple[Direction, Group]]) -> None:
        self.parts = parts
        self.position = 0.0

    def move_to(self, position: float) -> None:
        if position != self.position:
            for add, group in self.parts:
                add((position - self.position) * group["eps"])
            self.position = position

    def two_sided(self, closure: Callable[[], Any]) -> tuple[float, float]:
        """The losses at +eps and -eps; the parameters are left at -eps, or restored if the closure raises."""
        try:
            self.move_to(1.0)
            plus = _finite_scalar(closure())
            self.move_to(-1.0)
            return plus, _finite_scalar(closure())
        except BaseException:
            self.move_to(0.0)
            raise

    def update_scales(self, half_difference: float) -> list[float]:
        """For each group the multiple of z that restores it and goes on by lr * g, with g = half_difference / eps."""
        return [
            -self.position * group["eps"]
            + (1.0 if group["maximize"] else -1.0) * group["lr"] * half_difference / group["eps"]
            for _, group in self.parts
        ]

    def add(self, scales: list[float]) -> None:
        """Add each group's multiple of z, in one pass."""
        for (add, _), scale in zip(self.parts, scales, strict=True):
            add(scale)


def _chunks(group: Group, longest: int) -> list[Tensor]:
    """1-D views of the group's trainable parameters, cut into pieces of at most `longest` elements."""
    flat = (parameter.detach().view(-1) for parameter in group["params"] if parameter.requires_grad)
    return [chunk for vector in flat for chunk in vector.split(longest)]


def _finite_scalar(loss: Any) -> float:
    if isinstance(loss, Tensor) and loss.numel() != 1:
        raise ValueError(f"the closure must return a scalar loss, not a tensor of shape {tuple(loss.shape)}")
    value = float(loss)
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value}; the parameters are as they were before this step")
    return value


def _check_group(group: Group) -> None:
    if not 0 <= group["lr"] < math.inf:
        raise ValueError(f"lr must be at least 0 and finite, not {group['lr']}")
    if not 0 < group["eps"] < math.inf:
        raise ValueError(f"eps must be above 0 and finite, not {group['eps']}")
    for parameter in group["params"]:
        if parameter.requires_grad and parameter.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"ZOSGD needs float32 or float64 parameters, not {parameter.dtype}: call model.float()")
        if parameter.requires_grad and not parameter.is_contiguous():
            raise ValueError("ZOSGD needs contiguous parameters: call parameter.data = parameter.data.contiguous()")
