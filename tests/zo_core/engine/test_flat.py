"""The numpy engine against the torch engine, to the bit, and against what receipts ask of it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zo_core import ZOSGD
from zo_core.engine.flat import FlatZO
from zo_core.noise import PortableNoise

SETTINGS = [
    {},
    {"queries": 3},
    {"two_sided": False, "queries": 2},
    {"blocks": 7},
    {"normalize": True},
    {"normalize": True, "blocks": 5, "steps_per_batch": 4},
    {"clip": 0.01, "eps": 1e-2},
]


def network() -> nn.Module:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(first, nn.Linear(8 * 36, 64), nn.Tanh(), nn.Linear(64, 5))


def flattened(model: nn.Module) -> list[np.ndarray]:
    return [parameter.detach().numpy().copy().reshape(-1) for parameter in model.parameters()]


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_fifty_steps_are_those_of_torch_to_the_bit(settings: dict[str, object], maximize: bool) -> None:
    model = network()
    inputs, targets = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    parameters = flattened(model)
    pool = PortableNoise(7, sum(map(len, parameters))).pool().numpy()
    ours = FlatZO(parameters, pool, 1e-3, maximize=maximize, seed=7, **settings)
    start = [parameter.copy() for parameter in parameters]
    replayed = FlatZO(start, pool, 1e-3, maximize=maximize, seed=7, **settings)
    theirs = ZOSGD(model.parameters(), 1e-3, maximize=maximize, seed=7, noise="portable", **settings)
    for _ in range(50):
        losses: list[float] = []

        def closure(losses: list[float] = losses) -> float:
            losses.append(float(F.cross_entropy(model(inputs), targets)))
            return losses[-1]

        seen = theirs.step(closure)
        told = iter(losses)
        assert ours.step(lambda told=told: next(told)) == seen
        assert next(told, None) is None
        replayed.replay(ours.rises)
        for one, other, third in zip(parameters, model.parameters(), start, strict=True):
            assert np.array_equal(one, other.detach().numpy().reshape(-1))
            assert np.array_equal(one, third)
    assert any(not np.array_equal(one, other) for one, other in zip(parameters, flattened(network()), strict=True))
