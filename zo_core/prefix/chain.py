"""A network as a chain of segments, each of which takes one value and gives one, cut by torch.fx.

The segments run the network's own modules and parameters. A module of torch's is run as it is, and so is one that has
hooks of its own.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

HOLDING = ("_modules", "_parameters", "_buffers", "_forward_hooks", "_forward_pre_hooks")  # dicts of every module
State = tuple[list[int], list[int]]  # of a segment's tensors: how often each was changed in place, and where it lies
Kind = tuple[torch.Size, torch.dtype, torch.device]  # of a batch


def kind_of(inputs: Tensor) -> Kind:
    """What the work of a pass depends on."""
    return inputs.shape, inputs.dtype, inputs.device


class UncuttableError(ValueError):
    """A network that cannot be cut; the message is one line."""


@dataclass(frozen=True)
class Segment:
    """A piece of the network.

    Attributes:
        module: made of modules and parameters of the network itself.
        forward: from the value before it to the value behind it; what is dead in between is freed.
        tensors: the parameters, buffers and constants that it reads.
    """

    module: nn.Module
    forward: Callable[[Any], Any]
    tensors: tuple[Tensor, ...]


class Chain:
    """The segments of a network, for as long as its `Structure` holds.

    Raises:
        UncuttableError: torch.fx cannot trace it, nowhere is one value alone alive, or its tensors have no version.
    """

    def __init__(self, model: nn.Module) -> None:
        self.segments = _segments(model)
        if any(tensor.is_inference() for segment in self.segments for tensor in segment.tensors):
            raise UncuttableError("its tensors were made in inference mode, where torch does not count their changes")

    def untouched(self, parameters: Iterable[Tensor]) -> list[State]:
        """The states of the segments before the first that reads one of them, or memory that begins where one does."""
        touched = {parameter.data_ptr() for parameter in parameters if parameter.numel() > 0}
        states: list[State] = []
        for segment in self.segments:
            addresses = [tensor.data_ptr() for tensor in segment.tensors]
            if not touched.isdisjoint(addresses):
                break
            states.append(([tensor._version for tensor in segment.tensors], addresses))
        return states

    def shares(self, kind: Kind) -> list[float]:
        """For each segment, which share of a forward pass of such inputs lies in it and behind it, in multiply-adds.

        Counted are matrix products, convolutions and attention, on tensors without memory; where there are none, or
        they cannot be counted so, every share is 1.
        """
        try:
            flops = self._flops(kind)
        except Exception:  # the segments run what others wrote, on tensors that it may not know
            flops = [0]
        if sum(flops) == 0:
            return [1.0] * len(self.segments)
        return [behind / sum(flops) for behind in accumulate(reversed(flops))][::-1]

    def _flops(self, kind: Kind) -> list[int]:
        # Imported where it is needed: it takes half a second, and 70 MB of this process.
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.utils.flop_counter import FlopCounterMode

        flops = []
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # the counter knows its parts, not the whole
        try:
            with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as fakes:
                shape, dtype, device = kind
                value: Any = torch.empty(shape, dtype=dtype, device=device)
                for module in (segment.module for segment in self.segments):
                    named = (*module.named_parameters(), *module.named_buffers())
                    state: dict[str, Any] = {name: fakes.from_tensor(tensor) for name, tensor in named}
                    with FlopCounterMode(display=False) as counter:
                        value = functional_call(module, state, (value,))
                    flops.append(counter.get_total_flops())
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
        return flops


class Structure:
    """What a network is made of: modules, parameters, buffers and hooks, and which modules are in train mode."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = list(model.modules())
        self._held = [getattr(module, name).values() for module in self._modules for name in HOLDING]  # live views
        self._parts = self._present()

    def holds(self) -> bool:
        """Whether it still is."""
        parts = self._present()
        return len(parts) == len(self._parts) and all(map(operator.is_, parts, self._parts))

    def _present(self) -> list[Any]:
        """Objects to be compared by identity, as hooks and tensors must be; truth values have one."""
        parts = [*chain.from_iterable(self._held)]
        parts += [module.training for module in self._modules]
        parts += ["forward" in vars(module) for module in self._modules]
        return parts


