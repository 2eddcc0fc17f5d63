"""What a network's chain of segments is tried for once: that it computes the same, and where a value may be kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from zo_core.engine.draws import SameDraws
from zo_core.prefix.chain import Chain, UncuttableError


class Trial:
    """One pass as the network itself computes it, and one segment by segment, from the same state.

    The first one is what counts: buffers and random generators are left as it left them.

    Args:
        forward: the network's own, of one tensor.

    Attributes:
        output: of the network's own forward.
        cuts: the segments before which a value may be kept: those before it neither draw random numbers nor change
            buffers, and those behind do not overwrite it.
        reason: why there are none, in one line; None if there are some.
    """

    def __init__(self, chain: Chain, model: nn.Module, forward: Callable[[Tensor], Any], inputs: Tensor) -> None:
        self.reason: str | None = None
        start = _State(model, inputs.device)
        self.output = forward(inputs)
        end = _State(model, inputs.device)
        start.restore()
        try:
            self.cuts = self._cuts(chain, start, end, inputs)
        except Exception as error:  # it runs what torch.fx made of others' code
            self.cuts = []
            self.reason = f"it cannot be run in segments: {str(error).strip().partition(chr(10))[0]}"
        finally:
            end.restore()

    def _cuts(self, chain: Chain, start: "_State", end: "_State", inputs: Tensor) -> list[int]:
        output, cuts = _run(chain, start.draws, inputs)
        if not _same(output, self.output) or end.changed():
            raise UncuttableError("they compute something else than it does")
        unchanging = len(chain.untouched(start.changed()))
        cuts = [cut for cut in cuts if cut <= unchanging]
        if not cuts:
            raise UncuttableError("all values in it are random, change buffers or are overwritten")
        return cuts


class _State:
    """The buffers of a network, and the generators it draws from, as they are when this is made."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        self.draws = SameDraws([] if device.type == "cpu" else [device])

    def changed(self) -> list[Tensor]:
        """The buffers that hold something else now."""
        return [buffer for buffer, then in self._buffers if not _same(buffer, then)]

    def restore(self) -> None:
        for buffer, then in self._buffers:
            if not _same(buffer, then):
                buffer.copy_(then)
        self.draws.again()


def _run(chain: Chain, draws: SameDraws, value: Any) -> tuple[Any, list[int]]:
    """The output, and the cuts before the first random number, at tensors that nothing behind them overwrites.

    One value alone is alive at a cut, so that only what still has its memory can overwrite it.
    """
    intact: list[int] = []
    alike: list[int] = []  # the last cuts, whose values have the memory of the present one
    drawn = False
    for behind, segment in enumerate(chain.segments, start=1):
        before, version = value, _version(value)
        value = segment.forward(before)
        if _version(before) != version:
            alike = []
        if not _share_memory(before, value):
            intact, alike = intact + alike, []
        drawn = drawn or draws.drawn()
        if isinstance(value, Tensor) and not drawn and behind < len(chain.segments):
            alike.append(behind)
    return value, intact + alike


def _version(value: Any) -> int | None:
    return value._version if isinstance(value, Tensor) else None


def _share_memory(one: Any, other: Any) -> bool:
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _same(one: Any, other: Any) -> bool:
    """Whether two nests of tensors and other values are alike, to the bit; a NaN is like a NaN."""
    (values, form), (other_values, other_form) = tree_flatten(one), tree_flatten(other)
    return form == other_form and all(map(_equal, values, other_values))


def _equal(one: Any, other: Any) -> bool:
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return bool(one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())
