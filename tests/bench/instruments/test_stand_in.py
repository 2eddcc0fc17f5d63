"""A stand-in sets the model to the mode that the case's step runs in."""

import pytest

from bench.instruments.stand_in import StandIn
from bench.profiles import Training
from bench.record import Case
from bench.workloads.models import ImageSpec


@pytest.mark.parametrize(
    ("method", "train_mode", "training"),
    [("retrain", False, True), ("fo-ga", False, False), ("zo-ga", False, False), ("zo-ga", True, True)],
)
def test_only_retrain_trains_unless_the_plan_says_so(method: str, train_mode: bool, training: bool) -> None:
    """Retrain needs batch statistics and dropout, and takes batches of its own; every other arm keeps them frozen."""
    case = Case(
        method=method,
        model="resnet20",
        dataset="none",
        image_size=8,
        batch_size=2,
        device="cpu",
        threads=1,
        seed=0,
        scenario="class:3",
    )
    how = Training(epochs=1, batch_size=4, lr=0.1, weight_decay=1e-3)
    step = StandIn.of(case, ImageSpec(1, 8, 10), how, train_mode).prepare()
    assert {module.training for module in step.model.modules()} == {training}
    assert len(step.batch[0]) == (4 if method == "retrain" else 2)
