"""Metrics against cases computed by hand."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.arms.arm import Step
from bench.arms.table import prepare_step
from bench.erasure.quality.evaluation import (
    Evaluation,
    Evaluator,
    curve,
    evaluation_batch,
    per_sample,
    quality,
    tug_of_war,
)
from bench.erasure.quality.membership import Confidences
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.stand_in import IDLE
from bench.profiles import Preprocessing
from bench.workloads.images.prepare import Means, prepare
from bench.workloads.images.samples import ImageData, PerClass, RawData
from bench.workloads.models import build_model
from bench.workloads.splits import Split


def evaluation(
    forget: float,
    retain: float,
    test: float,
    loss: float = 0.1,
    unseen: float = 40.0,
    kind: tuple[float, ...] = (0.85,),
) -> Evaluation:
    """`kind`: the confidences on unseen samples of the forget set's kind."""
    sure = torch.tensor([0.9, 0.8])
    confidences = Confidences(sure, sure, 1 - sure, torch.tensor(kind))
    return Evaluation(loss, loss, loss, forget, retain, test, 0.0, unseen, confidences)


def test_tow_by_hand() -> None:
    """Gaps of 10, 20 and 30 points: 0.9 * 0.8 * 0.7."""
    assert tug_of_war(evaluation(10, 80, 70), evaluation(0, 100, 100)) == pytest.approx(0.504)


def test_retrain_against_itself_is_one() -> None:
    assert tug_of_war(evaluation(12, 98, 91), evaluation(12, 98, 91)) == 1


def test_ua_is_the_error_on_the_forget_set() -> None:
    found = quality(evaluation(5, 98, 91), evaluation(5, 98, 91), of_a_class=True)
    assert (found.ua, found.ra, found.ta, found.mia) == (95, 98, 91, 0)
    assert (found.ta_forgotten, found.mia_auc, found.tow) == (40, 0.5, 1)


def test_only_a_class_has_test_data_apart() -> None:
    found = quality(evaluation(5, 98, 91), evaluation(15, 98, 91), of_a_class=False)
    assert found.ta_forgotten is None
    assert found.mia_auc == 0.5
    assert found.tow == pytest.approx(0.9)


def test_a_class_without_test_data_has_neither_accuracy_nor_area() -> None:
    found = quality(evaluation(5, 98, 91, unseen=math.nan, kind=()), evaluation(5, 98, 91), of_a_class=True)
    assert (found.ta_forgotten, found.mia_auc) == (None, None)
    assert (found.ua, found.tow, found.mia) == (95, 1, 0)


