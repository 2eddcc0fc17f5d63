"""One erasure by the command, on images made of real digits, from weights that the suite did not train.

What the record says is held against an evaluation that knows nothing of the suite.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from bench.base.paths import ROOT
from bench.record import Record, Run, read_benchmark_json
from bench.workloads.models import ImageSpec, build_model
from bench.workloads.weights import read_metadata


def erase(own: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    given = ["--model", "cnn", "--weights", "model.safetensors", "--data", "photos", "--image-size", "8"]
    given += ["--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5", "--forget", "forget.txt", "--out", out]
    command = [sys.executable, "-W", "error", "-m", "bench.erase", *given, "--no-energy", *more]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(own)}
    return subprocess.run(command, cwd=own, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def erased(own: Path) -> tuple[Run, Record, str]:
    """The run, its one record, and what the command printed."""
    done = erase(own, "erased.safetensors", "--method", "zo-ga", "--lr", "1e-3", "--checkpoints", "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    run, [record] = read_benchmark_json(own / "erased" / "benchmark.json")
    return run, record, done.stdout


def accuracy(weights: Path, photos: Path, names: list[str]) -> float:
    """Of the network with the weights on the images of those names, in percent; by PIL, numpy and torch alone."""
    model = build_model("cnn", ImageSpec(3, 8, 10), seed=3)
    model.load_state_dict(safetensors.torch.load_file(weights))
    classes = sorted(path.name for path in (photos / "train").iterdir())
    pixels = np.stack([np.asarray(Image.open(photos / name).convert("RGB")) for name in names])
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    labels = torch.tensor([classes.index(Path(name).parent.name) for name in names])
    return 100 * (model.eval()(images).argmax(1) == labels).float().mean().item()


def test_the_saved_model_is_worth_what_the_record_says(own: Path, erased: tuple[Run, Record, str]) -> None:
    _, record, _ = erased
    photos = own / "photos"
    asked = (own / "forget.txt").read_text().split()
    train, test = (
        [path.relative_to(photos).as_posix() for path in sorted((photos / part).rglob("*.png"))]
        for part in ("train", "test")
    )
    kept = sorted(set(train) - set(asked))
    assert record.quality is not None
    model = own / "erased.safetensors"
    assert 100 - accuracy(model, photos, asked) == pytest.approx(record.quality.ua, abs=1e-4)
    assert accuracy(model, photos, test) == pytest.approx(record.quality.ta, abs=1e-4)
    # 1,000 of the 1,412 kept images are looked at: within five standard deviations of a share near one
    assert accuracy(model, photos, kept) == pytest.approx(record.quality.ra, abs=2.0)
    assert record.curve is not None
    assert accuracy(own / "model.safetensors", photos, asked) == pytest.approx(record.curve.forget_accuracy[0])


def test_it_is_complete_where_the_model_errs_as_on_unseen_data(own: Path, erased: tuple[Run, Record, str]) -> None:
    _, record, _ = erased
    assert record.erased is not None
    assert record.curve is not None
    assert record.erased.target == pytest.approx(record.curve.test_accuracy[0])
    *before, last = record.curve.forget_accuracy
    assert min(before) > record.erased.target >= last


def test_without_a_retrain_what_needs_one_is_missing_with_the_reason(erased: tuple[Run, Record, str]) -> None:
    _, record, _ = erased
    assert record.quality is not None
    assert record.quality.tow is None
    assert "no Retrain" in record.notes["quality.tow"]
    assert "no learning rate to relearn with" in record.notes["quality.relearned"]
    assert record.origins.retrained is None


def test_whoever_asked_finds_the_files_again(own: Path, erased: tuple[Run, Record, str]) -> None:
    run, record, said = erased
    asked = (own / "forget.txt").read_text().split()
    assert record.erased is not None
    assert record.erased.digest in said
    assert [one.name for one in run.requests[record.erased.digest]] == sorted(asked)
    [told] = json.loads((own / "erased" / "sustainability.json").read_text())
    assert {one["name"] for one in told["samples"][record.erased.digest]} == set(asked)
    statement = (own / "erased" / "sustainability.md").read_text()
    shown = [name for name in asked if name in statement]
    assert len(shown) == 20
    assert record.origins.original is not None
    assert record.origins.original.sha256 in statement


def test_the_saved_model_names_its_record(own: Path, erased: tuple[Run, Record, str]) -> None:
    _, record, _ = erased
    assert read_metadata(own / "erased.safetensors")["record_sha256"] == record.digest


def test_an_erasure_that_does_not_complete_fails_and_writes_no_model(own: Path) -> None:
    done = erase(own, "not.safetensors", "--method", "fo-ga", "--lr", "1e-7", "--max-steps", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not completed in 3 steps" in done.stdout
    assert not (own / "not.safetensors").exists()
    assert "of a former run" not in done.stdout
    assert not list((own / "not").glob("*.safetensors"))


def test_a_class_that_is_given_by_its_index_is_told_by_its_name(own: Path) -> None:
    """Alphabetical: eight, five, four, nine."""
    given = ["--method", "fo-ga", "--lr", "1e-7", "--max-steps", "1"]
    done = erase(own, "nine.safetensors", *given, "--forget", "class:3")
    count = len(list((own / "photos" / "train" / "nine").iterdir()))
    assert "class:3 is nine\n" in done.stdout
    assert f"asked: {count} of 1437 training samples, the class nine, SHA-256 " in done.stdout
    statement = (own / "nine" / "sustainability.md").read_text()
    assert f"{count} samples of class 3 (nine): not forgotten: the model was right on " in statement
    done = erase(own, "nine.safetensors", *given, "--forget", "class:nine")
    assert "class:nine is" not in done.stdout
    assert "the class nine" in done.stdout


def test_a_model_of_a_former_run_is_not_taken_for_this_ones(own: Path) -> None:
    (own / "stale.safetensors").write_bytes(b"another request's")
    done = erase(own, "stale.safetensors", "--method", "fo-ga", "--lr", "1e-7", "--max-steps", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "it has not forgotten; stale.safetensors is of a former run" in done.stdout
    assert (own / "stale.safetensors").read_bytes() == b"another request's"


@pytest.mark.slow
def test_a_rate_is_searched_for_on_other_samples(own: Path) -> None:
    done = erase(own, "searched.safetensors", "--method", "fo-ga-head", "--max-steps", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    run, [record] = read_benchmark_json(own / "searched" / "benchmark.json")
    [cost] = run.tuning
    assert cost.method == "fo-ga-head"
    assert cost.joules is None  # --no-energy
    tried = json.loads((own / "searched" / "profile.tuning.json").read_text())
    assert {trial["scenario"] for trial in tried["trials"]} == {"random:25"}
    assert record.rate is not None
    assert record.rate.lr in {trial["lr"] for trial in tried["trials"]}
    used_up: dict[float, int] = {}
    for trial in tried["trials"]:
        used_up.setdefault(trial["lr"], 0)
        used_up[trial["lr"]] += trial["step"] is None and not trial["diverged"]
    assert list(used_up) == sorted(used_up, reverse=True)
    assert len(tried["trials"]) == 3 * len(used_up)
    counts = list(used_up.values())
    too_low = [min(counts[place : place + 2]) > min(counts[:place]) for place in range(1, len(counts) - 1)]
    assert too_low == [False] * (len(too_low) - 1) + [True]  # it ends with the first two rates that are too low


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--out", "model.pt"), "the model is written as safetensors"),
        (("--out", "photos/../model.safetensors"), "is a model that is read, which would be gone"),
        (("--out", "photos/x.safetensors"), "would lie among the images in photos"),
        (("--out", "photos.safetensors"), "would lie among the images in photos"),
        (("--weights", "other.safetensors"), "no such file"),
        (("--method", "retrain"), "retrain has no learning rate of its own"),
        (("--method", "fo-ga-matched"), "tune zo-ga"),
        (("--model", "resnet20"), "do not fit the model: missing"),
        (("--forget", "nothing.txt"), "No such file"),
        (("--forget", "class:ten"), "no such class"),
        (("--target-accuracy", "all"), "target_accuracy"),
        (("--batch-size", "0"), "batch_sizes"),
        (("--lr", "-1"), "lr: "),
        (("--mean", ".5"), "mean and std together"),
        (("--data", "nowhere"), "no such folder"),
        (("--retrained", "model.safetensors"), "it has seen what is to be forgotten"),
    ],
)
def test_bad_input_is_told_in_one_line(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: str
) -> None:
    from bench.erase.__main__ import main

    monkeypatch.chdir(own)
    given = [
        "--model",
        "cnn",
        "--weights",
        "model.safetensors",
        "--data",
        "photos",
        "--image-size",
        "8",
        "--lr",
        "1e-3",
    ]
    given += ["--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5", "--forget", "forget.txt", "--out", "x.safetensors"]
    assert main([*given, *more]) == 2
    said = capsys.readouterr().err
    assert said.startswith("erase: ")
    assert words in said
    assert said.count("\n") == 1


def test_a_model_that_has_lost_what_is_to_be_kept_is_told(own: Path) -> None:
    done = erase(own, "ruined.safetensors", "--method", "fo-ga", "--lr", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = read_benchmark_json(own / "ruined" / "benchmark.json")[1]
    assert record.quality is not None
    assert record.quality.ra < 90
    assert "points on what is to be kept: try a lower --lr" in done.stdout
