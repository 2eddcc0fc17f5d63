"""`PrefixReuse`: evaluations that begin where the network first reads something that a step moves.

A zeroth-order step that moves a part of the parameters evaluates the loss twice, at parameters that differ in that part
alone. What the network computes before it is the same in both, and stays the same for every step on the same batch, as
long as nothing before it changes.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import getattr_static
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zo_core.ascent.objectives import Objective
from zo_core.prefix.chain import Chain, State, Structure, UncuttableError, kind_of
from zo_core.prefix.trial import Trial

Forward = Callable[..., Any]


class Stepper(Protocol):
    """What `PrefixReuse` needs of an optimizer.

    Attributes:
        moving: the parameters that the step now going on moves, all of them; None between steps.
    """

    @property
    def moving(self) -> Sequence[Tensor] | None:
        """See above."""
        ...


class PrefixReuse:
    """Evaluates objectives of a model, and keeps what lies before the first parameter that `optimizer` is moving.

    One value is kept for each tensor of a batch that the network is given: one for a cross-entropy, two for a contrast
    of forget and retain set; none for what the objective makes of them, such as slices. It takes memory while the rest
    of the network runs, and until another batch comes in. It is used for the same tensor, unchanged, as long as no
    parameter or buffer before it has changed. Changes are noticed by torch's version counters, which
    `parameter.data.add_(...)` evades. Everything else that a forward reads, such as a number in an attribute, is taken
    to be constant.

    Losses are those without reuse, to the bit. The first pass within a step is made twice to see to that, with and
    without cuts, and so is the first one after the network was changed or put in another mode. What draws random
    numbers or changes buffers, as dropout and batch norm do in train mode, is never skipped.

    Args:
        model: called with one tensor. Hooks run, its own and those of its modules.
        optimizer: says what it is moving.

    Attributes:
        reason: why passes run whole, in one line; None as long as nothing is in the way.
    """

    def __init__(self, model: nn.Module, optimizer: Stepper) -> None:
        self.reason: str | None = None
        self._model, self._optimizer = model, optimizer
        self._batch: tuple[Any, ...] | None = None  # of the objective now running
        self._network: _Network | None = None
        self._kept: list[_Kept] = []
        self._forwards = 0.0

    @property
    def forwards(self) -> float:
        """Forward passes made within objectives so far, a part of one being its share of the multiply-adds."""
        return self._forwards + (self._network.forwards() if self._network else 0.0)

    def objective(self, objective: Objective) -> Objective:
        """`objective`, the model's forward being what is left of it; of another model it is just evaluated."""

        def reusing(model: nn.Module, *batch: Any) -> Tensor:
            if model is not self._model or self._batch is not None:
                return objective(model, *batch)
            former = vars(model).get("forward")
            self._batch, model.forward = batch, partial(self._forward, model.forward)
            try:
                self._kept = [kept for kept in self._kept if self._in_batch(kept.inputs())]
                return objective(model, *batch)
            finally:
                self._batch = None
                vars(model).pop("forward", None)
                if former is not None:
                    model.forward = former

        return reusing

    def _forward(self, ordinary: Forward, *arguments: Any, **named: Any) -> Any:
        moving = self._optimizer.moving
        if moving is None or named or not _can_serve(arguments):
            self._forwards += 1
            return ordinary(*arguments, **named)
        if self._network is None or not self._network.structure.holds():
            return self._renew(ordinary, *arguments)
        states = self._network.untouched(moving)
        if not states:
            self._forwards += 1
            return ordinary(*arguments)
        return self._run(self._network, states, *arguments)

    def _renew(self, ordinary: Forward, inputs: Tensor) -> Any:
        """Cut the network as it now is; returns what it makes of `inputs`."""
        self._forwards, self._network, self._kept = self.forwards, None, []
        structure = Structure(self._model)
        try:
            if getattr(ordinary, "__func__", None) is not getattr_static(type(self._model), "forward"):
                raise UncuttableError("its forward has been replaced by another")
            chain = Chain(self._model)
        except UncuttableError as error:
            output, self.reason = ordinary(inputs), str(error)
            self._network = _Network(structure, None, [], inputs)
            self._forwards += 1
        else:
            trial = Trial(chain, self._model, ordinary, inputs)
            output, self.reason = trial.output, trial.reason
            self._network = _Network(structure, chain, trial.cuts, inputs)
            self._forwards += 2
        return output

    def _run(self, network: "_Network", states: list[State], inputs: Tensor) -> Any:
        """A pass, from the kept value on where that serves; what is behind the segments of `states` is kept."""
        cut, conditions = len(states), _conditions(inputs)
        kept = self._taken(inputs)
        if kept is not None and kept.serves(states, conditions):
            begin, value = len(kept.states), kept.value
        else:
            begin, value = 0, inputs
        network.begun[begin] += 1
        if kept is not None and begin == cut:
            self._kept.append(kept)
        else:
            del kept  # freed as soon as it has been read
            for segment in network.segments[begin:cut]:
                value = segment.forward(value)
            if self._in_batch(inputs):
                storages = network.storages_before(cut)
                self._kept.append(_Kept(weakref.ref(inputs), states, storages, conditions, value, value._version))
        for segment in network.segments[cut:]:
            value = segment.forward(value)
        return value

    def _in_batch(self, tensor: Tensor | None) -> bool:
        return tensor is not None and any(one is tensor for one in self._batch or ())

    def _taken(self, inputs: Tensor) -> "_Kept | None":
        """What was kept of these inputs, and no longer is."""
        for place, kept in enumerate(self._kept):
            if kept.inputs() is inputs:
                return self._kept.pop(place)
        return None


