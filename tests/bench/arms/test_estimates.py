"""First-order optimizers on the zeroth-order estimate: textbook steps on the same estimates, and what they cost."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.arms.arm import Hyperparameters
from bench.arms.optimizers import OnEstimate, SignSGD
from bench.arms.table import prepare_step
from bench.forecast.peak import forecast
from bench.instruments.ledgers.tensor_ledger import TensorPeak, tensor_peak
from bench.instruments.stand_in import StandIn
from bench.record import Case
from bench.workloads.models import ImageSpec
from zo_core import ZOSGD

LR, STEPS = 0.01, 5
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda theta: theta @ torch.linspace(-1, 2, len(theta), dtype=theta.dtype),
    "quadratic": lambda theta: (theta - 1).square() @ torch.linspace(1, 3, len(theta), dtype=theta.dtype),
}
Inner = Callable[..., torch.optim.Optimizer]


def start() -> nn.Parameter:
    return nn.Parameter(torch.linspace(0, 1, 20, dtype=torch.float64))


def estimator_of(theta: nn.Parameter, seed: int = 3) -> ZOSGD:
    return ZOSGD([theta], LR, eps=1e-3, queries=2, seed=seed)


def estimate(estimator: ZOSGD, theta: nn.Parameter, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """g z of the step that is due."""
    theta.grad = None
    estimator.estimate(lambda: loss(theta))
    assert theta.grad is not None
    return theta.grad.detach().clone()


def path(inner: Inner, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Where the optimizer on the estimate is after each of its steps: (STEPS, 20)."""
    theta = start()
    optimizer = OnEstimate(estimator_of(theta), inner([theta], lr=LR, maximize=True))
    places = []
    for _ in range(STEPS):
        optimizer.step(lambda: loss(theta))
        places.append(theta.detach().clone())
    return torch.stack(places)


@pytest.mark.parametrize("shape", LOSSES)
def test_momentum_is_the_textbook_recurrence(shape: str) -> None:
    """b <- 0.9 b + g z, theta <- theta + lr b."""
    theta, loss, expected = start(), LOSSES[shape], []
    estimator, momentum = estimator_of(theta), torch.zeros(20, dtype=torch.float64)
    for _ in range(STEPS):
        momentum = 0.9 * momentum + estimate(estimator, theta, loss)
        theta.data += LR * momentum
        expected.append(theta.detach().clone())
    assert torch.allclose(path(momentum_sgd, loss), torch.stack(expected), rtol=0, atol=1e-12)


def momentum_sgd(parameters: list[nn.Parameter], **named: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, momentum=0.9, **named)


@pytest.mark.parametrize("shape", LOSSES)
def test_adam_is_torchs_on_the_same_estimates(shape: str) -> None:
    theta, loss, expected = start(), LOSSES[shape], []
    estimator, adam = estimator_of(theta), torch.optim.Adam([theta], lr=LR, maximize=True)
    for _ in range(STEPS):
        theta.grad = estimate(estimator, theta, loss)
        adam.step()
        expected.append(theta.detach().clone())
    assert torch.allclose(path(torch.optim.Adam, loss), torch.stack(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", LOSSES)
def test_every_parameter_moves_by_the_learning_rate_along_the_sign(shape: str) -> None:
    theta = start()
    signs = estimate(estimator_of(theta), theta, LOSSES[shape]).sign()
    assert signs.abs().min() == 1
    assert torch.allclose(path(SignSGD, LOSSES[shape])[0], start() + LR * signs, rtol=0, atol=1e-15)


def test_the_loss_is_the_mean_of_both_sides() -> None:
    """On a linear loss that is the loss where the parameters are."""
    theta = start()
    there = LOSSES["linear"](theta).item()
    optimizer = OnEstimate(estimator_of(theta), torch.optim.SGD([theta], lr=LR))
    assert optimizer.step(lambda: LOSSES["linear"](theta)) == pytest.approx(there)


# What they cost


def wide() -> nn.Module:
    """300 KiB of parameters, and next to nothing else."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)).eval()


def peak_of(arm: str) -> TensorPeak:
    batch = torch.randn(2, 1, 16, 16), torch.arange(2)
    return tensor_peak(lambda: prepare_step(arm, wide(), batch, Hyperparameters(1e-3, 1e-3, 0)))


@pytest.mark.parametrize(("arm", "states"), [("zo-sign", 0), ("zo-momentum", 1), ("zo-adam", 2)])
def test_gradients_and_states_are_in_the_ledger(arm: str, states: int) -> None:
    """Adam also counts its steps: a float32 a parameter, of which there are four."""
    size, peak = sum(parameter.nbytes for parameter in wide().parameters()), peak_of(arm)
    assert peak.by_category["parameters"] == peak.by_category["gradients"] == size
    assert peak.by_category["optimizer"] == states * size + (4 * 4 if arm == "zo-adam" else 0)
    plain = ZOSGD(wide().parameters(), lr=0.0)
    plain.step(lambda: 0.0)
    assert peak.by_category["noise"] == sum(tensor.nbytes for tensor in plain.noise.tensors()) > 0


@pytest.mark.parametrize("arm", ["zo-sign", "zo-momentum", "zo-adam"])
def test_the_forecast_knows_them_too(arm: str) -> None:
    """Of a network that is made of shapes alone; the ledger of the real one is the same to the byte."""
    case = Case(method=arm, model="cnn", dataset="", image_size=16, batch_size=2, device="cpu", threads=1, seed=0)
    stand_in = StandIn.of(case, ImageSpec(1, 16, 10), training=None)
    assert forecast(stand_in) == tensor_peak(stand_in.prepare)
