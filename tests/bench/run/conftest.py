"""A tiny profile, and the ways to run it: in a process of its own, or in this one, which has imported torch already."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import bench.run.suite  # noqa: F401  (pytester unloads what a run in this process imports; torch does not survive that)
from bench.base.paths import ROOT
from bench.record import Record

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


class Here:
    """Runs the suite in this process, which has imported torch already."""

    def __init__(self, pytester: pytest.Pytester, capfd: pytest.CaptureFixture[str]) -> None:
        self.pytester = pytester
        self.capfd = capfd

    def __call__(self, *arguments: object) -> tuple[int, str]:
        """The exit code, and what was printed."""
        start = ("-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider", ROOT / "bench")
        result = self.pytester.runpytest_inprocess(*start, *arguments)
        return int(result.ret), "\n".join([self.capfd.readouterr().out, *result.outlines, *result.errlines])


@pytest.fixture
def here(pytester: pytest.Pytester, capfd: pytest.CaptureFixture[str]) -> Iterator[Here]:
    threads = torch.get_num_threads()
    yield Here(pytester, capfd)
    torch.set_num_threads(threads)


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
