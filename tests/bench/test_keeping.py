"""What must not be lost: checkpoints and the journal."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.journal import Journal, write_atomically
from bench.profile import Training
from bench.workloads.checkpoints import CheckpointKey, load_or_train

KEY = CheckpointKey("cnn", "digits", "data", "samples", Training(epochs=1, batch_size=2, lr=0.1), seed=0)


def trained() -> nn.Module:
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, 7.0)
    return model


def unwanted() -> nn.Module:
    raise AssertionError("trained although the cache holds it")


def test_a_checkpoint_is_trained_once(tmp_path: Path) -> None:
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained)
    again = load_or_train(tmp_path, KEY, nn.Linear(2, 2), unwanted)
    assert torch.equal(again.weight, torch.full((2, 2), 7.0))
    assert not again.training


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "half"])
def test_a_damaged_checkpoint_is_told_and_trained_again(tmp_path: Path, content: bytes | str) -> None:
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained)
    path = tmp_path / KEY.folder / "model.pt"
    path.write_bytes(path.read_bytes()[:200] if isinstance(content, str) else content)
    with pytest.warns(UserWarning, match="is damaged .* training it again"):
        load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained)
    load_or_train(tmp_path, KEY, nn.Linear(2, 2), unwanted)


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / KEY.folder / "model.pt"
    path.parent.mkdir()
    torch.save(trained(), path)  # a pickled module, not a state dict
    with pytest.warns(UserWarning, match="damaged"):
        load_or_train(tmp_path, KEY, nn.Linear(2, 2), trained)


def test_a_failed_training_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        load_or_train(tmp_path, KEY, nn.Linear(2, 2), unwanted)
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
    ],
)
def test_the_folder_depends_on_everything(change: dict[str, object]) -> None:
    assert CheckpointKey(**{**vars(KEY), **change}).folder != KEY.folder


def entry(name: str) -> dict[str, object]:
    return {"fullname": name, "extra_info": {"record": {"outcome": "ok"}}}


def test_a_journal_is_on_disk_as_each_case_ends(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", "f", resume=False)
    journal.append(entry("a"))
    assert Journal(tmp_path / "journal.jsonl", "f", resume=True).entries == {"a": entry("a")}


def test_a_half_written_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "f", resume=False)
    journal.append(entry("a"))
    with path.open("a") as file:
        file.write('{"fingerprint": "f", "bench')
    resumed = Journal(path, "f", resume=True)
    resumed.append(entry("b"))
    assert [json.loads(line)["benchmark"]["fullname"] for line in path.read_text().splitlines()] == ["a", "b"]


def test_a_new_run_keeps_the_former_journal_beside_it(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.jsonl", "f", resume=False).append(entry("a"))
    assert Journal(tmp_path / "journal.jsonl", "f", resume=False).entries == {}
    assert '"a"' in (tmp_path / "journal.previous.jsonl").read_text()


def test_another_run_does_not_count_as_finished(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.jsonl", "f", resume=False).append(entry("a"))
    other = Journal(tmp_path / "journal.jsonl", "g", resume=True)
    assert (other.entries, other.foreign) == ({}, 1)
    assert '"a"' in (tmp_path / "journal.previous.jsonl").read_text()


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["file"]
