"""Margins against their definition, and of whom they are."""

import math
from collections.abc import Callable

import pytest
import torch

from bench.erasure.erasure import Erasure
from bench.erasure.quality.margins import FARTHEST, MOST, margin, margins

Of = Callable[[str], Erasure]


def test_a_margin_is_the_log_of_the_odds() -> None:
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(50, 10, dtype=torch.float64), torch.arange(50) % 10
    chances = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    assert torch.allclose(margin(logits, labels), (chances / (1 - chances)).log(), rtol=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_a_margin_is_finite_whatever_the_logits_are(value: float) -> None:
    found = margin(torch.tensor([[0.0, value], [value, 0.0]]), torch.tensor([0, 0]))
    assert found.abs().max() <= FARTHEST
    assert found.isfinite().all()


def test_they_are_of_the_first_samples_of_the_request_in_all_three(erasure_of: Of) -> None:
    erasure = erasure_of("random:0.1")
    model = erasure.fresh_model()
    with torch.no_grad():
        model[-1].weight.mul_(2)
    found, why = margins(erasure, model)
    assert why is None
    assert found is not None
    places = erasure.split.forget[:MOST]
    assert len(places) == MOST
    images, labels = erasure.data.train.images[places], erasure.data.train.labels[places]
    for one, values in zip(
        (model, erasure.original, erasure.retrained_model), (found.model, found.original, found.retrained), strict=True
    ):
        with torch.no_grad():
            expected = margin(one(images), labels)
        assert torch.allclose(torch.tensor(values, dtype=torch.float64), expected, atol=1e-3)


def test_of_a_class_there_are_none(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    assert margins(erasure, erasure.original) == (None, "a class is forgotten, and no samples by name")
