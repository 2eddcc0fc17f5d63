"""Weights, images and a request of a user's own in a profile; models saved; rates on the command line."""

import os
from pathlib import Path

import pytest
import torch

from bench.base.paths import ROOT
from bench.record import model_file, read_benchmark_json
from bench.workloads.models import ImageSpec, build_model
from bench.workloads.weights import load_weights, read_metadata, save_weights
from tests.bench.conftest import Here
from tests.bench.erase.test_erase import accuracy
from tests.bench.run.conftest import usage_error

PROFILE = """
description = "a model of one's own"
dataset = "imagefolder:photos"
devices = ["cpu"]
threads = 1
country = "FRA"
window_s = 0.1

[data]
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[unlearning]
model = "cnn"
weights = "model.safetensors"
image_size = 8
batch_sizes = [8]
scenarios = ["files:forget.txt"]
methods = ["fo-ga"]
seeds = [0]
horizon = 1.0
max_steps = 100
resolution = 1.5
{more}

[unlearning.hyperparameters]
fo-ga = {{ lr = 0.03 }}
"""
SECOND = """[[unlearning]]
model = "cnn"
weights = "other.safetensors"
retrain = false
image_size = 8
batch_sizes = [8]
scenarios = ["files:forget.txt"]
methods = ["zo-ga"]
seeds = [1]
horizon = 1.0
max_steps = 100
"""
TRAINING = "[unlearning.training]\nepochs = 8\nbatch_size = 64\nlr = 0.1\n"


def profile(folder: Path, more: str, changes: tuple[tuple[str, str], ...] = ()) -> Path:
    text = PROFILE.format(more=more)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.fixture
def there(own: Path, here: Here) -> Here:
    """In the folder that paths count from."""
    os.chdir(own)
    return here


def test_every_arms_model_is_saved_at_completion(own: Path, there: Here, tmp_path: Path) -> None:
    mine = profile(own, TRAINING, (('methods = ["fo-ga"]', 'methods = ["retrain", "fo-ga"]'),))
    code, said = there(
        "--profile", mine, f"--benchmark-json={tmp_path / 'x.json'}", "--checkpoints", tmp_path, "--no-energy",
        "--save-models", tmp_path / "models",
    )  # fmt: skip
    assert code == 0, said
    _, records = read_benchmark_json(tmp_path / "x.json")
    assert [record.case.method for record in records] == ["fo-ga", "retrain"]
    asked = (own / "forget.txt").read_text().split()
    for record in records:
        assert record.quality is not None
        path = tmp_path / "models" / model_file(record.case)
        assert read_metadata(path)["record_sha256"] == record.digest
        assert 100 - accuracy(path, own / "photos", asked) == pytest.approx(record.quality.ua, abs=1e-4)
        assert record.origins.original is not None
        assert record.origins.original.name == "model.safetensors"
        assert record.origins.retrained is None
    assert records[1].quality is not None
    assert records[1].quality.tow == 1.0
    assert "seed 0: the original has 99." in said
    assert "train 1,437" in said


def test_without_a_retrain_chance_or_the_profiles_accuracy_is_the_target(
    own: Path, there: Here, tmp_path: Path
) -> None:
    mine = profile(own, "retrain = false", (('"files:forget.txt"', '"random:30", "class:three"'),))
    json_path = tmp_path / "x.json"
    code, said = there("--profile", mine, f"--benchmark-json={json_path}", "--checkpoints", tmp_path, "--no-energy")
    assert code == 0, said
    _, records = read_benchmark_json(json_path)
    assert {record.erased.target for record in records if record.erased} == {10.0}
    assert {record.erased.samples for record in records if record.erased} == {30, 146}
    assert all(record.quality is None or record.quality.tow is None for record in records)
    mine = profile(own, "retrain = false\ntarget_accuracy = 80.0")
    code, said = there("--profile", mine, f"--benchmark-json={json_path}", "--checkpoints", tmp_path, "--no-energy")
    assert code == 0, said
    [record] = read_benchmark_json(json_path)[1]
    assert record.erased is not None
    assert record.erased.target == 80.0


def test_a_rate_of_the_command_line_is_what_the_arm_is_run_with(own: Path, there: Here, tmp_path: Path) -> None:
    mine = profile(own, "retrain = false")
    json_path = tmp_path / "x.json"
    options = (f"--benchmark-json={json_path}", "--checkpoints", tmp_path, "--no-energy", "--lr", "fo-ga=0.0125")
    code, said = there("--profile", mine, *options)
    assert code == 0, said
    [record] = read_benchmark_json(json_path)[1]
    assert record.rate is not None
    assert record.rate.lr == 0.0125


