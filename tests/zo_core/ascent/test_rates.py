"""`suggest_lr` against losses whose gradients are known, what it may not touch, and on a real erasure.

The mean of n squared slopes is |grad L|^2 with a relative standard deviation of sqrt(2 / n), as z is normal: with
1,000 directions 0.045, so that 4 standard deviations are 0.18.
"""

import copy
import math
import weakref
from collections.abc import Callable, Iterator
from statistics import fmean

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zo_core import ZOSGD, PooledNoise, suggest_lr, unlearn

MANY, FOUR_DEVIATIONS = 1000, 0.18


def ramp() -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 2, 400, dtype=torch.float64))


def test_far_above_zero_it_is_the_straight_line_along_the_slopes_squared() -> None:
    """1 - exp(-50) is 1 in float64, so that the loss is to rise by steps * lr * mean(g^2)."""
    theta, slope = ramp(), torch.cos(torch.arange(400, dtype=torch.float64))
    at_zero = 50 - (slope @ theta).item()
    lr = suggest_lr(lambda: at_zero + slope @ theta, [theta], target=60.0, steps=40, directions=7, seed=3)
    noise, slopes = PooledNoise(3, 400), []
    for step in range(7):
        z = torch.zeros(400, dtype=torch.float64)
        noise.direction([z], step, 0, 0)(1.0)
        slopes.append((slope @ z).item())
    assert lr == pytest.approx(10 / (40 * fmean(slope**2 for slope in slopes)), rel=1e-9)


def sure_answer(start: float) -> tuple[nn.Parameter, Callable[[], torch.Tensor], float]:
    """theta, the logistic loss of one sample x, which is `start`, and |x|^2."""
    theta, x = ramp(), torch.sin(torch.arange(400, dtype=torch.float64))
    theta.data += x / x.square().sum() * (-math.log(math.expm1(start)) - x @ theta.data)

    def loss() -> torch.Tensor:
        return F.softplus(-(x @ theta))

    assert loss().item() == pytest.approx(start)
    return theta, loss, x.square().sum().item()


@pytest.mark.parametrize("start", [1e-3, 0.02, 0.5])
def test_gradient_ascent_on_a_sure_answer_arrives_in_the_steps_asked_for(start: float) -> None:
    """Of one sample's logistic loss, softplus(-x theta), the gradient is exactly q x; the ascent is by the true one.

    Where q is small a step multiplies it by 1 + u, u = lr |x|^2 q, and the flow by exp(u) or so; u is about 1 / steps
    there and below 1 / 20 at last, so steps and flow differ by less than a twentieth.
    """
    theta, loss, _ = sure_answer(start)
    lr = suggest_lr(loss, [theta], target=math.log(10), steps=1000, directions=MANY)
    optimizer, taken = torch.optim.SGD([theta], lr=lr, maximize=True), 0
    while loss() < math.log(10) and taken < 3000:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        taken += 1
    assert taken == pytest.approx(1000, rel=FOUR_DEVIATIONS + 0.05)


def test_of_a_sure_answer_what_the_docstring_says() -> None:
    """The straight line's rate is 105 times as large; lr c is 55 / steps, where it says about 50."""
    theta, loss, c = sure_answer(0.02)
    lr = suggest_lr(loss, [theta], target=math.log(10), steps=1000, directions=MANY)
    straight = (math.log(10) - 0.02) / (1000 * c * (1 - math.exp(-0.02)) ** 2)
    assert straight / lr == pytest.approx(105, rel=FOUR_DEVIATIONS)
    assert lr * c == pytest.approx(55.5 / 1000, rel=FOUR_DEVIATIONS)


def of_two(first: nn.Parameter, second: nn.Parameter, *params: nn.Parameter, **arguments: float) -> float:
    def loss() -> torch.Tensor:
        return 1 + first.square().sum() / 200 - second.cos().sum() / 300

    return suggest_lr(loss, params, target=20.0, directions=MANY, **arguments)


def test_the_order_of_the_parameters_matters_no_more_than_the_seed() -> None:
    first, second = ramp(), nn.Parameter(torch.linspace(0, 5, 70, dtype=torch.float64))
    there, back = of_two(first, second, first, second), of_two(first, second, second, first)
    assert there != back
    assert there == pytest.approx(back, rel=math.sqrt(2) * FOUR_DEVIATIONS)


def test_it_is_in_units_of_the_parameters_squared_over_steps() -> None:
    """Parameters s times as large are measured at s times eps, and want s^2 times the rate."""
    theta = ramp()

    def loss(scale: float) -> Callable[[], torch.Tensor]:
        return lambda: 2 + (theta / scale).sin().sum() / 100

    one = suggest_lr(loss(1.0), [theta], target=5.0, steps=100)
    theta.data *= 8
    assert suggest_lr(loss(8.0), [theta], target=5.0, steps=100, eps=8e-3) == pytest.approx(64 * one, rel=1e-6)
    assert suggest_lr(loss(8.0), [theta], target=5.0, steps=300, eps=8e-3) == pytest.approx(64 * one / 3, rel=1e-6)


