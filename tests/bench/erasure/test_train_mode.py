"""Train mode with dropout: the masks follow from the case's seed, so that a run is the same whenever it is made."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.arms.arm import Hyperparameters
from bench.base.progress import Progress
from bench.erasure.erasure import Erasure, prepare_erasure
from bench.run.materials import Materials
from bench.workloads.datasets import library
from bench.workloads.models import ImageSpec, models
from tests.bench.conftest import PROFILE


def with_dropout(spec: ImageSpec) -> nn.Module:
    pixels = spec.channels * spec.size**2
    layers = (nn.Flatten(), nn.Linear(pixels, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, spec.classes))
    return nn.Sequential(*layers)


@pytest.fixture
def erasure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Erasure:
    monkeypatch.setitem(models._entries, "dropout-net", with_dropout)
    monkeypatch.setitem(models._modules, "dropout-net", __name__)
    plan = PROFILE.unlearning[0].model_copy(update={"model": "dropout-net", "train_mode": True, "max_steps": 30})
    profile = PROFILE.model_copy(update={"unlearning": [plan]})
    progress = Progress(total=1)
    found = prepare_erasure(profile.unlearning_cases()[0], Materials(profile, library(), tmp_path, progress))
    progress.close()
    return found


@pytest.mark.parametrize("method", ["fo-ga", "zo-ga"])
def test_a_run_is_the_same_whatever_was_drawn_before(erasure: Erasure, method: str) -> None:
    case = erasure.case.model_copy(update={"method": method})
    run = replace(erasure, case=case, hyperparameters=Hyperparameters(lr=1e-3, eps=1e-3, seed=0))
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        trajectory = run.follow(run.fresh_model(), lambda batches: batches, horizon=0.0).trajectory
        found.append(trajectory.evaluations)
    assert found[0] == found[1]
    model = run.fresh_model()
    run.erase(model, trajectory.steps[-1])
    assert run.evaluate(model) == trajectory.evaluations[-1]


def test_other_seeds_draw_other_masks(erasure: Erasure) -> None:
    ends = []
    for seed in (0, 1):
        case = erasure.case.model_copy(update={"method": "fo-ga", "seed": seed})
        run = replace(erasure, case=case, hyperparameters=Hyperparameters(lr=1e-3, eps=1e-3, seed=0))
        ends.append(run.follow(run.fresh_model(), lambda batches: batches, horizon=0.0).trajectory.evaluations[-1])
    assert ends[0] != ends[1]


def test_a_run_takes_nothing_from_the_draws_of_others(erasure: Erasure) -> None:
    case = erasure.case.model_copy(update={"method": "zo-ga"})
    run = replace(erasure, case=case, hyperparameters=Hyperparameters(lr=1e-3, eps=1e-3, seed=0))
    torch.manual_seed(5)
    undisturbed = torch.rand(3)
    torch.manual_seed(5)
    run.follow(run.fresh_model(), lambda batches: batches, horizon=0.0)
    assert torch.equal(torch.rand(3), undisturbed)