class Constant(nn.Module):
    """Says the same logits to every image."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([2.0, 1.0, 0.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), 3)


@pytest.fixture
def data() -> ImageData:
    """Ten training images labelled 0 to 2 in turn, six test images likewise."""
    train, test = torch.arange(10) % 3, torch.arange(6) % 3
    raw = RawData(torch.zeros(10, 1, 2, 2), train, torch.zeros(6, 1, 2, 2), test, ("a", "b", "c"))
    return prepare("constant", raw, 2, Means(Preprocessing(), PerClass(), Path(), print))


def test_losses_and_accuracies_by_subset(data: ImageData) -> None:
    """A constant model is right on class 0 alone; its loss on class k is log(e^2 + e + 1) - (2 - k)."""
    model = Constant()
    parts = Split(
        torch.tensor([0, 1, 3]),
        torch.tensor([2, 4, 5, 6, 7, 8, 9]),
        torch.tensor([0, 1, 3, 4]),
        torch.tensor([2, 5, 0]),
        2,
    )
    seen = Evaluator(data, parts, model)(model)
    log_sum = math.log(math.exp(2) + math.e + 1)
    assert seen.forget_accuracy == pytest.approx(100 * 2 / 3)
    assert seen.retain_accuracy == pytest.approx(100 * 2 / 7)
    assert seen.test_accuracy == 50
    assert seen.unseen_accuracy == pytest.approx(100 / 3)
    assert seen.forget_loss == pytest.approx(log_sum - 5 / 3, abs=1e-6)
    assert seen.test_loss == pytest.approx(log_sum - 1.5, abs=1e-6)
    assert seen.distance == 0
    chances = torch.tensor([2.0, 1.0, 0.0]).softmax(0)
    assert torch.allclose(seen.confidences.forget, chances[[0, 1, 0]])
    assert torch.allclose(seen.confidences.retain, chances[[2, 1, 2, 0, 1, 2, 0]])
    assert torch.allclose(seen.confidences.test, chances[[0, 1, 0, 1]])
    assert torch.allclose(seen.confidences.unseen, chances[[2, 2, 0]])


def test_a_class_absent_from_the_test_data_has_no_unseen_accuracy(data: ImageData) -> None:
    everything = torch.arange(10)
    parts = Split(everything[:3], everything[3:], torch.arange(6), everything[:0], 2)
    seen = Evaluator(data, parts, Constant())(Constant())
    assert math.isnan(seen.unseen_accuracy)
    assert len(seen.confidences.unseen) == 0
    assert seen.finite


def test_distance_is_the_norm_of_the_displacement(data: ImageData) -> None:
    model = Constant()
    everything = torch.arange(10)
    look = Evaluator(data, Split(everything[:3], everything[3:], torch.arange(6), torch.arange(6), None), model)
    model.logits.data += torch.tensor([3.0, 4.0, 12.0])
    assert look(model).distance == pytest.approx(13)


def test_looking_leaves_the_mode_of_the_model(data: ImageData) -> None:
    model = Constant().train()
    Evaluator(data, Split(torch.arange(3), torch.arange(3, 10), torch.arange(6), torch.arange(6), None), model)(model)
    assert model.training


def test_a_model_of_nan_is_wrong_about_everything(data: ImageData) -> None:
    """The argmax of NaN is class 0: it must not count as right where the label is 0."""
    model, everything = Constant(), torch.arange(10)
    look = Evaluator(data, Split(everything[:3], everything[3:], torch.arange(6), torch.arange(6), None), model)
    model.logits.data.fill_(math.nan)
    seen = look(model)
    assert (seen.forget_accuracy, seen.retain_accuracy, seen.test_accuracy) == (0, 0, 0)
    assert not seen.finite


def test_a_curve_has_none_where_a_value_is_not_finite() -> None:
    found = curve((0, 5), (evaluation(100, 100, 100), evaluation(0, 10, 10, loss=math.inf)))
    assert found.step == [0, 5]
    assert found.forget_loss == [0.1, None]
    assert found.retain_accuracy == [100, 10]


@pytest.mark.parametrize(
    ("step", "side", "expected"),
    [(1, 224, 1), (4, 224, 4), (64, 224, 64), (1, 32, 21), (32, 32, 32), (1, 8, 341), (1, 2, 512), (1024, 2, 1024)],
)
def test_as_many_samples_as_a_step_takes_are_looked_at_at_once(step: int, side: int, expected: int) -> None:
    """Or as 256 KiB of float32 pixels: 2**18 / (4 * 3 * side**2), but no more than 512 for that."""
    assert evaluation_batch(step, torch.Size((3, side, side))) == expected


@pytest.fixture
def photographs() -> ImageData:
    """24 training images of 3 x 96 x 96 in four classes, and 8 test images."""
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(n, 3, 96, 96, generator=generator) for n in (24, 8))
    raw = RawData(train, torch.arange(24) % 4, test, torch.arange(8) % 4, ("a", "b", "c", "d"))
    return prepare("photographs", raw, 96, Means(Preprocessing(), PerClass(), Path(), print))


@torch.no_grad()
def test_what_is_seen_does_not_depend_on_the_batch(photographs: ImageData) -> None:
    model = build_model("resnet20", photographs.spec, 0).eval()
    samples, some = photographs.train, torch.tensor([5, 3, 20, 7, 0])
    images, labels = samples.images[some], samples.labels[some]
    expected = F.cross_entropy(model(images), labels, reduction="none")
    for batch_size in (1, 2, 512):
        losses, hits = per_sample(model, samples, some, batch_size)
        assert torch.allclose(losses, expected, atol=1e-5)
        assert torch.equal(hits, (model(images).argmax(1) == labels).double())


@pytest.mark.parametrize("arm", ["fo-ga", "zo-ga"])
def test_an_evaluation_needs_no_more_memory_than_a_step(photographs: ImageData, arm: str) -> None:
    """By the tensor ledger, beside the data: a step on two samples against all 32 in batches of two."""
    model = build_model("resnet20", photographs.spec, 0).eval()
    batch = photographs.train.images[:2], photographs.train.labels[:2]
    step = tensor_peak(lambda: prepare_step(arm, model, batch, IDLE, classes=4)).total
    order = torch.arange(24)
    parts = Split(order[:6], order[6:], torch.arange(8), torch.arange(8), None)
    look = Evaluator(photographs, parts, model, step=2)
    looking = Step(lambda: look(model).test_loss, model, (), None)
    data = sum(part.images.nbytes for part in (photographs.train, photographs.test))
    assert tensor_peak(lambda: looking).total - data <= step
