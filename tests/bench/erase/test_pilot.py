"""What the search for a rate forgets in the place of the request: what the model knows, and can do without."""

from contextlib import closing
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bench.base.progress import Progress
from bench.erase import pilot
from bench.erase.asked import parser, profile_of
from bench.erase.pilot import search_rate
from bench.instruments.energy import NoMeter
from bench.profiles import Tuned
from bench.run.materials import Materials, profile_library
from bench.tune.choice import choose, scores
from bench.tune.file import Tuning, read_tuning
from bench.tune.search import Trial
from bench.workloads.datasets import library
from bench.workloads.images.samples import ImageData
from bench.workloads.splits import split
from zo_core import geometric_steps

COMMAND = ["--model", "cnn", "--data", "photos", "--image-size", "8", "--out", "x.safetensors", "--method", "fo-ga"]
COMMAND += ["--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5", "--max-steps", "40"]


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return library()("digits", 8)


def of_classes(data: ImageData, count: int) -> ImageData:
    """The first few classes alone."""
    train, test = (part.at((part.labels < count).nonzero().flatten()) for part in (data.train, data.test))
    return replace(data, train=train, test=test, classes=data.classes[:count])


def searched(folder: Path, weights: Path, forget: str) -> tuple[Tuned, Tuning]:
    profile = profile_of(parser().parse_args([*COMMAND, "--weights", str(weights), "--forget", forget]))
    materials = Materials(profile, profile_library(profile, None, False, folder, print), folder, Progress(total=1))
    path = str(folder / "profile.toml")
    with closing(materials.progress):
        chosen = search_rate(profile, "fo-ga", materials, NoMeter("a test"), path, "a test")
    found = read_tuning(path)
    assert found is not None
    return chosen, found


def test_half_of_what_is_to_be_kept_is_kept_in_the_search_too(digits: ImageData) -> None:
    parts = split(digits, "random:0.7", seed=0)
    kept = len(digits.train) - len(parts.forget)
    assert {scenario for scenario, _ in pilot._others(digits, parts, seed=0)} == {f"random:{kept // 2}"}


def test_no_seed_of_the_search_is_that_of_the_request(digits: ImageData) -> None:
    parts = split(digits, "random:29", seed=103)
    found = list(pilot._others(digits, parts, seed=103))
    assert {scenario for scenario, _ in found} == {"random:29"}
    assert 103 not in {seed for _, seed in found}


def test_a_few_samples_are_tried_on_more(digits: ImageData) -> None:
    """Of one sample, the first that is lost would end the search, whatever else the rate did to the model."""
    found = pilot._others(digits, split(digits, "random:1", seed=0), seed=0)
    assert {scenario for scenario, _ in found} == {"random:20"}


def test_every_other_class_may_stand_for_one(digits: ImageData) -> None:
    """The nearest first, and with another seed where they are fewer than the draws."""
    found = list(pilot._others(digits, split(digits, "class:1", seed=0), seed=0))
    one_round = [f"class:{label}" for label in (0, 9, 8, 7, 6, 5, 4, 3, 2)]
    assert [scenario for scenario, _ in found] == one_round * pilot.DRAWS
    assert len(set(found)) == len(found)


def test_where_one_class_is_to_be_kept_there_is_nothing_to_try_on(digits: ImageData) -> None:
    two = of_classes(digits, 2)
    with pytest.raises(ValueError, match="but one class is to be kept; give --lr"):
        list(pilot._others(two, split(two, "class:1", seed=0), seed=0))


def test_a_class_that_is_forgotten_already_is_not_tried_on(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rate would have completed at once, and the lowest been chosen."""
    monkeypatch.chdir(own)
    monkeypatch.setattr(pilot, "RATES", [1e-5, 0.1])
    state = safetensors.torch.load_file("model.safetensors")
    state["9.bias"][0] = -100.0  # of class eight, the first one
    safetensors.torch.save_file(state, tmp_path / "erased.safetensors")
    chosen, found = searched(tmp_path, tmp_path / "erased.safetensors", "class:five")
    others = {trial.scenario for trial in found.trials}
    assert others == {"class:zero", "class:two", "class:three"}  # around the corner, without the one before five
    assert chosen.lr == 0.1


def test_each_rate_is_tried_on_three_other_requests_evaluated_as_often_as_the_one(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    monkeypatch.setattr(pilot, "RATES", [1e-2, 0.1])
    _, found = searched(tmp_path, own / "model.safetensors", "forget.txt")
    tried = [(trial.lr, trial.seed, trial.scenario) for trial in found.trials]
    assert tried == [(lr, seed, "random:25") for lr in (0.1, 1e-2) for seed in (100, 101, 102)]
    assert {score.runs for score in found.scores} == {3}
    profile = profile_of(parser().parse_args([*COMMAND, "--weights", "model.safetensors", "--forget", "forget.txt"]))
    seen = set(takewhile(lambda step: step <= 40, geometric_steps(profile.unlearning[0].resolution)))
    assert {trial.step for trial in found.trials if trial.step is not None} <= seen


def test_a_rate_that_wrecks_some_models_is_not_chosen_for_what_it_did_to_one() -> None:
    """As the README's example has it: at the first draw each of these rates is as good as the other."""
    worth = {1e-2: (0.97, 0.02, 0.75), 1e-3: (0.96, 0.97, 0.98)}
    trials = [
        Trial(
            plan=0,
            method="zo-ga",
            lr=lr,
            eps=1e-3,
            scenario="random:25",
            batch_size=8,
            seed=seed,
            step=10,
            tow=tow,
            retain_accuracy=100 * tow,
            sample_forwards=1 / lr,
            seconds=1.0,
        )
        for lr, of_draws in worth.items()
        for seed, tow in enumerate(of_draws)
    ]
    assert choose(scores([trial for trial in trials if trial.seed == 0]))[0, "zo-ga"].score.lr == 1e-2
    assert choose(scores(trials))[0, "zo-ga"].score.lr == 1e-3


def test_a_model_that_has_not_learned_is_told_before_the_search(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    state = safetensors.torch.load_file("model.safetensors")
    safetensors.torch.save_file(
        {key: torch.zeros_like(weight) for key, weight in state.items()}, tmp_path / "0.safetensors"
    )
    with pytest.raises(ValueError, match="the original has not learned"):
        searched(tmp_path, tmp_path / "0.safetensors", "forget.txt")


def test_other_weights_are_searched_for_anew(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own)
    monkeypatch.setattr(pilot, "RATES", [0.1])
    state = safetensors.torch.load_file("model.safetensors")
    weights = tmp_path / "model.safetensors"
    safetensors.torch.save_file(state, weights)
    _, first = searched(tmp_path, weights, "class:five")
    _, again = searched(tmp_path, weights, "class:five")
    assert again.trials == first.trials  # not tried again, or the seconds would differ
    state["0.weight"] *= 1.01
    safetensors.torch.save_file(state, weights)
    _, other = searched(tmp_path, weights, "class:five")
    assert other.identity != first.identity