def share_from(model: nn.Module, parameters: Iterable[Tensor], inputs: Tensor) -> float:
    """Which share of a forward pass lies at or behind the first of `parameters`, in multiply-adds.

    Elementwise operations are not counted; a network that cannot be cut is one piece.

    Args:
        inputs: a batch; its shape, dtype and device alone matter.

    Returns:
        A number in [0, 1]: 1 where they begin with the network, 0 where it does not read them.
    """
    try:
        network = Chain(model)
    except UncuttableError:
        return 1.0
    return [*network.shares(kind_of(inputs)), 0.0][len(network.untouched(parameters))]


def uncut(model: nn.Module) -> str | None:
    """Why a network cannot be cut, in one line; None if it can."""
    try:
        Chain(model)
    except UncuttableError as error:
        return str(error)
    return None


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # else what a module does to its buffers would be done now, once

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Torch's own modules, and those around whose forward something is done that a trace would lose."""
        wrapped = m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m)
        return bool(wrapped) or super().is_leaf_module(m, module_qualified_name)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """The network and one value; other arguments of its forward have their defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "value", (), {})]


def _traced(model: nn.Module) -> fx.Graph:
    own, tracer = set(vars(model)), _Tracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:  # it runs what others wrote, on values that it does not know: anything may come
        first_line, *_ = (*str(error).splitlines(), "")
        raise UncuttableError(f"torch.fx cannot trace it ({type(error).__name__}: {first_line})") from error
    finally:
        constants = set(vars(model)) - own
        for name in constants:
            delattr(model, name)
        vars(tracer).clear()  # a function of its own refers to itself and to it, and so to the network, until collected
    if constants:  # computed from what may change, for all that the trace knows
        raise UncuttableError("its forward makes tensors that torch.fx does not follow")
    return graph


def _segments(model: nn.Module) -> list[Segment]:
    graph = _traced(model)
    value = next(node for node in graph.nodes if node.op == "placeholder")
    output = next(node for node in graph.nodes if node.op == "output")
    runs = _runs(graph, value, output)
    if len(runs) < 2:
        raise UncuttableError("nowhere in it is one value alone alive")
    segments = []
    for run in runs:
        segments.append(_segment(model, value, run, output if run is runs[-1] else None))
        value = run[-1]
    return segments


def _runs(graph: fx.Graph, value: fx.Node, output: fx.Node) -> list[list[fx.Node]]:
    """The operations in their order, in runs; between two of them only what the earlier one computed last is alive.

    A parameter or buffer is read where it is used, so it is no value that is alive.
    """
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    place = {node: index for index, node in enumerate([*nodes, output])}
    last_use = {node: max((place[user] for user in node.users), default=-1) for node in [value, *nodes]}
    runs: list[list[fx.Node]] = [[]]
    alive = {value}
    for index, node in enumerate(nodes):
        runs[-1].append(node)
        alive = {one for one in (*alive, node) if last_use[one] > index}
        if alive == {node} and node is not nodes[-1]:
            runs.append([])
    return runs


def _segment(model: nn.Module, value: fx.Node, run: Sequence[fx.Node], output: fx.Node | None) -> Segment:
    graph = fx.Graph()
    copies = {value: graph.placeholder("value")}

    def copied(node: fx.Node) -> fx.Node:
        """The node's copy; a parameter's or buffer's is made at its first use."""
        if node not in copies:
            copies[node] = graph.node_copy(node, copied)
        return copies[node]

    for node in run:
        copied(node)
    if output is None:
        graph.output(copies[run[-1]])
    else:
        graph.node_copy(output, copied)
    module = fx.GraphModule(model, graph, "Segment")
    graph.owning_module = None  # else the two, and the parameters, would wait for Python's garbage collector
    return Segment(module, module.forward, (*module.parameters(), *module.buffers()))
