"""The tensor ledger: bytes of live tensor storages by category, and their peak during one step.

A dispatch mode sees what every operation reads and makes, and follows the storages by weak references, so the count
depends on neither the allocator, the thread count nor the run: it is the same byte every time. What a kernel allocates
inside itself is not seen; that belongs to the allocator's ledger.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.arms.arm import Step
from bench.instruments.garbage import no_garbage

ACTIVATIONS = "activations"
CATEGORIES = ("parameters", "buffers", "inputs", "gradients", "optimizer", "noise", ACTIVATIONS)


@dataclass(frozen=True)
class TensorPeak:
    """The peak of the tensor ledger.

    Attributes:
        total: bytes alive at the peak.
        by_category: what they were, in bytes; "activations" also holds temporaries, and whatever else the step keeps.
    """

    total: int
    by_category: dict[str, int]


def tensor_peak(prepare: Callable[[], Step]) -> TensorPeak:
    """Peak of live tensor bytes during the first step or the second, whichever is higher; where steps differ and come
    in turn, during the first turn or the second.

    Only the first makes what lasts (gradients, optimizer state, noise pools, anything held), and may take more while it
    does; only the second has all of it from its start, and everything in its category. Where both peak alike, it is
    the second that is told.

    Args:
        prepare: makes the step, model and batch included.
    """
    ledger = _Ledger()
    with no_garbage(), ledger:
        step = prepare()
        first = ledger.peak_of(step)
        second = ledger.peak_of(step)
    return first if first.total > second.total else second


class _Ledger(TorchDispatchMode):
    """Live bytes by category, now and at the peak.

    Two things happen that are no operations and so not seen: a tensor becomes a parameter or a gradient when the step
    puts it in that place, which is looked up before a peak is recorded; and a storage can be resized by itself, which
    is looked up before every operation.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = dict.fromkeys(CATEGORIES, 0)
        self.peak = dict(self.live)
        self._parameters: Sequence[Tensor] = ()
        self._entries: weakref.WeakKeyDictionary[torch.UntypedStorage, _Entry] = weakref.WeakKeyDictionary()

    def peak_of(self, step: Step) -> TensorPeak:
        """Take the step, or each that comes in turn."""
        self._begin(step)
        step.turn()
        return TensorPeak(sum(self.peak.values()), dict(self.peak))

    def _begin(self, step: Step) -> None:
        """Say what the step's lasting tensors are, and count the peak from here."""
        self._parameters = list(step.model.parameters())
        self._file(step.model.buffers(), "buffers")
        self._file(step.batch, "inputs")
        if step.optimizer is not None:
            self._file(_tensors(dict(step.optimizer.state)), "optimizer")
            if (noise := getattr(step.optimizer, "noise", None)) is not None:
                self._file(noise.tensors(), "noise")
        self._follow_sizes()
        self._record_peak()

    def _record_peak(self) -> None:
        self._look_up_roles()
        self.peak = dict(self.live)

    def _follow_sizes(self) -> None:
        for storage, entry in self._entries.items():
            if entry.size != (size := storage.nbytes()):
                _resize(self.live, entry, size)

    def _look_up_roles(self) -> None:
        self._file(self._parameters, "parameters")
        self._file([p.grad for p in self._parameters if p.grad is not None], "gradients")

    def _file(self, tensors: Iterable[Tensor], category: str) -> None:
        """Count `tensors` under `category`, also those that counted under another."""
        for tensor in tensors:
            entry = self._count(tensor, category)
            if entry.category != category:
                self.live[entry.category] -= entry.size
                self.live[category] += entry.size
                entry.category = category

    def _count(self, tensor: Tensor, category: str) -> "_Entry":
        """Count the tensor's storage from now until it dies, if it does not count yet; follow its size."""
        storage = tensor.untyped_storage()
        entry = self._entries.get(storage)
        if entry is None:
            entry = self._entries[storage] = _Entry(category)
            # Whom a finalizer knows lives as long as the storage: not the ledger, which holds the parameters.
            weakref.finalize(storage, _resize, self.live, entry, 0).atexit = False
        _resize(self.live, entry, storage.nbytes())
        return entry

    def _see(self, values: Any) -> None:
        for tensor in _tensors(values):
            self._count(tensor, ACTIVATIONS)
        if sum(self.live.values()) > sum(self.peak.values()):
            self._record_peak()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._follow_sizes()
        self._see((args, kwargs))
        outputs = func(*args, **(kwargs or {}))
        self._see(outputs)
        return outputs


@dataclass(eq=False)
class _Entry:
    category: str
    size: int = 0


def _resize(live: dict[str, int], entry: _Entry, size: int) -> None:
    live[entry.category] += size - entry.size
    entry.size = size


def _tensors(values: Any) -> Iterable[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
