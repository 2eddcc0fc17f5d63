"""The objectives against their formulas; micro-batching against the whole batch: loss, gradient, zeroth-order step."""

import copy

import pytest
import torch
from torch import nn

from zo_core import ZOSGD, cross_entropy, l1_sparse, microbatched, neggrad_plus, take_step

SLICES = pytest.mark.parametrize("size", [1, 3, 7, 10, 64])


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double().eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(10, 5, generator=generator, dtype=torch.float64), torch.arange(10) % 3


def other_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(4, 5, generator=generator, dtype=torch.float64), torch.tensor([2, 1, 1, 0])


def gradients(model: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_neggrad_plus_is_the_weighted_contrast_of_two_losses(weight: float) -> None:
    """(1 - w) L(forget) - w L(retain), in value and gradient; the batches may differ in size."""
    model = network()
    forget, retain = (cross_entropy(model, *pair) for pair in (batch(), other_batch()))
    found = neggrad_plus(weight)(model, *batch(), *other_batch())
    assert found.item() == pytest.approx((1 - weight) * forget.item() - weight * retain.item(), rel=1e-12)
    parts = zip(gradients(model, forget), gradients(model, retain), strict=True)
    for one, (up, down) in zip(gradients(model, found), parts, strict=True):
        assert torch.allclose(one, (1 - weight) * up - weight * down, rtol=1e-10, atol=1e-14)


def test_neggrad_plus_builds_a_graph_only_where_gradients_are_enabled() -> None:
    with torch.no_grad():
        assert not neggrad_plus(0.5)(network(), *batch(), *other_batch()).requires_grad


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_retain_weight_that_is_no_share_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"the retain weight must be in \[0, 1\], not"):
        neggrad_plus(weight)


def test_l1_sparse_adds_the_norm_and_its_gradient_the_signs() -> None:
    model, strength = network(), 0.01
    model[0].weight.data[0] = 0  # where the norm has a corner, torch takes 0
    loss = cross_entropy(model, *batch())
    found = l1_sparse(strength)(model, *batch())
    norm = sum(parameter.abs().sum().item() for parameter in model.parameters())
    assert found.item() == pytest.approx(loss.item() + strength * norm, rel=1e-12)
    plain, penalized = gradients(model, loss), gradients(model, found)
    for one, other, parameter in zip(penalized, plain, model.parameters(), strict=True):
        assert torch.allclose(one - other, strength * parameter.sign(), rtol=1e-9, atol=1e-14)


def test_enough_l1_leads_to_zero() -> None:
    """On data that say nothing (inputs and logits 0), the norm falls by lr * strength a step and weight."""
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data = torch.tensor([[0.5, -0.3], [0.04, 0.0], [-0.7, 0.2]], dtype=torch.float64)
    start = model.weight.detach().abs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    nothing = torch.zeros(6, 2, dtype=torch.float64), torch.arange(6) % 3
    for _ in range(20):
        take_step(optimizer, lambda: l1_sparse(0.05)(model, *nothing))
    left = model.weight.detach().abs()
    far = start > 0.1
    assert far.any()
    assert torch.allclose(left[far], start[far] - 0.1)
    assert (left[~far] <= 0.005 + 1e-12).all()  # it swings about zero by a step


@SLICES
def test_the_loss_is_the_whole_batchs(size: int) -> None:
    model = network()
    with torch.no_grad():
        sliced, whole = (objective(model, *batch()) for objective in (microbatched(cross_entropy, size), cross_entropy))
    assert sliced.item() == pytest.approx(whole.item(), rel=1e-12)


@SLICES
def test_a_first_order_step_has_the_whole_batchs_gradient(size: int) -> None:
    sliced, whole, losses = network(), network(), []
    for model, objective in ((sliced, microbatched(cross_entropy, size)), (whole, cross_entropy)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, maximize=True)
        steps = range(2)  # the second one must not meet the first one's gradients
        losses += [take_step(optimizer, lambda f=objective, model=model: f(model, *batch())) for _ in steps]
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-10)
    for one, other in zip(sliced.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)
        assert torch.allclose(one.grad, other.grad, rtol=1e-10, atol=1e-12)


@SLICES
def test_a_zeroth_order_step_is_the_whole_batchs(size: int) -> None:
    start = network()
    moved = []
    for objective in (microbatched(cross_entropy, size), cross_entropy):
        model = copy.deepcopy(start)
        optimizer = ZOSGD(model.parameters(), lr=0.1, maximize=True)
        take_step(optimizer, lambda objective=objective, model=model: objective(model, *batch()))
        assert all(parameter.grad is None for parameter in model.parameters())
        moved.append(list(model.parameters()))
    for one, other, then in zip(*moved, start.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)
        assert not torch.equal(one, then)


def test_a_slice_sees_no_more_than_its_size() -> None:
    seen: list[int] = []

    def objective(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(len(inputs))
        return cross_entropy(model, inputs, targets)

    microbatched(objective, 4)(network(), *batch())
    assert seen == [4, 4, 2]


def test_a_slice_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 sample, not 0"):
        microbatched(cross_entropy, 0)


def test_a_graph_that_zeroth_order_should_not_build_is_told() -> None:
    model = network()
    optimizer = ZOSGD(model.parameters(), lr=0.1)

    def with_gradients() -> torch.Tensor:
        with torch.enable_grad():
            return cross_entropy(model, *batch())

    with pytest.raises(ValueError, match="requires grad"):
        take_step(optimizer, with_gradients)