def test_it_leaves_everything_as_it_was() -> None:
    """Weights of up to 0.5 take 3 roundings of 2^-25 in each of 8 directions: at most 24 * 3e-8 away."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)).eval()
    model[2].train()
    model[0].bias.requires_grad_(False)
    inputs, targets = torch.randn(16, 4), torch.randint(3, (16,))
    F.cross_entropy(model(inputs), targets).backward()
    before = copy.deepcopy(model)
    gradients, drawn, calls = [p.grad for p in model.parameters()], torch.get_rng_state(), []

    def loss() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return F.cross_entropy(model(inputs), targets)

    suggest_lr(loss, model.parameters(), target=9.0, directions=8)
    assert calls == [False] * 17
    assert torch.equal(torch.get_rng_state(), drawn)
    for (name, now), then, gradient in zip(model.named_parameters(), before.parameters(), gradients, strict=True):
        assert now.grad is gradient
        assert then.grad is None or torch.equal(now.grad, then.grad)
        assert torch.allclose(now, then, rtol=0, atol=0 if name == "0.bias" else 24 * 2**-24)
    assert all(torch.equal(now, then) for now, then in zip(model.buffers(), before.buffers(), strict=True))


def test_no_loss_is_kept() -> None:
    """When the next one is computed, whatever the last ones hold is free."""
    theta, seen = ramp(), []

    def loss() -> torch.Tensor:
        assert all(former() is None for former in seen)
        value = 2 + theta.square().sum() / 100
        seen.append(weakref.ref(value))
        return value

    suggest_lr(loss, [theta], target=99.0, directions=3)
    assert len(seen) == 7


def test_the_generators_are_put_back_after_a_failure_too() -> None:
    theta, drawn = ramp(), torch.get_rng_state()
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        suggest_lr(lambda: theta.sum() * torch.rand(()) * math.nan, [theta], target=9.0)
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps and directions must be at least 1, not 0 and 32"),
        ({"directions": 0}, "steps and directions must be at least 1, not 1000 and 0"),
        ({"target": 1.0}, "the target must be above today's loss, and that above 0: not 1.0 and 2 nats"),
        ({"target": math.inf}, "not inf and 2 nats"),
        ({"target": math.nan}, "not nan and 2 nats"),
        ({"loss": lambda: torch.tensor(-1.0)}, "not 3.0 and -1 nats"),
        ({"loss": lambda: torch.tensor(2.0)}, "the loss is the same in every direction"),
        ({"loss": lambda: torch.ones(2)}, r"a scalar loss, not a tensor of shape \(2,\)"),
        ({"params": []}, "does it use a trainable parameter"),
        ({"params": [nn.Parameter(torch.ones(3).half())]}, r"call model\.float\(\)"),
        ({"eps": 0.0}, "eps must be above 0"),
    ],
)
def test_what_cannot_be_is_said(wrong: dict[str, object], message: str) -> None:
    theta = ramp()
    right = {"loss": lambda: 2 + (theta - theta.detach().mean()).sum(), "params": [theta], "target": 3.0}
    with pytest.raises(ValueError, match=message):
        suggest_lr(**(right | wrong))  # type: ignore[arg-type]


def test_frozen_parameters_have_no_slope() -> None:
    theta = ramp().requires_grad_(False)
    with pytest.raises(ValueError, match="does it use a trainable parameter"):
        suggest_lr(lambda: theta.square().sum(), [theta], target=1e9)


Trained = tuple[nn.Module, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A small network that knows scikit-learn's digits, and all images of one of them, to be forgotten."""
    from sklearn.datasets import load_digits  # a second

    bundle = load_digits()
    images, labels = torch.from_numpy(bundle.images).float().flatten(1) / 16, torch.from_numpy(bundle.target).long()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(12):
            for places in torch.randperm(len(labels)).split(128):
                optimizer.zero_grad()
                F.cross_entropy(model(images[places]), labels[places]).backward()
                optimizer.step()
    return model, images[labels == 3], labels[labels == 3]


def erase(trained: Trained, lr: float, most: int, seed: int) -> int | None:
    """Steps at batch 32 until at most a tenth of the images are recognized; None if `most` were not enough."""
    model, images, labels = copy.deepcopy(trained)
    generator = torch.Generator().manual_seed(seed)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            places = torch.randint(len(labels), (32,), generator=generator)
            yield images[places], labels[places]

    @torch.no_grad()
    def recognized() -> float:
        return (model(images).argmax(1) == labels).double().mean().item()

    optimizer = ZOSGD(model.parameters(), lr=lr, maximize=True, seed=seed)
    return unlearn(
        model, optimizer, batches(), evaluate=recognized, completed=lambda share: share <= 0.1, max_steps=most
    ).completed


@pytest.mark.parametrize("seed", range(3))
def test_a_digit_is_forgotten_in_a_third_to_three_times_the_steps_asked_for(trained: Trained, seed: int) -> None:
    """And a rate 30 times smaller has not forgotten it in three times as many."""
    model, images, labels = trained

    def loss() -> torch.Tensor:
        return F.cross_entropy(model(images), labels)

    assert loss() < math.log(10) / 10
    lr = suggest_lr(loss, model.parameters(), target=math.log(10), steps=300, seed=seed)
    taken = erase(trained, lr, 900, seed)
    assert taken is not None
    assert taken >= 100
    assert erase(trained, lr / 30, 900, seed) is None
