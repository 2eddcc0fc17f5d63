"""Steps that are taken while the loss is backpropagated: those of plain SGD, with hardly a gradient in memory."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from bench.arms.arm import Hyperparameters, Step
from bench.arms.optimizers import FusedSGD
from bench.arms.table import prepare_step
from bench.instruments.ledgers.tensor_ledger import TensorPeak, tensor_peak
from bench.record import Tail
from bench.workloads.models import ImageSpec, build_model
from zo_core import cross_entropy, take_step
from zo_core.ascent.tail import tail_of

WIDTHS = (64, 256, 256, 256, 10)


class Tied(nn.Module):
    """One layer twice, in front of another and behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(torch.tanh(self.inner(x.flatten(1)))))


def chain() -> nn.Module:
    layers = [module for ends in pairwise(WIDTHS) for module in (nn.Linear(*ends), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 1, 8, 8, generator=generator), torch.arange(4)


@pytest.mark.parametrize("maximize", [True, False])
@pytest.mark.parametrize("build", [chain, Tied])
def test_the_steps_of_plain_sgd_to_the_bit(build: type[nn.Module], maximize: bool) -> None:
    plain = build()
    fused = copy.deepcopy(plain)
    optimizers = (
        torch.optim.SGD(plain.parameters(), lr=0.05, maximize=maximize),
        FusedSGD(fused.parameters(), lr=0.05, maximize=maximize),
    )
    for seed in range(5):
        losses = [
            take_step(optimizer, lambda model=model, seed=seed: cross_entropy(model, *batch(seed)))
            for optimizer, model in zip(optimizers, (plain, fused), strict=True)
        ]
        assert losses[0] == losses[1]
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        assert torch.equal(one, other)
        assert other.grad is None


def test_after_the_step_a_backward_pass_is_a_backward_pass() -> None:
    """And after one that failed."""
    model = chain()
    optimizer = FusedSGD(model.parameters(), lr=0.05, maximize=True)
    take_step(optimizer, lambda: cross_entropy(model, *batch()))
    with pytest.raises(KeyError):
        optimizer.step(lambda: {}["no loss"])
    before = [parameter.detach().clone() for parameter in model.parameters()]
    cross_entropy(model, *batch()).backward()
    for now, then in zip(model.parameters(), before, strict=True):
        assert torch.equal(now, then)
        assert now.grad is not None


def test_frozen_parameters_stay() -> None:
    model = chain()
    model[1].requires_grad_(False)
    before = model[1].weight.clone()
    take_step(FusedSGD(model.parameters(), lr=0.05, maximize=True), lambda: cross_entropy(model, *batch()))
    assert torch.equal(model[1].weight, before)


def peak_of(optimizer: type[torch.optim.Optimizer]) -> TensorPeak:
    def prepare() -> Step:
        model = chain()
        stepping = optimizer(model.parameters(), lr=0.0, maximize=True)  # type: ignore[call-arg]
        return Step(lambda: take_step(stepping, lambda: cross_entropy(model, *batch())), model, batch(), stepping)

    return tensor_peak(prepare)


def test_at_most_one_parameters_gradient_is_alive() -> None:
    """Beside it there are activations, of four samples: a hundredth of a weight's 256 KiB, times twenty."""
    sizes = [parameter.nbytes for parameter in chain().parameters()]
    plain, fused = peak_of(torch.optim.SGD), peak_of(FusedSGD)
    assert plain.total > 2 * sum(sizes)
    assert fused.total < sum(sizes) + 1.25 * max(sizes)
    assert fused.by_category["gradients"] <= max(sizes)


# The arm


@pytest.mark.parametrize("tail", ["all", "stage", "block", "layer"])
def test_the_arm_steps_as_plain_ascent_on_its_tail(tail: Tail) -> None:
    """Given the whole network, on the last stage."""
    fused, plain = (build_model("resnet20", ImageSpec(1, 8, 10), seed=0).eval() for _ in range(2))
    given = Hyperparameters(lr=0.01, eps=1e-3, seed=0, tail=tail)
    prepare_step("fo-ga-tail", fused, batch(), given).run()
    prepare_step("fo-ga", plain, batch(), replace(given, tail="stage" if tail == "all" else tail)).run()
    for one, other in zip(fused.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_arm_builds_no_graph_before_its_tail() -> None:
    """In ResNet-20 the last stage is the third: what comes out of the second needs no gradient, what follows does."""
    model, seen = build_model("resnet20", ImageSpec(1, 8, 10), seed=0).eval(), []
    for place in (8, 9):
        model[place].register_forward_hook(lambda _, inputs, output: seen.append(output.requires_grad))
    prepare_step("fo-ga-tail", model, batch(), Hyperparameters(lr=0.01, eps=1e-3, seed=0)).run()
    assert seen == [False, True]


def test_the_arm_peaks_below_plain_ascent_on_its_tail() -> None:
    """By what the gradients of the tail are, but for one: the most that there is to save is saved at one sample."""

    def peak(arm: str) -> TensorPeak:
        def prepare() -> Step:
            model = build_model("resnet20", ImageSpec(1, 8, 10), seed=0).eval()
            images, labels = batch()
            given = Hyperparameters(lr=0.0, eps=1e-3, seed=0, tail="stage")
            return prepare_step(arm, model, (images[:1], labels[:1]), given)

        return tensor_peak(prepare)

    sizes = [p.nbytes for p in tail_of(build_model("resnet20", ImageSpec(1, 8, 10), seed=0), "stage")]
    plain, fused = peak("fo-ga"), peak("fo-ga-tail")
    assert plain.by_category["gradients"] > 0.9 * sum(sizes)
    assert plain.total - fused.total > 0.9 * (sum(sizes) - 2 * max(sizes))
