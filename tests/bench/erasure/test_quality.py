"""Metrics against cases computed by hand."""

import math

import pytest
import torch
from torch import nn

from bench.erasure.membership import Confidences
from bench.erasure.quality import Evaluation, Evaluator, curve, quality, tug_of_war
from bench.workloads.datasets import ImageData
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
    found = quality(evaluation(5, 98, 91), evaluation(5, 98, 91), of_a_class=True, relearn_steps=7)
    assert (found.ua, found.ra, found.ta, found.mia) == (95, 98, 91, 0)
    assert (found.ta_forgotten, found.mia_auc, found.tow, found.relearn_steps) == (40, 0.5, 1, 7)


def test_only_a_class_has_test_data_apart() -> None:
    found = quality(evaluation(5, 98, 91), evaluation(15, 98, 91), of_a_class=False)
    assert (found.ta_forgotten, found.relearn_steps) == (None, None)
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
    return ImageData(
        torch.zeros(10, 1, 2, 2), torch.arange(10) % 3, torch.zeros(6, 1, 2, 2), torch.arange(6) % 3, ("a", "b", "c")
    )


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
