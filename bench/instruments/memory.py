"""The tensor ledger: bytes of live tensor storages by category, and their peak during one step.

A dispatch mode sees every operation's outputs and follows their storages by weak references, so the count depends on
neither the allocator, the thread count nor the run: it is the same byte every time. What a kernel allocates inside
itself is not seen; that belongs to the allocator's ledger.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.methods import Step
from bench.record import Memory

ACTIVATIONS = "activations"
CATEGORIES = ("parameters", "buffers", "inputs", "gradients", "optimizer", "noise", ACTIVATIONS)


@dataclass(frozen=True)
class TensorPeak:
    """The peak of the tensor ledger.

    Attributes:
        total: bytes alive at the peak.
        by_category: what they were, in bytes; "activations" also holds temporaries.
    """

    total: int
    by_category: dict[str, int]

    def as_memory(self) -> Memory:
        """The record's memory figures, those of the other ledgers missing."""
        return Memory(tensor_peak_bytes=self.total, tensor_by_category=self.by_category)


def tensor_peak(step: Step) -> TensorPeak:
    """Peak of live tensor bytes during a step.

    The step is taken once before, so that what it makes only once (optimizer state, noise pools) counts from the
    start, as parameters, buffers, the batch and gradients do.
    """
    step.run()
    model, optimizer = step.model, step.optimizer
    ledger = _Ledger(list(model.parameters()))
    ledger.enter(model.buffers(), "buffers")
    ledger.enter(step.batch, "inputs")
    if optimizer is not None:
        ledger.enter((leaf for leaf in tree_leaves(dict(optimizer.state)) if isinstance(leaf, Tensor)), "optimizer")
        if (noise := getattr(optimizer, "noise", None)) is not None:
            ledger.enter(noise.tensors(), "noise")
    with ledger:
        step.run()
    return TensorPeak(sum(ledger.peak.values()), {name: ledger.peak[name] for name in CATEGORIES})


class _Ledger(TorchDispatchMode):
    """Live bytes by category, now and at the peak.

    A tensor that an operation made becomes a parameter or a gradient when the step puts it in that place, which is
    not an operation that a dispatch mode sees: so before every operation these two are looked up anew.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = dict.fromkeys(CATEGORIES, 0)
        self.peak = dict(self.live)
        self._parameters = parameters
        self._entries: weakref.WeakKeyDictionary[torch.UntypedStorage, _Entry] = weakref.WeakKeyDictionary()
        self._look_up_roles()

    def enter(self, tensors: Iterable[Tensor], category: str) -> None:
        """Count the storages of `tensors` from now until they die; those already counted only follow their size."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            entry = self._entries.get(storage)
            if entry is None:
                entry = self._entries[storage] = _Entry(category)
                weakref.finalize(storage, self._resize, entry, 0).atexit = False
            self._resize(entry, storage.nbytes())
        if sum(self.live.values()) > sum(self.peak.values()):
            self.peak = dict(self.live)

    def _look_up_roles(self) -> None:
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        for tensors, category in ((self._parameters, "parameters"), (gradients, "gradients")):
            self.enter(tensors, category)
            for tensor in tensors:
                entry = self._entries[tensor.untyped_storage()]
                if entry.category != category:
                    self.live[entry.category] -= entry.size
                    self.live[category] += entry.size
                    entry.category = category

    def _resize(self, entry: "_Entry", size: int) -> None:
        self.live[entry.category] += size - entry.size
        entry.size = size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._look_up_roles()
        outputs = func(*args, **(kwargs or {}))
        self.enter((leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)), ACTIVATIONS)
        return outputs


@dataclass(eq=False)
class _Entry:
    category: str
    size: int = 0
