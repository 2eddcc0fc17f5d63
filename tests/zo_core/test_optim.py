"""ZOSGD against closed forms: the estimator's mean and variance, mirror symmetry, replay, and what it may not touch."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zo_core import ZOSGD


def quadratic(dimension: int = 6) -> tuple[nn.Parameter, torch.Tensor, torch.Tensor]:
    """theta, A and b of L = theta' A theta / 2 + b' theta, whose gradient is A theta + b."""
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    theta = nn.Parameter(torch.randn(dimension, generator=generator, dtype=torch.float64))
    return theta, root @ root.T / dimension, torch.randn(dimension, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("queries", [1, 8])
def test_the_estimate_has_the_mean_and_variance_of_spsa(queries: int) -> None:
    """On a quadratic the two-sided difference is the exact directional derivative g.z, so each estimate is (g.z) z.

    Its mean is g and, for normal z, the variance of its component i is |g|^2 + g_i^2 (fourth moments of a normal),
    divided by the number of queries. The mean must lie within 5 standard errors, the variance within 20 %, which is
    more than 5 of its standard errors at this sample size for these heavy-tailed products.
    """
    theta, a, b = quadratic()
    gradient = (a @ theta + b).detach()
    start = theta.detach().clone()
    optimizer = ZOSGD([theta], lr=1.0, eps=1e-3, queries=queries, seed=0)
    estimates = []
    for _ in range(6000 // queries):
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
        estimates.append(start - theta.detach())
        theta.data.copy_(start)
    found = torch.stack(estimates)
    variance = (gradient.square().sum() + gradient.square()) / queries
    assert ((found.mean(0) - gradient).abs() < 5 * (variance / len(found)).sqrt()).all()
    assert found.var(0).sum().item() == pytest.approx(variance.sum().item(), rel=0.2)


def test_step_returns_the_mean_loss_it_saw() -> None:
    theta = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    seen: list[float] = []

    def closure() -> torch.Tensor:
        seen.append(theta.square().sum().item())
        return theta.square().sum()

    assert ZOSGD([theta], lr=0.1, queries=3).step(closure) == pytest.approx(sum(seen) / 6)
    assert len(seen) == 6


def test_maximize_mirrors_descent() -> None:
    theta, a, b = quadratic()
    start, moves = theta.detach().clone(), []
    for maximize in (False, True):
        theta.data.copy_(start)
        ZOSGD([theta], lr=0.1, maximize=maximize, seed=4).step(lambda: theta @ a @ theta / 2 + b @ theta)
        moves.append(theta.detach() - start)
    assert torch.allclose(moves[0], -moves[1], rtol=1e-12, atol=0)
    assert moves[0].abs().min() > 0


def test_groups_have_their_own_lr_and_eps() -> None:
    """On a linear loss the estimate does not depend on eps, so twice the lr moves twice as far along the same z."""
    first, second = nn.Parameter(torch.zeros(5, dtype=torch.float64)), nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = ZOSGD([{"params": [first], "lr": 0.2, "eps": 1e-2}, {"params": [second], "lr": 0.0}], lr=0.1, seed=0)
    optimizer.step(lambda: first.sum())
    once = first.detach().clone()
    other = ZOSGD([{"params": [second], "lr": 0.1, "eps": 1e-3}], lr=9.0, seed=0)
    second.data.zero_()
    other.step(lambda: second.sum())
    assert torch.allclose(once, 2 * second, rtol=1e-9)


def test_a_frozen_group_does_not_move() -> None:
    frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    free = nn.Parameter(torch.ones(3))
    seen: list[torch.Tensor] = []
    ZOSGD([frozen, free], lr=0.1).step(lambda: (seen.append(frozen.clone()), (free + frozen).square().sum())[1])
    assert all(torch.equal(value, torch.ones(3)) for value in [*seen, frozen])
    assert not torch.equal(free.detach(), torch.ones(3))


def test_buffers_and_gradients_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)).eval()
    buffers = [buffer.clone() for buffer in model.buffers()]
    ZOSGD(model.parameters(), lr=0.1).step(lambda: F.cross_entropy(model(torch.randn(6, 4)), torch.zeros(6).long()))
    assert all(torch.equal(now, then) for now, then in zip(model.buffers(), buffers, strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("failing_call", range(6))
@pytest.mark.parametrize("failure", [RuntimeError("boom"), KeyboardInterrupt()])
def test_any_exception_restores_the_parameters(failing_call: int, failure: BaseException) -> None:
    theta = nn.Parameter(torch.linspace(-3, 3, 50))
    start, calls = theta.detach().clone(), 0

    def closure() -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == failing_call + 1:
            raise failure
        return theta.square().sum()

    optimizer = ZOSGD([theta], lr=0.1, queries=3)
    with pytest.raises(type(failure)):
        optimizer.step(closure)
    assert torch.allclose(theta, start, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (torch.tensor(float("nan")), FloatingPointError, "nan"),
        (torch.tensor(float("inf")), FloatingPointError, "inf"),
        (torch.ones(3), ValueError, "scalar"),
    ],
)
def test_an_unusable_loss_is_told_and_leaves_the_parameters(
    loss: torch.Tensor, error: type[Exception], words: str
) -> None:
    theta = nn.Parameter(torch.linspace(-3, 3, 50))
    start = theta.detach().clone()
    with pytest.raises(error, match=words):
        ZOSGD([theta], lr=0.1).step(lambda: loss)
    assert torch.allclose(theta, start, rtol=0, atol=1e-6)


def test_a_step_beyond_float32_is_told_and_leaves_the_parameters() -> None:
    theta = nn.Parameter(torch.linspace(-3, 3, 50))
    start = theta.detach().clone()
    with pytest.raises(FloatingPointError, match="beyond what float32 can hold"):
        ZOSGD([theta], lr=1e38, queries=2).step(lambda: 1e4 * theta.square().sum())
    assert torch.allclose(theta, start, rtol=0, atol=2e-6)


def test_a_copy_goes_on_alike() -> None:
    theta = nn.Parameter(torch.zeros(5))
    optimizer = ZOSGD([theta], lr=0.1, queries=2, seed=3)
    twin = copy.deepcopy(optimizer)
    for each in (optimizer, twin):
        parameter = each.param_groups[0]["params"][0]
        each.step(lambda parameter=parameter: (parameter - 1).square().sum())
    assert torch.equal(theta, twin.param_groups[0]["params"][0])


def test_a_refused_group_is_not_added() -> None:
    optimizer = ZOSGD([nn.Parameter(torch.zeros(2))], lr=0.1)
    with pytest.raises(ValueError, match="eps"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))], "eps": -1.0})
    assert len(optimizer.param_groups) == 1


def test_resuming_equals_going_straight_through() -> None:
    def run(theta: nn.Parameter, optimizer: ZOSGD, steps: int) -> None:
        for _ in range(steps):
            optimizer.step(lambda: (theta - 1).square().sum())

    straight = nn.Parameter(torch.zeros(40))
    run(straight, ZOSGD([straight], lr=1e-2, seed=9, queries=2), 20)
    halfway = nn.Parameter(torch.zeros(40))
    first = ZOSGD([halfway], lr=1e-2, seed=9, queries=2)
    run(halfway, first, 10)
    resumed = ZOSGD([halfway], lr=5.0, seed=1)
    resumed.load_state_dict(first.state_dict())
    run(halfway, resumed, 10)
    assert torch.equal(straight, halfway)


def test_drift_at_rest() -> None:
    theta = nn.Parameter(torch.randn(1000, generator=torch.Generator().manual_seed(0)))
    start = theta.detach().clone()
    optimizer = ZOSGD([theta], lr=0.0)
    for _ in range(2000):
        optimizer.step(lambda: theta.square().sum())
    assert ((theta - start).norm() / start.norm()).item() < 1e-5


def test_it_descends_to_the_minimum_of_a_quadratic() -> None:
    theta, a, b = quadratic()
    a += torch.eye(len(b), dtype=torch.float64)  # well conditioned
    best = -b @ torch.linalg.solve(a, b) / 2
    optimizer = ZOSGD([theta], lr=0.02, seed=0)
    for _ in range(2000):
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
    value = (theta @ a @ theta / 2 + b @ theta).item()
    assert value == pytest.approx(best.item(), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": -1.0}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"lr": 0.1, "eps": 0.0}, "eps"),
        ({"lr": 0.1, "queries": 0}, "queries"),
        ({"lr": 0.1, "seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_told(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZOSGD([nn.Parameter(torch.ones(2))], **arguments)  # type: ignore[arg-type]


def test_parameters_it_cannot_update_exactly_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        ZOSGD([nn.Parameter(torch.ones(2, dtype=torch.bfloat16))], lr=0.1)
    with pytest.raises(ValueError, match="contiguous"):
        ZOSGD([nn.Parameter(torch.ones(4, 4)[:, :2])], lr=0.1)
