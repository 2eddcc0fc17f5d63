"""The arms: those that should take the same step do, each ascends, and the yardsticks are what their papers say."""

import copy

import pytest
import torch
from torch import nn

from bench.arms.arm import Hyperparameters, Step
from bench.arms.checkpointing import checkpointed
from bench.arms.optimizers import MeZO
from bench.arms.table import methods, methods_for, prepare_step
from bench.forecast.peak import forecast
from bench.instruments.ledgers.tensor_ledger import TensorPeak, tensor_peak
from bench.instruments.stand_in import StandIn
from bench.record import Case
from bench.workloads.models import ImageSpec, build_model
from zo_core import cross_entropy

ASCENT = Hyperparameters(lr=1e-3, eps=1e-3, seed=0)
IDLE = Hyperparameters(lr=0.0, eps=1e-3, seed=0)
OPTIMIZING = [name for name in methods_for("step") if methods.get(name).start is not None]


def step(method: str, model: nn.Module, hyperparameters: Hyperparameters = ASCENT, batch: int = 6) -> Step:
    generator = torch.Generator().manual_seed(1)
    return prepare_step(
        method, model, (torch.randn(batch, 1, 16, 16, generator=generator), torch.arange(batch) % 10), hyperparameters
    )


def peak_of(method: str, model: nn.Module, hyperparameters: Hyperparameters, batch: int = 6) -> TensorPeak:
    return tensor_peak(lambda: step(method, model, hyperparameters, batch))


def network(name: str = "cnn") -> nn.Module:
    return build_model(name, ImageSpec(1, 16, 10), seed=0).eval()


def parameters_after(method: str, name: str, hyperparameters: Hyperparameters = ASCENT) -> list[torch.Tensor]:
    model = network(name)
    step(method, model, hyperparameters).run()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize("method", OPTIMIZING)
def test_a_step_changes_the_model_and_one_at_rest_does_not(method: str) -> None:
    start = list(network().parameters())
    moved, rested = (parameters_after(method, "cnn", hyperparameters) for hyperparameters in (ASCENT, IDLE))
    assert any(not torch.equal(now, then) for now, then in zip(moved, start, strict=True))
    assert all(torch.allclose(now, then, rtol=0, atol=1e-6) for now, then in zip(rested, start, strict=True))


@pytest.mark.parametrize("method", OPTIMIZING)
def test_every_arm_ascends(method: str) -> None:
    model = network()
    taking = step(method, model, Hyperparameters(lr=1e-3 if method.startswith("zo") else 1e-2, eps=1e-3, seed=0))
    first = taking.run()
    for _ in range(30):
        last = taking.run()
    assert last > first + 0.005


@pytest.mark.parametrize("method", ["fo-ga-checkpoint", "fo-ga-accumulate"])
@pytest.mark.parametrize("name", ["cnn", "resnet20", "resnet18", "mobilenet_v3_small", "googlenet", "small-vit"])
def test_memory_tricks_take_the_plain_step(method: str, name: str) -> None:
    """To rounding: at lr = 1 the steps are the gradients, which agree to 1e-4 of the largest one."""
    full = Hyperparameters(lr=1.0, eps=1e-3, seed=0)
    plain = parameters_after("fo-ga", name, full)
    largest = max((now - then).abs().max().item() for now, then in zip(plain, network(name).parameters(), strict=True))
    for one, other in zip(parameters_after(method, name, full), plain, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-4 * largest)


def test_checkpointing_runs_each_layer_twice_and_leaves_the_model_as_it_was() -> None:
    """Simple layers run again in the backward pass; an in-place one does not overwrite what is kept for it."""
    calls: list[str] = []

    class Told(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append("told")
            return x * 2

    model = nn.Sequential(nn.Linear(3, 3), Told(), nn.ReLU(inplace=True), nn.Linear(3, 3), nn.ReLU(inplace=True))
    plain = copy.deepcopy(model)
    batch = torch.randn(4, 3), torch.zeros(4, dtype=torch.int64)
    checkpointed(cross_entropy)(model, *batch).backward()
    assert calls == ["told", "told"]
    cross_entropy(plain, *batch).backward()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad)
    assert "forward" not in vars(model)


