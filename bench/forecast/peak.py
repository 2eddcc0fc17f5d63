"""The tensor ledger's peak of a step, for any model, batch and image size, without allocating it.

The stand-in's step runs under torch's `FakeTensorMode`: every operation says the shape of its result and computes
nothing. Where the device is not here, the CPU's operations stand in for its own, which may keep other small tensors.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from bench.arms.arm import Step
from bench.arms.table import methods
from bench.instruments.ledgers.tensor_ledger import TensorPeak, tensor_peak
from bench.instruments.machine import available_devices
from bench.instruments.stand_in import StandIn

MOST_SAMPLES = 2**20
SEEN_SLICES = 3


class ForecastError(RuntimeError):
    """A step that cannot be taken without computing anything; the message is one line."""


def forecast(stand_in: StandIn) -> TensorPeak:
    """What `tensor_peak` would read.

    A method that takes the batch in slices does the same for every slice, so beyond the third only the batch itself
    grows: larger batches follow from the second and the third.

    Raises:
        ForecastError: the step depends on the values of its tensors, or is too large for torch to describe.
    """
    case, slice_size = stand_in.case, methods.get(stand_in.case.method).microbatch
    if slice_size is None or case.batch_size % slice_size or case.batch_size <= SEEN_SLICES * slice_size:
        return _run(stand_in)
    before, last = (_run(with_batch(stand_in, slices * slice_size)) for slices in (SEEN_SLICES - 1, SEEN_SLICES))
    more = case.batch_size // slice_size - SEEN_SLICES
    categories = {name: size + more * (size - before.by_category[name]) for name, size in last.by_category.items()}
    return TensorPeak(sum(categories.values()), categories)


def largest_batch(stand_in: StandIn, budget: int) -> int:
    """The largest batch whose step peaks at no more than `budget` bytes; 0 if none does, `MOST_SAMPLES` at most.

    Every tensor's size is affine in the batch size, so their peak is convex and nearly a line: a chord says where to
    look next.
    """

    def peak(batch_size: int) -> int:
        return forecast(with_batch(stand_in, batch_size)).total

    fitting, too_large = 1, MOST_SAMPLES
    if peak(fitting) > budget:
        return 0
    if peak(too_large) <= budget:
        return MOST_SAMPLES
    while too_large - fitting > 1:
        rise = (peak(too_large) - peak(fitting)) / (too_large - fitting)
        guess = fitting + int((budget - peak(fitting)) / rise)
        guess = min(max(guess, fitting + 1), too_large - 1)
        fitting, too_large = (guess, too_large) if peak(guess) <= budget else (fitting, guess)
    return fitting


def with_batch(stand_in: StandIn, batch_size: int) -> StandIn:
    """The same with another batch size."""
    return stand_in.model_copy(update={"case": stand_in.case.model_copy(update={"batch_size": batch_size})})


@cache
def _run(stand_in: StandIn) -> TensorPeak:
    label = stand_in.case.label
    if stand_in.case.device not in available_devices():
        stand_in = stand_in.model_copy(update={"case": stand_in.case.model_copy(update={"device": "cpu"})})
    with FakeTensorMode() as fakes, _Placeholders() as placeholders:  # type: ignore[no-untyped-call]

        def prepare() -> Step:
            model = _fake_model(stand_in, fakes)
            placeholders.for_numbers = True
            return stand_in.step(model)

        try:
            return tensor_peak(prepare)
        except Exception as error:  # whatever a model may do with tensors that have no values
            reason = str(error).strip().split("\n")[0]
            raise ForecastError(f"no forecast of {label}: {type(error).__name__}: {reason}") from error


def _fake_model(stand_in: StandIn, fakes: FakeTensorMode) -> nn.Module:
    try:
        with torch.device(stand_in.case.device):
            return stand_in.build()
    except DataDependentOutputException:  # its constructor computes with tensors, as RegNet's does: build it for real
        with _disable_current_modes():
            model = stand_in.model()
    for module in model.modules():
        tables: list[dict[str, Any]] = [module._parameters, module._buffers]
        for table in tables:
            table.update({name: fakes.from_tensor(tensor) for name, tensor in table.items() if tensor is not None})
    return model


class _Placeholders(TorchDispatchMode):
    """Answers who reads a number from a tensor that has none: conditions are False, as when a random draw is good.

    Numbers are refused while a model is built, whose shape may depend on them. Once `for_numbers` is set there are
    only losses and the places of noise to be read, which no memory depends on.
    """

    for_numbers = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            tensor: Tensor = args[0]
            if tensor.dtype == torch.bool:
                return False
            if self.for_numbers:
                return 1.0 if tensor.is_floating_point() else 0
        return func(*args, **(kwargs or {}))
