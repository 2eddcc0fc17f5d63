"""Micro-batching against the whole batch: the same loss, the same gradient, the same zeroth-order step."""

import copy

import pytest
import torch
from torch import nn

from zo_core import ZOSGD, cross_entropy, microbatched, take_step

SLICES = pytest.mark.parametrize("size", [1, 3, 7, 10, 64])


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double().eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(10, 5, generator=generator, dtype=torch.float64), torch.arange(10) % 3


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
