"""Membership inference against models whose members are known, and against chance."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.membership import Confidences, membership_inference


def normal(mean: float, count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (mean + 0.02 * torch.randn(count, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize(("forget", "percent"), [(0.95, 0), (0.3, 100)])
def test_confidences_far_apart_are_told_apart(forget: float, percent: float) -> None:
    """Members near 0.95, others near 0.3: who looks like others is called a non-member."""
    found = Confidences(normal(forget, 40, 0), normal(0.95, 300, 1), normal(0.3, 100, 2))
    assert membership_inference(found) == percent


def test_a_share_of_the_forget_set() -> None:
    forget = torch.cat([normal(0.95, 30, 0), normal(0.3, 10, 1)])
    assert membership_inference(Confidences(forget, normal(0.95, 50, 2), normal(0.3, 500, 3))) == 25


def test_where_members_look_like_others_the_attacker_guesses() -> None:
    """By symmetry half are called non-members on average, within 5 standard errors of 60 draws."""
    drawn = torch.tensor([
        membership_inference(Confidences(*(torch.rand(60, generator=generator) for _ in range(3))))
        for seed in range(60)
        for generator in [torch.Generator().manual_seed(seed)]
    ])  # fmt: skip
    assert abs(drawn.mean() - 50) < 5 * drawn.std() / math.sqrt(60)
    assert drawn.std() > 1


def confidences_of(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return F.softmax(model(inputs), 1).gather(1, labels.unsqueeze(1)).flatten()


@pytest.mark.parametrize("trained", [True, False])
def test_a_model_that_memorized_gives_its_members_away(trained: bool) -> None:
    """Noise with random labels can only be learned by heart. An untrained model knows no one."""
    torch.manual_seed(0)
    inputs, labels = torch.randn(400, 64), torch.randint(4, (400,))
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150 if trained else 0):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[:200]), labels[:200]).backward()
        optimizer.step()
    seen = confidences_of(model, inputs, labels)
    member, other = (
        membership_inference(Confidences(forget, retain=seen[50:200], test=seen[250:]))
        for forget in (seen[:50], seen[200:250])
    )
    if trained:
        assert member < 5
        assert other > 60  # of the others some are right by luck, and sure of it
    else:
        assert abs(member - other) < 30
