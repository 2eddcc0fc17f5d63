"""Out of memory is a result, with a forecast where one can be made; any other error is not."""

import pytest
import torch
from torch import nn

from bench.instruments.stand_in import StandIn
from bench.record import Case, Record
from bench.run.out_of_memory import record_or_out_of_memory
from bench.workloads.models import ImageSpec, models


class Selective(nn.Module):
    """Works on what is above zero, so that its shapes depend on values."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten()[x.flatten().nonzero()].sum().expand(len(x), 1))


models.register("selective")(lambda _: Selective())


def stand_in(model: str) -> StandIn:
    case = Case(
        method="forward", model=model, dataset="none", image_size=8, batch_size=2, device="cpu", threads=1, seed=0
    )
    return StandIn.of(case, ImageSpec(1, 8, 10), None)


def outcome(model: str, error: Exception) -> Record:
    def measure() -> Record:
        raise error

    return record_or_out_of_memory("step", stand_in(model), 4, measure)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 5 TiB"), "Unable to allocate 5 TiB"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried to"), "CUDA out of memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_is_told_with_a_forecast(error: Exception, words: str) -> None:
    """Two images of 8 by 8 and their labels are what it takes at least."""
    found = outcome("cnn", error)
    assert (found.outcome, found.notes) == ("out-of-memory", {"outcome": words})
    assert found.memory.tensor_basis == "forecast"
    assert found.memory.tensor_by_category is not None
    assert found.memory.tensor_by_category["inputs"] == 2 * (8 * 8 * 4 + 8)


def test_a_model_that_cannot_be_forecast_ran_out_of_memory_all_the_same() -> None:
    found = outcome("selective", MemoryError())
    assert (found.outcome, found.memory.tensor_peak_bytes) == ("out-of-memory", None)
    assert found.notes["outcome"] == "out of memory"
    assert "no forecast of selective b2 forward: DynamicOutputShape" in found.notes["memory.tensor_peak_bytes"]


def test_another_error_is_raised() -> None:
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        outcome("cnn", RuntimeError("shapes do not fit"))