def test_a_retrain_that_has_seen_the_forget_set_is_refused(own: Path, there: Here) -> None:
    spec = ImageSpec(3, 8, 10)
    seen = build_model("cnn", spec, seed=0)
    load_weights(seen, "model.safetensors", "cnn")
    with torch.no_grad():
        seen[0].weight.mul_(1.01)  # another file, and another model, that has learned from everything, too
    save_weights(own / "seen.safetensors", seen, {})
    for more, scenario, words in (
        ('retrained = "model.safetensors"', "files:forget.txt", "is the original itself: it has seen"),
        ('retrained = "seen.safetensors"', "class:three", "is right on 100% of what class:three is to forget"),
    ):
        mine = profile(own, more, (("files:forget.txt", scenario),))
        assert words in usage_error(there, "--profile", mine)


@pytest.mark.parametrize(
    ("more", "changes", "words"),
    [
        ("", (), "Retrain is to be trained: add [unlearning.training], or retrained = FILE, or retrain = false"),
        ("retrain = false", (('weights = "model.safetensors"\n', ""),), "the original is to be trained"),
        ("retrain = false", (('["fo-ga"]', '["retrain", "fo-ga"]'),), "the arm retrain trains Retrain: leave it out"),
        ('retrain = false\nretrained = "model.safetensors"', (), "retrain = false says that there is no Retrain"),
        ("retrain = false\ntarget_accuracy = 101", (), "target_accuracy"),
        (
            "retrain = false",
            (("[unlearning]", "[[unlearning]]"), ("[unlearning.hyper", f"{SECOND}\n[unlearning.hyper")),
            "two tables of cnn imagefolder b8 files:forget.txt differ in weights: make two profiles",
        ),
        ("retrain = false", (("model.safetensors", "nothing.safetensors"),), "no such file"),
        ("retrain = false", (("forget.txt", "nothing.txt"),), "No such file"),
        ("retrain = false", (('model = "cnn"', 'model = "resnet20"'),), "do not fit the model: missing"),
        ("retrain = false", (('weights = "model.safetensors"', 'weights = "IMAGENET1K_V1"'),), "none of torchvision's"),
        ("retrain = false", (("mean = [0.5, 0.5, 0.5]\n", ""),), "give mean and std together"),
        (
            "retrain = false",
            (("[data]", '[data]\ncrop = "centre"'),),
            "unknown key 'data.crop'; choose from: background",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(
    own: Path, there: Here, more: str, changes: tuple[tuple[str, str], ...], words: str
) -> None:
    assert words in usage_error(there, "--profile", profile(own, more, changes))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("zo-ga=1", "write ARM=VALUE, the arm being one of fo-ga"),
        ("fo-ga", "lr: Input should be a valid number"),
        ("fo-ga=fast", "lr: Input should be a valid number"),
        ("fo-ga=-1", "lr: Input should be greater than or equal to 0"),
        ("fo-ga=nan", "lr: Input should be"),
        ("0.1", "write ARM=VALUE"),
    ],
)
def test_a_rate_that_is_none_is_told_in_one_line(own: Path, there: Here, given: str, words: str) -> None:
    assert words in usage_error(there, "--profile", profile(own, "retrain = false"), "--lr", given)


def test_memory_alone_makes_no_models(own: Path, there: Here, tmp_path: Path) -> None:
    mine = profile(own, "retrain = false")
    assert "makes no models" in usage_error(there, "--profile", mine, "--memory-only", "--save-models", tmp_path)


def test_models_that_are_saved_are_part_of_what_a_run_is(own: Path, there: Here, tmp_path: Path) -> None:
    """Who resumes with `--save-models` does not go without models of cases that were finished without."""
    mine = profile(own, "retrain = false\ntarget_accuracy = 80.0")
    options = ("--profile", mine, f"--benchmark-json={tmp_path / 'x.json'}", "--checkpoints", tmp_path, "--no-energy")
    assert there(*options)[0] == 0
    for folder in ("models", "another place"):
        code, said = there(*options, "--resume", "--save-models", tmp_path / folder)
        assert code == 0, said
        assert "resume: 0 finished, 1 to do" in said
        assert len(list((tmp_path / folder).glob("*.safetensors"))) == 1
    _, said = there(*options, "--resume", "--save-models", tmp_path / folder)
    assert "resume: 1 finished, 0 to do" in said


def test_the_profile_that_ships_fits_what_the_example_makes(own: Path, there: Here, tmp_path: Path) -> None:
    folder = tmp_path / "own-model"
    folder.symlink_to(own)
    os.chdir(tmp_path)
    code, said = there("--profile", ROOT / "profiles" / "own-model.toml", "--memory-only", "-k", "zo-ga and seed0")
    assert code == 0, said
    assert "1 measured" in said
