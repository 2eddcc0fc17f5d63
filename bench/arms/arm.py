"""What an arm is: a named way to change a model so that it forgets. The table of them, and one step of one of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.base.registry import Registry
from bench.record import Kind
from zo_core import Objective, cross_entropy, take_step

Batch = tuple[Tensor, Tensor]
STEP: frozenset[Kind] = frozenset({"step"})
UNLEARNING: frozenset[Kind] = frozenset({"unlearning"})
BOTH = STEP | UNLEARNING


@dataclass(frozen=True)
class Hyperparameters:
    """What an arm is run with; `eps` only matters to the zeroth-order ones."""

    lr: float
    eps: float
    seed: int


@dataclass(frozen=True)
class Request:
    """What an arm is given.

    Attributes:
        model: to be changed; in eval mode, on its device.
        forget, retain: batches without end, (N, C, H, W) float32 and (N,) int64, every sample once before any comes
            again; the same for every arm of a seed.
        forget_once: makes batches that hold every sample of the forget set once.
        classes: how many there are.
        hyperparameters: learning rate, perturbation and seed.
    """

    model: nn.Module
    forget: Iterator[Batch]
    retain: Iterator[Batch]
    forget_once: Callable[[], Iterable[Batch]]
    classes: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True)
class Steps:
    """What an arm makes of a request: one step for each of `batches`, by `optimizer` on `objective`.

    Attributes:
        batches: the tensors that `objective` takes behind the model.
        spent: forward-equivalents that went into preparing them.
    """

    optimizer: Optimizer
    batches: Iterator[tuple[Tensor, ...]]
    objective: Objective = cross_entropy
    spent: float = 0.0


Start = Callable[[Request], Steps]


@dataclass(frozen=True)
class Method:
    """One arm.

    Attributes:
        description: one line for tables.
        forward_equivalents: cost of a step in forward passes of one batch; a backward pass counts two.
        kinds: the kinds of case it takes part in.
        start: begins an erasure; None for an arm that takes no steps of its own.
        microbatch: samples that it takes at a time; None for the whole batch at once.
        zeroth_order: whether the size of a perturbation matters to it.
        rate_of: the arm whose learning rate and perturbation it runs with, instead of its own.
    """

    description: str
    forward_equivalents: int
    kinds: frozenset[Kind]
    start: Start | None = None
    microbatch: int | None = None
    zeroth_order: bool = False
    rate_of: str | None = None


@dataclass(frozen=True)
class Step:
    """One step, ready to be measured again and again.

    Attributes:
        run: takes the step and returns its loss in nats.
        model, batch, optimizer: what it works on; no optimizer means inference.
    """

    run: Callable[[], float]
    model: nn.Module
    batch: tuple[Tensor, ...]
    optimizer: Optimizer | None


methods: Registry[Method] = Registry("method")


def arm(
    name: str,
    description: str,
    forward_equivalents: int,
    kinds: frozenset[Kind] = UNLEARNING,
    *,
    microbatch: int | None = None,
    zeroth_order: bool = False,
    rate_of: str | None = None,
) -> Callable[[Start], Start]:
    """Decorator that makes an arm of a function from a `Request` to `Steps`; see `Method` for the arguments.

    Raises:
        ValueError: the name is taken.
    """

    def register(start: Start) -> Start:
        method = Method(description, forward_equivalents, kinds, start, microbatch, zeroth_order, rate_of)
        methods.register(name, module=start.__module__)(method)
        return start

    return register


def first_step(method: Method, request: Request) -> Step:
    """The step of the arm on its first batch; an arm that takes none runs the forward pass alone."""
    model = request.model
    if method.start is None:
        batch = next(request.forget)
        return Step(lambda: forward_loss(model, *batch), model, batch, None)
    steps = method.start(request)
    return optimizer_step(model, next(steps.batches), steps.optimizer, steps.objective)


def optimizer_step(
    model: nn.Module, batch: tuple[Tensor, ...], optimizer: Optimizer, objective: Objective = cross_entropy
) -> Step:
    """A step of `optimizer` on one batch."""
    return Step(lambda: take_step(optimizer, lambda: objective(model, *batch)), model, batch, optimizer)


@torch.no_grad()
def forward_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The loss of a batch in nats, without anything that a backward pass would need."""
    return float(cross_entropy(model, inputs, targets))
