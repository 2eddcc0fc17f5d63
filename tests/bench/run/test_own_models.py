"""Networks of a user's own in whole runs: what is told before the first case, what is trained anew, half precision."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from bench.instruments.ledgers.process_ledger import RESET
from bench.profiles import load_profile
from bench.run.preflight import check_retrain
from bench.workloads.datasets import library
from bench.workloads.models import models
from reports.data.load import load
from reports.data.part import parts
from reports.tables.steps import dtype_table
from tests.bench.conftest import Here
from tests.bench.run.conftest import TINY, command, records, usage_error

MINE = """
import torch
from torch import nn
from bench.workloads.models import models


class Mine(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU())
        self.fc = nn.Linear(32, outputs)

    def forward(self, images):
        logits = self.fc(self.body(images))
        return {"logits": logits, "hidden": images}


@models.register("mine")
def mine(spec):
    return Mine(spec.classes)
"""
LAYER = "self.fc = nn.Linear(32, outputs)"
OWN_DRAWS = LAYER, f"{LAYER}; nn.init.normal_(self.fc.weight, generator=torch.Generator().manual_seed(0))"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the user's module, changed, and a profile of it; returns the profile."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    def files(now: str = "", then: str = "", profile: str = TINY) -> Path:
        monkeypatch.delitem(sys.modules, "mine", raising=False)
        models._entries.pop("mine", None)
        (tmp_path / "mine.py").write_text(MINE.replace(now, then))
        (tmp_path / "mine.toml").write_text(profile.replace('"cnn"', '"mine"'))
        return tmp_path / "mine.toml"

    return files


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        ("Mine(spec.classes)", "Mine(5)", "model 'mine' gives 5 logits for 10 classes"),
        ("Mine(spec.classes)", "Mine(1000)", "model 'mine' gives 1,000 logits for 10 classes"),
        ('"logits": logits', '"scores": logits', "model 'mine' gives a dict of 'scores', 'hidden'"),
        ("Mine(spec.classes)", "Mine(spec.classes).half()", "model 'mine' has float16 parameters"),
        ("Mine(spec.classes)", "Mine(spec.outputs)", "model 'mine': AttributeError: 'ImageSpec' object has no"),
        (*OWN_DRAWS, "model 'mine': its weights (fc.weight) do not depend on the seed"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_before_the_first_case(
    write: Write, here: Here, tmp_path: Path, now: str, then: str, words: str
) -> None:
    said = usage_error(here, "-p", "mine", "--profile", write(now, then), f"--benchmark-json={tmp_path / 'x.json'}")
    assert words in said


def test_loaded_weights_matter_to_retrain_alone(write: Write, here: Here, tmp_path: Path) -> None:
    """Steps alone, the ledgers alone and a plan without a Retrain of ours may load what they like."""
    loaded = write(*OWN_DRAWS)
    target, cases = f"--benchmark-json={tmp_path / 'x.json'}", ["-k", "mine-b1-forward", "--no-energy"]
    code, said = here("-p", "mine", "--profile", loaded, target, *cases)
    assert code == 0, said
    profile = load_profile(str(loaded))
    with pytest.raises(ValueError, match="do not depend on the seed"):
        check_retrain(profile, library(), profile.unlearning_cases())
    plan = profile.unlearning[0].model_copy(update={"retrain": False})
    without = profile.model_copy(update={"unlearning": [plan]})
    check_retrain(without, library(), without.unlearning_cases())


def test_a_changed_module_is_trained_anew_and_its_cases_are_not_resumed(write: Write, tmp_path: Path) -> None:
    target, cache = f"--benchmark-json={tmp_path / 'x.json'}", tmp_path / "cache"

    def said(*more: str) -> str:
        arguments = command(
            tmp_path, target, f"--checkpoints={cache}", "-p", "mine", "--no-energy", "-k", "fo-ga", *more
        )
        arguments[arguments.index("--profile") + 1] = str(tmp_path / "mine.toml")
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    profile = TINY[: TINY.index("[step]")] + TINY[TINY.index("[unlearning]") :]
    write(profile=profile)
    said()
    first = set(cache.iterdir())
    assert "resume: 1 finished, 0 to do" in said("--resume")
    write("nn.ReLU()", "nn.Tanh()", profile)
    assert "resume: 0 finished, 1 to do, 1 of another run" in said("--resume")
    assert len(first) == 2
    assert len(set(cache.iterdir()) - first) == 2


def test_half_precision_in_a_whole_run(write: Write, here: Here, tmp_path: Path) -> None:
    """Steps in both precisions and an erasure in bfloat16, training and Retrain included; told apart in the report."""
    steps = TINY[TINY.index("[step]") : TINY.index("[unlearning]")]
    both = steps.replace("[step]", "[[step]]") + steps.replace("[step]", '[[step]]\ndtype = "bfloat16"')
    profile = TINY.replace(steps, both).replace("[unlearning]\n", '[unlearning]\ndtype = "bfloat16"\n')
    target = tmp_path / "x.json"
    code, said = here(
        "-p", "mine", "--profile", write(profile=profile), f"--benchmark-json={target}", "--no-energy",
        f"--checkpoints={tmp_path / 'cache'}",
    )  # fmt: skip
    assert code == 0, said
    found = records(target)
    assert len(found) == 2 * 6 + 3
    for name, record in found.items():
        assert record.outcome == "ok", name
        assert ("bfloat16" in name) is (record.case.dtype == "bfloat16")
        assert record.memory.process_peak_bytes or not RESET.exists()
    erasures = [record for record in found.values() if record.kind == "unlearning"]
    assert {record.case.setting for record in erasures} == {"mine bfloat16 digits b32 class:3"}
    assert all(record.completion.reached for record in erasures)
    (part,) = parts(load([target]))
    shares = dtype_table(part)
    assert shares is not None
    assert len(shares.rows) == 6
