"""Relearn time: what is known takes none, what is only hidden comes back sooner than what must be learned."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.erasure.erasure import Erasure
from bench.erasure.quality.relearning import MOST_STEPS, NEAR, relearn_steps
from bench.workloads.models import build_model

Of = Callable[[str], Erasure]


def hidden(erasure: Erasure) -> nn.Module:
    """The original, its last bias shifted so that it never says the class: not one weight has forgotten anything."""
    model = erasure.fresh_model()
    model[-1].bias.data[3] -= 20
    assert erasure.evaluate(model).forget_accuracy == 0
    return model


def untaught(erasure: Erasure) -> nn.Module:
    """A new network of which the same is true."""
    model = build_model("cnn", erasure.data.spec, seed=9).eval()
    model[-1].bias.data[3] -= 20
    assert erasure.evaluate(model).forget_accuracy == 0
    return model


@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_what_is_known_takes_no_step(erasure_of: Of, scenario: str) -> None:
    erasure = erasure_of(scenario)
    model = erasure.fresh_model()
    assert relearn_steps(erasure, model) == 0
    for now, then in zip(model.parameters(), erasure.original.parameters(), strict=True):
        assert torch.equal(now, then)


def test_what_is_hidden_comes_back_sooner_than_what_must_be_learned(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    back, retrained = (relearn_steps(erasure, model) for model in (hidden(erasure), untaught(erasure)))
    assert back is not None
    assert 0 < back < (MOST_STEPS if retrained is None else retrained)


def test_the_model_is_back_when_it_is_said_to_be(erasure_of: Of) -> None:
    """Within 5 points of the original; and a model that an arm left frozen learns with all its layers."""
    erasure = erasure_of("class:3")
    model = hidden(erasure).requires_grad_(False)
    assert relearn_steps(erasure, model)
    assert erasure.evaluate(model).forget_accuracy >= erasure.started.forget_accuracy - NEAR
    assert all(parameter.requires_grad for parameter in model.parameters())
    for now, then in zip(model.parameters(), erasure.original.parameters(), strict=True):
        assert not torch.equal(now, then)


def test_the_original_and_retrain_are_never_changed(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    before = [value.clone() for kept in (erasure.original, erasure.retrained_model) for value in kept.parameters()]
    relearn_steps(erasure, hidden(erasure))
    after = [value for kept in (erasure.original, erasure.retrained_model) for value in kept.parameters()]
    assert all(torch.equal(now, then) for now, then in zip(after, before, strict=True))


def test_what_does_not_come_back_has_no_number(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    training = erasure.plan.training.model_copy(update={"lr": 1e-9})
    slow = replace(erasure, plan=erasure.plan.model_copy(update={"training": training}))
    assert relearn_steps(slow, hidden(slow)) is None


def test_a_wrecked_model_has_no_number(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    model = erasure.fresh_model()
    model[0].weight.data.fill_(math.nan)
    assert relearn_steps(erasure, model) is None


def test_it_is_the_same_every_time(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    first, again = (relearn_steps(erasure, hidden(erasure)) for _ in range(2))
    assert first == again
