"""Relearning: what is known stays, what is only hidden comes back sooner than what must be learned, each asked about
what was not taught.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.erasure.erasure import Erasure
from bench.erasure.quality.relearning import SHOTS, STEPS, _samples, relearned
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


def test_what_is_hidden_comes_back_sooner_than_what_must_be_learned(erasure_of: Of) -> None:
    """From as many samples: all along the way the hidden is no less known, and in the end much more."""
    erasure = erasure_of("class:3")
    (back, _), (learned, _) = (relearned(erasure, model) for model in (hidden(erasure), untaught(erasure)))
    assert back is not None
    assert learned is not None
    assert [curve.shots for curve in back] == [5, 20, 100]
    for ours, theirs in zip(back, learned, strict=True):
        assert ours.model[0] == theirs.model[0] == 0
        assert all(one >= other for one, other in zip(ours.model, theirs.model, strict=True))
        assert ours.step == STEPS
    assert back[-1].model[-1] > learned[-1].model[-1] + 20


@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_each_stands_beside_both_ends(erasure_of: Of, scenario: str) -> None:
    """The original's curve is what the original gives alone, and Retrain's what Retrain gives."""
    erasure = erasure_of(scenario)
    assert erasure.retrained_model is not None
    found, original, retrained = (
        relearned(erasure, model)[0]
        for model in (hidden(erasure_of("class:3")), erasure.original, erasure.retrained_model)
    )
    assert found
    assert original
    assert retrained
    for curve, one, other in zip(found, original, retrained, strict=True):
        assert curve.original == one.original == one.model
        assert curve.retrained == other.retrained == other.model
    without, _ = relearned(replace(erasure, retrained_model=None, known={}), erasure.original)
    assert without
    assert all(curve.retrained is None for curve in without)


@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_nothing_that_is_asked_about_was_taught(erasure_of: Of, scenario: str) -> None:
    erasure = erasure_of(scenario)
    parts, labels = erasure.split, erasure.data.train.labels
    sets = {shots: _samples(erasure, shots) for shots in SHOTS if scenario == "class:3" or shots <= 70}
    for shots, (taught, asked) in sets.items():
        if scenario == "class:3":  # asked about test data of the class
            assert labels[taught].bincount().tolist() == [shots] * 10
            assert torch.isin(asked, parts.unseen).all()
        else:
            assert len(taught) == shots
            assert torch.isin(taught, parts.forget).all()
            assert torch.isin(asked, parts.forget).all()
            assert not torch.isin(asked, taught).any()
    fewer, more = sets[5][0], sets[20][0]
    assert torch.isin(fewer, more).all()


def test_of_a_request_no_more_than_half_is_taught(erasure_of: Of) -> None:
    """144 samples: 5 and 20 shots, not 100."""
    found, why = relearned(erasure_of("random:0.1"), erasure_of("random:0.1").original)
    assert found is not None
    assert [curve.shots for curve in found] == [5, 20]
    assert why == "there are samples for 72 shots, too few for 100"


def test_the_model_and_both_ends_are_never_changed(erasure_of: Of) -> None:
    erasure, model = erasure_of("class:3"), hidden(erasure_of("class:3"))
    everyone = [model, erasure.original, erasure.retrained_model]
    before = [value.clone() for kept in everyone for value in kept.parameters()]
    relearned(replace(erasure, known={}), model)
    after = [value for kept in everyone for value in kept.parameters()]
    assert all(torch.equal(now, then) for now, then in zip(after, before, strict=True))


def test_a_model_that_an_arm_left_frozen_learns_with_all_its_layers(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    free, frozen = (relearned(erasure, hidden(erasure).requires_grad_(moves))[0] for moves in (True, False))
    assert free == frozen


def test_where_fine_tuning_diverges_that_is_said_and_is_no_forgetting(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    model = erasure.fresh_model()
    model[0].weight.data.fill_(math.nan)
    found, why = relearned(erasure, model)
    assert found is None
    assert why == "; ".join(f"fine-tuning on {shots} shots diverged before step 1" for shots in SHOTS)


def test_a_model_that_an_erasure_left_in_train_mode_is_asked_in_eval_mode(erasure_of: Of) -> None:
    """With dropout that would drop nearly all: the answers are those of the same weights in eval mode."""
    erasure = erasure_of("class:3")
    model = nn.Sequential(nn.Dropout(0.99), *erasure.fresh_model())
    assert relearned(erasure, model.train())[0] == relearned(erasure, model.eval())[0]


def test_without_a_rate_of_training_there_is_none(erasure_of: Of) -> None:
    erasure = erasure_of("class:3")
    none = replace(erasure, plan=erasure.plan.model_copy(update={"training": None}))
    assert relearned(none, none.original) == (
        None,
        "without [unlearning.training] there is no learning rate to relearn with",
    )
