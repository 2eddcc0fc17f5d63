"""A run is followed on few samples and judged on all; what is known of the original and Retrain is found out once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.arms.arm import Hyperparameters
from bench.base.progress import Progress
from bench.erasure.completion_cost import Cost
from bench.erasure.erasure import prepare_erasure
from bench.erasure.quality.evaluation import Evaluator
from bench.record import Completion
from bench.run.materials import Materials
from bench.workloads.datasets import library
from bench.workloads.splits import split
from tests.bench.conftest import PROFILE

Made = Callable[..., Materials]


@pytest.fixture
def materials(tmp_path: Path) -> Iterator[Made]:
    """Those of the tests' profile, with changes to its plan."""
    progress = Progress(total=1)

    def make(**changes: object) -> Materials:
        plan = PROFILE.unlearning[0].model_copy(update=changes)
        return Materials(PROFILE.model_copy(update={"unlearning": [plan]}), library(), tmp_path, progress)

    yield make
    progress.close()


@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_so_many_of_each_set_are_followed(scenario: str) -> None:
    """Some of each, the same for a seed and others for another; never one that is not of the set."""
    parts = split(library()("digits", 8), scenario, 0)
    some, again, other = (parts.following(50, seed) for seed in (4, 4, 5))
    for name in ("forget", "retain", "test"):
        chosen, every = getattr(some, name), getattr(parts, name)
        assert len(chosen) == 50
        assert torch.isin(chosen, every).all()
        assert torch.equal(chosen, chosen.unique())
        assert torch.equal(chosen, getattr(again, name))
        assert not torch.equal(chosen, getattr(other, name))
    assert not len(some.unseen)
    assert parts.following(None, 4) is parts
    assert len(parts.following(10**6, 4).forget) == len(parts.forget)


def test_completion_is_seen_on_few_and_judged_on_all(materials: Made) -> None:
    """The run is complete where the few are forgotten; what is kept is then looked at more closely."""
    suite = materials(followed_on=40)
    case = suite.profile.unlearning_cases()[0].model_copy(update={"method": "fo-ga"})
    given = Hyperparameters(lr=0.02, eps=1e-3, seed=0)
    erasure = replace(prepare_erasure(case, suite), hyperparameters=given)
    some = erasure.split.following(40, case.seed)
    few, every = (Evaluator(erasure.data, parts, erasure.original) for parts in (some, erasure.split))
    close = Evaluator(erasure.data, replace(some, retain=erasure.split.retain), erasure.original)
    assert erasure.retrained_model is not None
    assert (erasure.started, erasure.retrained) == (every(erasure.original), every(erasure.retrained_model))
    model = erasure.fresh_model()
    trajectory = erasure.follow(model, lambda batches: batches, horizon=0).trajectory
    assert trajectory.completed
    assert trajectory.at_completion() == close(model) != few(model)  # from here on all of the retain set
    assert trajectory.evaluations[-1].forget_accuracy <= erasure.target < trajectory.evaluations[-2].forget_accuracy
    assert trajectory.evaluations[0] == few(erasure.original)


def test_retrains_accuracy_is_reached_on_the_same_few(materials: Made) -> None:
    suite = materials(followed_on=40)
    case = next(case for case in suite.profile.unlearning_cases() if case.scenario == "random:0.1")
    erasure = prepare_erasure(case, suite)
    assert erasure.retrained_model is not None
    few = Evaluator(erasure.data, erasure.split.following(40, case.seed), erasure.original)
    assert erasure.target == few(erasure.retrained_model).forget_accuracy


def test_without_it_the_same_are_looked_at_all_along(materials: Made) -> None:
    suite = materials()
    erasure = prepare_erasure(suite.profile.unlearning_cases()[0], suite)
    assert erasure.follow_by is erasure.evaluate


def test_the_original_and_retrain_are_looked_at_once_for_all_arms_of_a_seed(
    materials: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[nn.Module] = []
    look = Evaluator.__call__
    monkeypatch.setattr(Evaluator, "__call__", lambda self, model: looked.append(model) or look(self, model))
    suite = materials(followed_on=40, batch_sizes=[32, 8])
    case = suite.profile.unlearning_cases()[0]
    first = prepare_erasure(case, suite)
    assert len(looked) == 4  # two models, along the way and in the end
    again = prepare_erasure(case.model_copy(update={"method": "zo-ga", "batch_size": 8}), suite)
    assert len(looked) == 4
    assert (again.started, again.retrained, again.target) == (first.started, first.retrained, first.target)
    prepare_erasure(case.model_copy(update={"scenario": "random:0.1"}), suite)
    assert len(looked) == 8
    counted: list[nn.Module] = []
    for erasure in (first, again):
        assert erasure.of_ends("count", lambda model: counted.append(model) or 7) == (7, 7)
    assert counted == [first.original, first.retrained_model]


def test_what_is_known_of_other_data_is_not_taken_over(materials: Made) -> None:
    """Materials with another library begin anew."""
    suite = materials()
    suite.known_of(PROFILE.unlearning_cases()[0])["a"] = 1
    assert replace(suite, library=library()).known_of(PROFILE.unlearning_cases()[0]) == {}


def test_a_part_of_the_steps_stands_for_all() -> None:
    """Each costs as much: 100 of 250 steps, times 2.5; and the whole is left as it is."""
    done = Completion(
        reached=True, step=100, seconds=2.0, joules=None, forward_equivalents=300.0, sample_forwards=9600.0
    )
    whole = Cost(done, notes={"completion.joules": "not metered"}).of_steps(250)
    assert whole.completion == Completion(
        reached=True, step=250, seconds=5.0, joules=None, forward_equivalents=750.0, sample_forwards=24000.0
    )
    assert whole.notes["completion.seconds"] == "of the first 100 of 250 steps, times 2.5"
    assert whole.notes["completion.joules"] == "not metered"
    assert Cost(done).of_steps(100) == Cost(done)
