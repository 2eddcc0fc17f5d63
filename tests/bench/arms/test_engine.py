"""Arms on an engine against torch: what they run, that a model shows what the engine did, and receipts of it."""

import copy
from collections.abc import Iterator
from itertools import repeat

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.arms.arm import Batch, Hyperparameters, Request
from bench.arms.engine import Shape, begin_on_engine, forward_on_engine, packaged
from bench.arms.table import check_method, methods
from bench.workloads.models import ImageSpec, build_model
from zo_core import replay, take_step
from zo_core.ascent.plan import HEAD, MOVABLE, PLAIN, RECIPES
from zo_core.edge.device.methods import METHODS

SHAPE = Shape(3, 8, 10)
GIVEN = Hyperparameters(lr=1e-3, eps=1e-3, seed=5)


def network() -> nn.Module:
    return build_model("cnn", ImageSpec(3, 8, 10), seed=0).eval()


def batch() -> Batch:
    draws = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 8, 8, generator=draws), torch.tensor([0, 1, 2, 3])


def request(model: nn.Module, given: Hyperparameters = GIVEN) -> Request:
    batches: Iterator[Batch] = repeat(batch())
    return Request(model, batches, repeat(batch()), lambda: [batch()], 10, given)


def loss_of(model: nn.Module) -> float:
    inputs, targets = batch()
    with torch.no_grad():
        return float(F.cross_entropy(model(inputs), targets))


def test_the_arms_that_run_on_an_engine_are_those_that_a_device_has() -> None:
    there = {name for name in methods if "onnxruntime" in methods.get(name).engines}
    assert there == {*METHODS, PLAIN, MOVABLE}


def test_an_arm_that_needs_autograd_is_refused_there() -> None:
    with pytest.raises(
        ValueError, match="unknown method 'fo-ga' for step cases on onnxruntime; choose from: forward, "
    ):
        check_method("fo-ga", "step", "onnxruntime")
    with pytest.raises(ValueError, match="unknown method 'forward-movable' for step cases; choose from"):
        check_method(MOVABLE, "step")


@pytest.mark.parametrize("name", [*RECIPES, HEAD])
def test_the_model_shows_what_the_engine_did(name: str) -> None:
    """The loss that a step sees is torch's own at the weights that the model then has, two-sided about them."""
    model = network()
    steps = begin_on_engine(name, request(model), SHAPE, threads=1)
    start = copy.deepcopy(model.state_dict())
    for _ in range(5):
        inputs, targets = next(steps.batches)
        before = loss_of(model)
        seen = take_step(steps.optimizer, lambda i=inputs, t=targets: steps.objective(model, i, t))
        assert seen == pytest.approx(before, abs=1e-3)  # to second order in eps, and other kernels' rounding
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, start[key])}
    whole = [key for key, _ in model.named_parameters()]
    assert moved
    if "blocks" in RECIPES.get(name, {}):
        assert moved < set(whole)  # five steps have not come to all blocks
    else:
        assert moved == set(whole[-2:] if name == HEAD else whole)


def test_the_last_layer_on_the_engine_is_torchs_step() -> None:
    """Its gradient is a closed form; plain SGD on the last layer must come to the same weights, to rounding."""
    ours, theirs = network(), network()
    steps = begin_on_engine(HEAD, request(ours), SHAPE, threads=1)
    last = [module for module in theirs.modules() if isinstance(module, nn.Linear)][-1]
    optimizer = torch.optim.SGD(last.parameters(), lr=GIVEN.lr, maximize=True)
    inputs, targets = batch()
    for _ in range(10):
        take_step(steps.optimizer, lambda: steps.objective(ours, inputs, targets))
        optimizer.zero_grad()
        F.cross_entropy(theirs(inputs), targets).backward()
        optimizer.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tail", ["all", "layer"])
def test_a_receipt_leads_from_the_original_to_the_model_to_the_bit(tail: str) -> None:
    model, original = network(), network()
    given = Hyperparameters(lr=1e-3, eps=1e-3, seed=5, tail=tail)
    steps = begin_on_engine("zo-ga-fast", request(model, given), SHAPE, threads=1)
    for _ in range(9):
        inputs, targets = next(steps.batches)
        take_step(steps.optimizer, lambda i=inputs, t=targets: steps.objective(model, i, t))
    receipt = steps.receipt()
    assert receipt is not None
    assert receipt.steps == 9
    replay(original, receipt)
    for one, other in zip(model.parameters(), original.parameters(), strict=True):
        assert torch.equal(one, other)


def test_first_order_steps_have_no_receipt() -> None:
    assert begin_on_engine(HEAD, request(network()), SHAPE, threads=1).receipt() is None


def test_a_network_is_exported_once_for_each_state_of_it() -> None:
    model = network()
    first = packaged(model, SHAPE, threads=1)
    assert packaged(network(), SHAPE, threads=1).package is first.package
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    assert packaged(model, SHAPE, threads=1).package is not first.package


@pytest.mark.parametrize("name", [PLAIN, MOVABLE])
def test_both_forward_passes_give_torchs_logits(name: str) -> None:
    model = network()
    found = forward_on_engine(name, packaged(model, SHAPE, threads=1), batch())()
    with torch.no_grad():
        expected = model(batch()[0]).numpy()
    assert np.allclose(found[0], expected, atol=1e-5)
