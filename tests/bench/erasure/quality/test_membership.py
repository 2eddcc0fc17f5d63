"""Membership inference against models whose members are known, and against chance."""

import math

import pytest
import torch
from scipy.integrate import trapezoid
from sklearn.metrics import roc_curve
from torch import nn
from torch.nn import functional as F

from bench.erasure.quality.membership import Confidences, loss_threshold_auc, membership_inference


def normal(mean: float, count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (mean + 0.02 * torch.randn(count, generator=generator)).clamp(0, 1)


NONE = torch.zeros(0)


@pytest.mark.parametrize(("forget", "percent"), [(0.95, 0), (0.3, 100)])
def test_confidences_far_apart_are_told_apart(forget: float, percent: float) -> None:
    """Members near 0.95, others near 0.3: who looks like others is called a non-member."""
    found = Confidences(normal(forget, 40, 0), normal(0.95, 300, 1), normal(0.3, 100, 2), NONE)
    assert membership_inference(found) == percent


def test_a_share_of_the_forget_set() -> None:
    forget = torch.cat([normal(0.95, 30, 0), normal(0.3, 10, 1)])
    assert membership_inference(Confidences(forget, normal(0.95, 50, 2), normal(0.3, 500, 3), NONE)) == 25


def test_where_members_look_like_others_the_attacker_guesses() -> None:
    """By symmetry half are called non-members on average, within 5 standard errors of 60 draws."""
    drawn = torch.tensor([
        membership_inference(Confidences(*(torch.rand(60, generator=generator) for _ in range(3)), NONE))
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
        membership_inference(Confidences(forget, retain=seen[50:200], test=seen[250:], unseen=NONE))
        for forget in (seen[:50], seen[200:250])
    )
    if trained:
        assert member < 5
        assert other > 60  # of the others some are right by luck, and sure of it
    else:
        assert abs(member - other) < 30


def auc(forget: list[float], unseen: list[float]) -> float | None:
    return loss_threshold_auc(Confidences(torch.tensor(forget), NONE, NONE, torch.tensor(unseen)))


def test_the_area_under_the_curve_by_hand() -> None:
    """Of the 2 x 3 pairs, the forget sample is the surer in 4 and ties in 1: (4 + 1/2) / 6."""
    assert auc([0.9, 0.4], [0.1, 0.2, 0.9]) == pytest.approx(4.5 / 6)


@pytest.mark.parametrize(
    ("forget", "unseen", "area"),
    [([0.9, 0.8], [0.7, 0.1], 1.0), ([0.1, 0.2], [0.3, 0.9, 0.8], 0.0), ([0.5, 0.5], [0.5], 0.5)],
)
def test_members_are_those_of_higher_confidence(forget: list[float], unseen: list[float], area: float) -> None:
    """Known by heart: 1. Forgotten so well that it stands out: 0. Alike: chance."""
    assert auc(forget, unseen) == area


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_of_scikit_learn_and_of_the_pairs(seed: int) -> None:
    """The trapezoids under the ROC curve of the losses, and the share of pairs in the right order, ties half.

    Confidences in steps of 0.05, for ties.
    """
    generator = torch.Generator().manual_seed(seed)
    forget = torch.randint(1, 21, (70,), generator=generator) / 20
    unseen = torch.randint(1, 15, (40,), generator=generator) / 20
    found = loss_threshold_auc(Confidences(forget, NONE, NONE, unseen))
    losses = -torch.cat([forget, unseen]).log()
    false_positives, true_positives, _ = roc_curve([1] * 70 + [0] * 40, -losses.numpy())
    assert found == pytest.approx(trapezoid(true_positives, false_positives), abs=1e-12)
    above = (forget.unsqueeze(1) > unseen).double() + (forget.unsqueeze(1) == unseen).double() / 2
    assert found == pytest.approx(above.mean().item(), abs=1e-12)


def test_where_distributions_are_equal_the_area_is_chance() -> None:
    """Half on average, with variance (m + n + 1) / (12 m n) for m and n samples (Mann and Whitney 1947): 5 errors."""
    m, n, count = 50, 30, 60
    generator = torch.Generator().manual_seed(0)
    areas = torch.tensor(
        [
            loss_threshold_auc(
                Confidences(torch.rand(m, generator=generator), NONE, NONE, torch.rand(n, generator=generator))
            )
            for _ in range(count)
        ]
    )
    variance = (m + n + 1) / (12 * m * n)
    assert abs(areas.mean() - 0.5) < 5 * math.sqrt(variance / count)
    assert abs(areas.var() / variance - 1) < 5 * math.sqrt(2 / (count - 1))


@pytest.mark.parametrize(("forget", "unseen"), [([0.5], []), ([math.nan, 0.5], [0.5]), ([0.5], [math.nan])])
def test_without_unseen_samples_or_numbers_there_is_no_area(forget: list[float], unseen: list[float]) -> None:
    assert auc(forget, unseen) is None
