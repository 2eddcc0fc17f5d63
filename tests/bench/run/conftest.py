"""A tiny profile, a whole run of it, and what runs are looked at by."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from bench.record import Record
from tests.bench.conftest import Here

TINY = """
description = "one model, small batches, short runs"
dataset = "digits"
devices = ["cpu"]
threads = 1
country = "FRA"
window_s = 0.1
timing_s = 0.05

[step]
models = ["cnn"]
image_size = 8
batch_sizes = [1, 4]
methods = ["forward", "fo-ga", "zo-ga"]

[unlearning]
model = "cnn"
image_size = 8
batch_sizes = [32]
scenarios = ["class:3"]
methods = ["retrain", "fo-ga", "zo-ga"]
seeds = [0]
horizon = 1.0
max_steps = 600

[unlearning.training]
epochs = 2
batch_size = 64
lr = 0.1

[unlearning.hyperparameters]
fo-ga = { lr = 1e-2 }
zo-ga = { lr = 1e-3 }
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    (path / "tiny.toml").write_text(TINY)
    return path


def command(folder: Path, *arguments: str) -> list[str]:
    profile = str(folder / "tiny.toml")
    return [sys.executable, "-m", "pytest", "bench/", "-p", "no:cacheprovider", "--profile", profile, *arguments]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)


def records(path: Path) -> dict[str, Record]:
    """The records of a benchmark JSON by the names of their cases."""
    content = json.loads(path.read_text())
    entries = [*content["benchmarks"], *content["untimed"]]
    return {entry["name"]: Record.model_validate(entry["extra_info"]["record"]) for entry in entries}


@pytest.fixture(scope="session")
def straight(folder: Path) -> Path:
    """A whole run of the tiny profile, with a checkpoint cache of its own."""
    path = folder / "made" / "on" / "the" / "way" / "x.json"
    done = run(folder, f"--benchmark-json={path}", f"--checkpoints={folder / 'straight'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout
    (path.parent / "said.txt").write_text(done.stdout)
    return path


def usage_error(here: Here, *arguments: object) -> str:
    """The one line of the run's usage error."""
    code, said = here(*arguments)
    assert code == pytest.ExitCode.USAGE_ERROR, said
    assert "passed" not in said
    told = {line for line in said.splitlines() if line.startswith("ERROR:")}
    assert len(told) == 1, said
    return told.pop()
