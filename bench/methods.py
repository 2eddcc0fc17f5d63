"""The arms: named ways to change a model so that it forgets, and the two yardsticks beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.checkpointing import checkpointed
from bench.mezo import MeZO
from bench.profile import Training
from bench.record import Kind
from bench.registry import Registry
from zo_core import ZOSGD, Objective, cross_entropy, microbatched, take_step

MICROBATCH = 1  # samples: the least memory there is


@dataclass(frozen=True)
class Hyperparameters:
    """What an arm is run with; `eps` only matters to the zeroth-order ones."""

    lr: float
    eps: float
    seed: int


MakeOptimizer = Callable[[nn.Module, Hyperparameters], Optimizer]


@dataclass(frozen=True)
class Method:
    """One arm.

    Attributes:
        description: one line for tables.
        forward_equivalents: cost of a step in forward passes; a backward pass counts two.
        kinds: the kinds of case it takes part in.
        optimizer: makes the optimizer that ascends on the forget set; None for an arm that has none.
        loss: what it ascends on.
        microbatch: samples that it takes at a time; None for the whole batch at once.
    """

    description: str
    forward_equivalents: int
    kinds: frozenset[Kind]
    optimizer: MakeOptimizer | None = None
    loss: Objective = cross_entropy
    microbatch: int | None = None

    @property
    def objective(self) -> Objective:
        """The loss of a whole batch, in slices or at once."""
        return self.loss if self.microbatch is None else microbatched(self.loss, self.microbatch)


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
STEP: frozenset[Kind] = frozenset({"step"})
BOTH: frozenset[Kind] = frozenset({"step", "unlearning"})


def methods_for(kind: Kind) -> list[str]:
    """Names of the arms that take part in cases of this kind."""
    return [name for name in methods if kind in methods.get(name).kinds]


def check_method(name: str, kind: Kind) -> None:
    """Raise ValueError unless an arm of that name takes part in cases of that kind."""
    choices = methods_for(kind)
    if name not in choices:
        raise ValueError(f"unknown method {name!r} for {kind} cases; choose from: {', '.join(choices)}")


def prepare_step(name: str, model: nn.Module, batch: tuple[Tensor, Tensor], hyperparameters: Hyperparameters) -> Step:
    """A step of the arm on one batch; an arm without an optimizer runs the forward pass alone."""
    method = methods.get(name)
    if method.optimizer is None:
        return Step(lambda: forward_loss(model, *batch), model, batch, None)
    return optimizer_step(model, batch, method.optimizer(model, hyperparameters), method.objective)


def optimizer_step(
    model: nn.Module, batch: tuple[Tensor, Tensor], optimizer: Optimizer, objective: Objective = cross_entropy
) -> Step:
    """A step of `optimizer` on one batch."""
    return Step(lambda: take_step(optimizer, lambda: objective(model, *batch)), model, batch, optimizer)


@torch.no_grad()
def forward_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The loss of a batch in nats, without anything that a backward pass would need."""
    return float(cross_entropy(model, inputs, targets))


def training_optimizer(model: nn.Module, training: Training) -> Optimizer:
    """What originals and Retrain are trained with: SGD with the momentum and weight decay of the profile."""
    return torch.optim.SGD(
        model.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
    )


def head(model: nn.Module) -> nn.Module:
    """The classifier's last layer: the last linear or convolutional one in the order of registration.

    Raises:
        ValueError: the model has no such layer.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear or convolutional layer to be its head")
    return layers[-1]


def _first_order(model: nn.Module, hyperparameters: Hyperparameters) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=hyperparameters.lr, maximize=True)


def _first_order_head(model: nn.Module, hyperparameters: Hyperparameters) -> Optimizer:
    model.requires_grad_(False)  # no graph is built where nothing requires grad
    return torch.optim.SGD(head(model).requires_grad_().parameters(), lr=hyperparameters.lr, maximize=True)


def _zeroth_order(optimizer: Callable[..., Optimizer]) -> MakeOptimizer:
    def make(model: nn.Module, hyperparameters: Hyperparameters) -> Optimizer:
        lr, eps, seed = hyperparameters.lr, hyperparameters.eps, hyperparameters.seed
        return optimizer(model.parameters(), lr, eps=eps, maximize=True, seed=seed)

    return make


for _name, _method in {
    "forward": Method("inference alone, the floor", 1, STEP),
    "retrain": Method("training from scratch without the forget set", 3, frozenset({"unlearning"})),
    "fo-ga": Method("first-order gradient ascent, by backpropagation", 3, BOTH, _first_order),
    "fo-ga-checkpoint": Method(
        "first-order, activations recomputed block by block", 4, STEP, _first_order, checkpointed(cross_entropy)
    ),
    "fo-ga-accumulate": Method("first-order, one sample at a time", 3, STEP, _first_order, microbatch=MICROBATCH),
    "fo-ga-head": Method("first-order on the last layer alone", 1, STEP, _first_order_head),
    "zo-ga": Method("zeroth-order gradient ascent, two forward passes", 2, BOTH, _zeroth_order(ZOSGD)),
    "zo-ga-microbatch": Method(
        "zeroth-order, one sample at a time", 2, STEP, _zeroth_order(ZOSGD), microbatch=MICROBATCH
    ),
    "zo-ga-gaussian": Method(
        "zeroth-order, Gaussians drawn in every pass", 2, STEP, _zeroth_order(partial(ZOSGD, noise="gaussian"))
    ),
    "zo-mezo": Method("zeroth-order, the loop of MeZO as published", 2, STEP, _zeroth_order(MeZO)),
}.items():
    methods.register(_name)(_method)
