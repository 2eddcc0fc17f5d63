"""What an arm is: a named way to change a model so that it forgets. The table of them, and one step of one of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.base.registry import Registry
from bench.record import Engine, Kind, Tail
from zo_core import Objective, cross_entropy, take_step
from zo_core.ascent.tail import move_only
from zo_core.prefix import PrefixReuse
from zo_core.receipt import Receipt

Batch = tuple[Tensor, Tensor]
STEP: frozenset[Kind] = frozenset({"step"})
UNLEARNING: frozenset[Kind] = frozenset({"unlearning"})
BOTH = STEP | UNLEARNING
TAILS: tuple[Tail, ...] = get_args(Tail)  # the longest first
ENGINES: tuple[Engine, ...] = get_args(Engine)


def _nothing() -> None:
    """Nothing is in the way."""


@dataclass(frozen=True)
class Hyperparameters:
    """What an arm is run with; `eps` only matters to the zeroth-order ones, and `tail` is all that may move."""

    lr: float
    eps: float
    seed: int
    tail: Tail = "all"


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
        spent, backward: forward and backward passes that went into preparing them.
        forwards: forward-equivalents of the steps taken so far, where they are not what `Method` says.
        cycle: steps that cost differently and come in turn, each once.
        whole: tells why nothing before what moves could be kept, in one line; None where nothing is in the way.
        receipt: of the steps taken so far; none on torch, whose steps do not replay elsewhere.
    """

    optimizer: Optimizer
    batches: Iterator[tuple[Tensor, ...]]
    objective: Objective = cross_entropy
    spent: float = 0.0
    backward: float = 0.0
    forwards: Callable[[], float] | None = None
    cycle: int = 1
    whole: Callable[[], str | None] = _nothing
    receipt: Callable[[], Receipt | None] = _nothing


Start = Callable[[Request], Steps]


@dataclass(frozen=True)
class Method:
    """One arm.

    Attributes:
        description: one line for tables.
        forward_equivalents: cost of a step on the whole network, in forward passes of one batch; a backward pass counts
            two.
        kinds: the kinds of case it takes part in.
        start: begins an erasure; None for an arm that takes no steps of its own.
        microbatch: samples that it takes at a time; None for the whole batch at once.
        zeroth_order: whether the size of a perturbation matters to it.
        rate_of: the arm whose learning rate, perturbation, batch size and tail it runs with, instead of its own.
        tails: those of the network that it can move; given another, it moves the first.
        engines: that it runs on.
    """

    description: str
    forward_equivalents: int
    kinds: frozenset[Kind]
    start: Start | None = None
    microbatch: int | None = None
    zeroth_order: bool = False
    rate_of: str | None = None
    tails: tuple[Tail, ...] = TAILS
    engines: tuple[Engine, ...] = ("torch",)

    def tail_of(self, given: Tail) -> Tail:
        """The tail that it moves if it is given that one."""
        return given if given in self.tails else self.tails[0]


@dataclass(frozen=True)
class Step:
    """One step, ready to be measured again and again.

    Attributes:
        run: takes the step and returns its loss in nats.
        model, batch, optimizer: what it works on; no optimizer means inference.
        cycle, whole: see `Steps`.
    """

    run: Callable[[], float]
    model: nn.Module
    batch: tuple[Tensor, ...]
    optimizer: Optimizer | None
    cycle: int = 1
    whole: Callable[[], str | None] = _nothing

    def turn(self) -> None:
        """Take as many steps as it takes for each that costs differently to come once: one, where all are alike."""
        for _ in range(self.cycle):
            self.run()


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
    tails: tuple[Tail, ...] = TAILS,
    engines: tuple[Engine, ...] = ("torch",),
) -> Callable[[Start], Start]:
    """Decorator that makes an arm of a function from a `Request` to `Steps`; see `Method` for the arguments.

    Raises:
        ValueError: the name is taken.
    """

    def register(start: Start) -> Start:
        method = Method(
            description, forward_equivalents, kinds, start, microbatch, zeroth_order, rate_of, tails, engines
        )
        methods.register(name, module=start.__module__)(method)
        return start

    return register


def begin(method: Method, request: Request) -> Steps:
    """Start the arm, with all of the model frozen but the tail that it is to move.

    What lies before a tail is computed once for all evaluations of a zeroth-order step.

    Raises:
        ValueError: there is nothing in the tail that could move.
    """
    assert method.start is not None, "an arm without steps changes nothing"
    tail = method.tail_of(request.hyperparameters.tail)
    move_only(request.model, tail)
    steps = method.start(request)
    if tail == "all" or steps.forwards is not None or not hasattr(steps.optimizer, "moving"):
        return steps
    return reusing(request.model, steps)


def reusing(model: nn.Module, steps: Steps) -> Steps:
    """The same steps, but what lies before the first parameter that one moves is computed once for its evaluations."""
    assert hasattr(steps.optimizer, "moving"), "it must say what it moves"
    reuse = PrefixReuse(model, steps.optimizer)
    return replace(
        steps,
        objective=reuse.objective(steps.objective),
        forwards=lambda: reuse.forwards,
        whole=lambda: reuse.reason,
    )


def first_step(method: Method, request: Request) -> Step:
    """The step of the arm on its first batch; an arm that takes none runs the forward pass alone."""
    model = request.model
    if method.start is None:
        batch = next(request.forget)
        return Step(lambda: forward_loss(model, *batch), model, batch, None)
    steps = begin(method, request)
    step = optimizer_step(model, next(steps.batches), steps.optimizer, steps.objective)
    return replace(step, cycle=steps.cycle, whole=steps.whole)


def optimizer_step(
    model: nn.Module, batch: tuple[Tensor, ...], optimizer: Optimizer, objective: Objective = cross_entropy
) -> Step:
    """A step of `optimizer` on one batch, which every step takes for a new one: what was kept of it does not count."""

    def run() -> float:
        again = tuple(tensor.view_as(tensor) for tensor in batch)
        return take_step(optimizer, lambda: objective(model, *again))

    return Step(run, model, batch, optimizer)


@torch.no_grad()
def forward_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The loss of a batch in nats, without anything that a backward pass would need."""
    return float(cross_entropy(model, inputs, targets))
