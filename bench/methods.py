"""The arms: named ways to change a model so that it forgets, and the two yardsticks beside them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.record import Kind
from bench.registry import Registry
from zo_core import ZOSGD, cross_entropy, take_step


@dataclass(frozen=True)
class Hyperparameters:
    """What an arm is run with; `eps` only matters to the zeroth-order ones."""

    lr: float
    eps: float
    seed: int


@dataclass(frozen=True)
class Method:
    """One arm.

    Attributes:
        description: one line for tables.
        forward_equivalents: cost of a step in forward passes; a backward pass counts two.
        kinds: the kinds of case it takes part in.
        optimizer: makes the optimizer that ascends on the forget set; None for an arm that has none.
    """

    description: str
    forward_equivalents: int
    kinds: frozenset[Kind]
    optimizer: Callable[[nn.Module, Hyperparameters], Optimizer] | None = None


@dataclass(frozen=True)
class Step:
    """One step, ready to be measured again and again.

    Attributes:
        run: takes the step and returns its loss in nats.
        model, batch, optimizer: what it works on; no optimizer means inference.
    """

    run: Callable[[], float]
    model: nn.Module
    batch: tuple[Tensor, Tensor]
    optimizer: Optimizer | None


methods: Registry[Method] = Registry("method")
BOTH: frozenset[Kind] = frozenset({"step", "unlearning"})


def methods_for(kind: Kind) -> list[str]:
    """Names of the arms that take part in cases of this kind."""
    return [name for name in methods if kind in methods.get(name).kinds]


def prepare_step(name: str, model: nn.Module, batch: tuple[Tensor, Tensor], hyperparameters: Hyperparameters) -> Step:
    """A step of the arm on one batch; an arm without an optimizer runs the forward pass alone."""
    method = methods.get(name)
    if method.optimizer is None:
        return Step(lambda: forward_loss(model, *batch), model, batch, None)
    return optimizer_step(model, batch, method.optimizer(model, hyperparameters))


def optimizer_step(model: nn.Module, batch: tuple[Tensor, Tensor], optimizer: Optimizer) -> Step:
    """A step of `optimizer` on the cross-entropy of one batch."""
    return Step(lambda: take_step(optimizer, lambda: cross_entropy(model, *batch)), model, batch, optimizer)


@torch.no_grad()
def forward_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The loss of a batch in nats, without anything that a backward pass would need."""
    return float(cross_entropy(model, inputs, targets))


def _first_order(model: nn.Module, hyperparameters: Hyperparameters) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=hyperparameters.lr, maximize=True)


def _zeroth_order(model: nn.Module, hyperparameters: Hyperparameters) -> Optimizer:
    return ZOSGD(
        model.parameters(), hyperparameters.lr, eps=hyperparameters.eps, maximize=True, seed=hyperparameters.seed
    )


methods.register("forward")(Method("inference alone, the floor", 1, frozenset({"step"})))
methods.register("retrain")(Method("training from scratch without the forget set", 3, frozenset({"unlearning"})))
methods.register("fo-ga")(Method("first-order gradient ascent, by backpropagation", 3, BOTH, _first_order))
methods.register("zo-ga")(Method("zeroth-order gradient ascent, two forward passes", 2, BOTH, _zeroth_order))