class _Network:
    """The network as it was when it was cut, and the passes made over it.

    Attributes:
        begun: how many passes began at which segment.
    """

    def __init__(self, structure: Structure, chain: Chain | None, cuts: list[int], inputs: Tensor) -> None:
        self.structure, self._chain, self._cuts = structure, chain, cuts
        self.segments = [] if chain is None else chain.segments
        self.begun: Counter[int] = Counter()
        self._kind = kind_of(inputs)

    def untouched(self, parameters: Sequence[Tensor]) -> list[State]:
        """The states of the segments before the last cut before all that reads one of `parameters`; [] if none is."""
        if self._chain is None or not self._cuts:
            return []
        states = self._chain.untouched(parameters)
        return states[: max((cut for cut in self._cuts if cut <= len(states)), default=0)]

    def storages_before(self, cut: int) -> list[torch.UntypedStorage]:
        """The memory of what is read before a cut."""
        return [tensor.untyped_storage() for segment in self.segments[:cut] for tensor in segment.tensors]

    def forwards(self) -> float:
        """The passes made, each counted by its share of the work."""
        return sum(passes * self._shares[begin] for begin, passes in self.begun.items())

    @cached_property
    def _shares(self) -> list[float]:
        return self._chain.shares(self._kind) if self._chain else []


@dataclass(frozen=True)
class _Kept:
    """A value within the network, and what it depends on.

    Attributes:
        inputs: those of the batch that it was computed from.
        states: of the segments before it.
        storages: of what they read. They are held so that no other tensor can come to lie where they lie.
        conditions: of the inputs, and of how operations are carried out.
        version: the value's own, lest a segment behind it has overwritten it.
    """

    inputs: "weakref.ref[Tensor]"
    states: list[State]
    storages: list[torch.UntypedStorage]
    conditions: tuple[Any, ...]
    value: Tensor
    version: int

    def serves(self, states: list[State], conditions: tuple[Any, ...]) -> bool:
        """Whether a pass may begin here if the segments before the cut that is wanted are in these states."""
        before = states[: len(self.states)]  # fewer if that cut is an earlier one
        return self.states == before and self.conditions == conditions and self.value._version == self.version


def _conditions(inputs: Tensor) -> tuple[Any, ...]:
    device = inputs.device.type
    if not torch.amp.is_autocast_available(device):
        return (inputs._version,)
    return inputs._version, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)


def _can_serve(arguments: tuple[Any, ...]) -> bool:
    """Whether it is one tensor, in a pass without gradients, where torch counts changes."""
    if len(arguments) != 1 or type(arguments[0]) is not Tensor or torch.is_grad_enabled():
        return False
    return not (torch.is_inference_mode_enabled() or arguments[0].is_inference() or arguments[0].is_meta)