class Blocks(nn.Module):
    """Layers in a list instead of a sequence, the first of them twice."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.blocks = nn.ModuleList([nn.Sequential(shared, nn.Linear(256, 256)) for _ in range(8)])
        self.head = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_checkpointing_finds_the_blocks_of_a_model_without_a_sequence() -> None:
    plain, trick = (peak_of(method, Blocks(), IDLE, 2000).total for method in ("fo-ga", "fo-ga-checkpoint"))
    assert trick < 0.75 * plain


def test_checkpointing_puts_a_forward_of_the_users_own_back() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model.forward = lambda x: x
    own = model.forward
    checkpointed(cross_entropy)(model, torch.randn(4, 3), torch.zeros(4, dtype=torch.int64)).backward()
    assert model.forward is own


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_checkpointing_saves_memory_once_activations_matter(name: str) -> None:
    """By the forecast, which computes nothing of the 128 samples."""

    def peak(method: str) -> int:
        case = Case(
            method=method, model=name, dataset="", image_size=16, batch_size=128, device="cpu", threads=1, seed=0
        )
        return forecast(StandIn.of(case, ImageSpec(1, 16, 10), training=None)).total

    assert peak("fo-ga-checkpoint") < 0.75 * peak("fo-ga")


@pytest.mark.parametrize(
    ("method", "name"), [("zo-ga-microbatch", "cnn"), ("zo-ga-microbatch", "resnet20"), ("fo-ga-accumulate", "cnn")]
)
def test_one_sample_at_a_time_takes_the_memory_of_one_sample(method: str, name: str) -> None:
    """At 64 samples: the peak at one sample plus 63 inputs and labels, and 1 %.

    Accumulation also holds the gradients so far while it computes the next sample's: the model's size once more.
    """

    def peak(batch: int) -> int:
        return peak_of(method, network(name), IDLE, batch).total

    inputs = 63 * (16 * 16 * 4 + 8)
    gradients = sum(p.nbytes for p in network(name).parameters()) if method == "fo-ga-accumulate" else 0
    assert peak(64) <= 1.01 * (peak(1) + inputs + gradients)


def test_ascent_on_the_head_moves_it_as_full_ascent_does_and_nothing_else() -> None:
    start, alone, full = network(), network(), network()
    step("fo-ga-head", alone).run()
    step("fo-ga", full).run()
    assert torch.equal(alone[-1].weight, full[-1].weight)
    assert torch.equal(alone[-1].bias, full[-1].bias)
    assert not torch.equal(alone[-1].weight, start[-1].weight)
    for now, then in zip(alone[:-1].parameters(), start[:-1].parameters(), strict=True):
        assert torch.equal(now, then)
        assert now.grad is None


def test_ascent_on_the_head_takes_the_memory_of_inference() -> None:
    inference, ascent = (peak_of(method, network("resnet18"), IDLE) for method in ("forward", "fo-ga-head"))
    assert ascent.total == inference.total


@pytest.mark.parametrize("maximize", [False, True])
def test_mezo_is_spsa(maximize: bool) -> None:
    """On a linear loss with gradient g the estimate is (g.z) z: mean g, variance |g|^2 + g_i^2, within 5 errors."""
    gradient = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    theta = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = MeZO([theta], lr=1.0, eps=1e-3, maximize=maximize, seed=0)
    moves = []
    for _ in range(4000):
        before = theta.detach().clone()
        optimizer.step(lambda: gradient @ theta)
        moves.append(theta.detach() - before)
    found = torch.stack(moves) if maximize else -torch.stack(moves)
    error = ((gradient.square().sum() + gradient.square()) / len(moves)).sqrt()
    assert ((found.mean(0) - gradient).abs() < 5 * error).all()


def test_mezo_makes_new_tensors_and_they_are_counted_as_parameters() -> None:
    """Out of place: beside the parameters, at its peak, z, scale * z and the sum of one weight of 256 KiB."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 256, bias=False))
    peak = peak_of("zo-mezo", model, IDLE)
    assert peak.by_category["parameters"] == 256 * 256 * 4
    assert peak.by_category["activations"] == 3 * 256 * 256 * 4
