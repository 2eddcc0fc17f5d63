"""The cache of trained models: what must not be lost, and what must not be believed."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.profiles import Training
from bench.workloads.datasets import library
from bench.workloads.models import build_model
from bench.workloads.training.checkpoints import CheckpointKey, load_or_train
from bench.workloads.training.lesson import Lesson, learn

KEY = CheckpointKey("cnn", "digits", "data", "samples", Training(epochs=1, batch_size=2, lr=0.1), seed=0, source="code")


def trained(_: Path) -> nn.Module:
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, 7.0)
    return model


def unwanted(_: Path) -> nn.Module:
    raise AssertionError("trained although the cache holds it")


def test_a_checkpoint_is_trained_once(tmp_path: Path) -> None:
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained, print)
    again = load_or_train(tmp_path, KEY, nn.Linear(2, 2), unwanted, print)
    assert torch.equal(again.weight, torch.full((2, 2), 7.0))
    assert not again.training


@pytest.mark.parametrize("content", ["empty", "junk", "half", "module", "list", "other keys"])
def test_a_damaged_checkpoint_is_told_and_trained_again(tmp_path: Path, content: str) -> None:
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained, print)
    path = tmp_path / KEY.folder / "model.pt"
    {
        "empty": lambda: path.write_bytes(b""),
        "junk": lambda: path.write_bytes(b"not a checkpoint"),
        "half": lambda: path.write_bytes(path.read_bytes()[:200]),
        "module": lambda: torch.save(trained(path), path),  # pickled code, which must not run
        "list": lambda: torch.save([1, 2], path),
        "other keys": lambda: torch.save({"a": torch.ones(2)}, path),
    }[content]()
    told: list[str] = []
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained, told.append)
    assert len(told) == 1
    assert re.search(r"^checkpoint cnn-digits-seed0-\w+ is damaged \(\w+\); training it again$", told[0])
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), unwanted, print)


def test_a_failed_training_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        load_or_train(tmp_path, KEY, nn.Linear(2, 2), unwanted, print)
    assert not list(tmp_path.rglob("*.pt*"))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "resnet20"},
        {"dataset": "mnist"},
        {"data": "other"},
        {"samples": "other"},
        {"training": Training(epochs=2, batch_size=2, lr=0.1)},
        {"seed": 1},
        {"source": "other"},
        {"dtype": "bfloat16"},
    ],
)
def test_the_folder_depends_on_everything(change: dict[str, object]) -> None:
    assert CheckpointKey(**{**vars(KEY), **change}).folder != KEY.folder


def test_the_model_that_is_filled_is_the_one_that_is_given(tmp_path: Path) -> None:
    """It may run its passes otherwise than training did."""
    model = nn.Linear(2, 2)
    assert load_or_train(tmp_path, KEY, model, trained, print) is model
    assert torch.equal(model.weight, torch.full((2, 2), 7.0))


def test_what_cannot_be_gone_on_with_is_told_and_begun_again(tmp_path: Path) -> None:
    unfinished, told = tmp_path / KEY.folder / "unfinished.pt", list[str]()
    unfinished.parent.mkdir()
    unfinished.write_bytes(b"half a file")
    lesson = Lesson(
        "cnn",
        library()("digits", 8),
        torch.arange(64),
        Training(epochs=1, batch_size=32, lr=0.1),
        0,
        torch.device("cpu"),
    )
    model = build_model("cnn", lesson.data.spec, 1)
    load_or_train(tmp_path, KEY, model, lambda path: learn(lesson, unfinished=path), told.append)
    assert len(told) == 1
    assert re.search(
        r"^the unfinished training of cnn-digits-seed0-\w+ cannot be gone on with \(\w+\); beginning it again$", told[0]
    )
    assert torch.equal(model[0].weight, learn(lesson)[0].weight)
    assert [path.name for path in unfinished.parent.iterdir()] == ["model.pt"]
