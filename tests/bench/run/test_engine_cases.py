"""Cases on an engine through the whole suite: what is measured, what is not and why, and a receipt that replays."""

import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from bench.base.paths import ROOT
from bench.record import Record, model_file, read_benchmark_json
from bench.run.suite import RECEIPT
from bench.workloads.models import ImageSpec, build_model
from bench.workloads.weights import load_weights
from tests.bench.conftest import Here
from tests.bench.run.conftest import TINY, usage_error
from zo_core import Receipt, replay
from zo_core.receipt import ReceiptError

PROFILE = (
    TINY[: TINY.index("[step]")]
    + """
[step]
engine = "onnxruntime"
models = ["cnn"]
image_size = 8
batch_sizes = [2]
methods = ["forward", "forward-movable", "fo-ga-head", "zo-ga"]

[unlearning]
engine = "onnxruntime"
model = "cnn"
image_size = 8
batch_sizes = [4]
scenarios = ["class:3"]
methods = ["fo-ga-head", "zo-ga-fast"]
seeds = [0]
horizon = 1.0
max_steps = 600

[unlearning.training]
epochs = 2
batch_size = 64
lr = 0.1

[unlearning.hyperparameters]
fo-ga-head = { lr = 3e-2 }
zo-ga-fast = { lr = 1e-3, tail = "layer" }
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine")
    (path / "engine.toml").write_text(PROFILE)
    return path


def suite(folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """A run in a process of its own: what exports networks does not survive being unloaded and imported again."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(ROOT), "-p", "no:cacheprovider", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def records(folder: Path) -> dict[str, Record]:
    """Of one run, by the case."""
    out, models = folder / "benchmark.json", folder / "models"
    options = ("--profile", folder / "engine.toml", "--save-models", models, "--checkpoints", folder)
    done = suite(folder, *options, f"--benchmark-json={out}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower()
    return {record.case.id: record for record in read_benchmark_json(out)[1]}


def test_a_step_has_the_process_ledger_alone(records: dict[str, Record]) -> None:
    found = [record for record in records.values() if record.kind == "step"]
    assert {record.case.method for record in found} == {"forward", "forward-movable", "fo-ga-head", "zo-ga"}
    for record in found:
        assert record.case.id.endswith("-onnxruntime")
        assert record.memory.tensor_peak_bytes is record.memory.allocator_peak_bytes is None
        assert "onnxruntime holds its memory" in record.notes["memory.tensor_peak_bytes"]
        assert record.memory.process_start_bytes is not None
        assert record.memory.process_peak_bytes is not None
        assert record.memory.process_start_bytes < record.memory.process_peak_bytes < 150 * 2**20
        assert record.time is not None


def test_an_erasure_is_judged_as_any_other(records: dict[str, Record]) -> None:
    for record in records.values():
        if record.kind == "unlearning":
            assert record.case.setting == "cnn onnxruntime digits b4 class:3"
            assert record.ending.startswith("completed")
            assert record.quality is not None
            assert record.quality.tow is not None
            assert record.completion is not None
            forwards = {"fo-ga-head": 1, "zo-ga-fast": 2}[record.case.method]
            assert record.completion.step is not None
            assert record.completion.sample_forwards == pytest.approx(forwards * 4 * record.completion.step)


def test_the_receipt_of_a_saved_model_leads_to_it(folder: Path, records: dict[str, Record]) -> None:
    record = next(one for one in records.values() if one.case.method == "zo-ga-fast")
    path = folder / "models" / model_file(record.case)
    text = path.with_suffix(RECEIPT).read_text()
    assert record.receipt_sha256 == sha256(text.encode()).hexdigest()
    original, erased = (build_model("cnn", ImageSpec(1, 8, 10), seed=0) for _ in range(2))
    load_weights(erased, str(path), "cnn")
    receipt, replayed = Receipt.from_json(text), 0
    for trained in folder.glob("*/model.pt"):  # the original, and Retrain, from which the steps lead elsewhere
        load_weights(original, str(trained), "cnn")
        with suppress(ReceiptError):
            replay(original, receipt)
            replayed += 1
            for one, other in zip(original.parameters(), erased.parameters(), strict=True):
                assert torch.equal(one, other)
    assert replayed == 1
    head = next(one for one in records.values() if one.case.method == "fo-ga-head" and one.kind == "unlearning")
    assert head.receipt_sha256 is None
    assert not (folder / "models" / model_file(head.case)).with_suffix(RECEIPT).exists()


def test_an_arm_that_needs_autograd_is_refused_before_anything_runs(folder: Path, here: Here) -> None:
    path = folder / "wrong.toml"
    path.write_text(PROFILE.replace('"fo-ga-head", "zo-ga"]', '"fo-ga"]'))
    said = usage_error(here, "--profile", path)
    assert "unknown method 'fo-ga' for step cases on onnxruntime; choose from: forward, forward-movable, fo-ga" in said


UNRULY = """
from torch import nn
from bench.workloads.models import models

class Unruly(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.last = nn.Linear(spec.channels * spec.size**2, spec.classes)

    def forward(self, x):
        logits = self.last(x.flatten(1))
        return logits if float(logits.sum()) > 0 else 2 * logits  # which no graph holds

models.register("unruly")(Unruly)
"""


def test_a_network_that_cannot_be_exported_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "unruly_net.py").write_text(UNRULY)
    path = tmp_path / "unruly.toml"
    path.write_text(PROFILE[: PROFILE.index("[unlearning]")].replace('models = ["cnn"]', 'models = ["unruly"]'))
    done = suite(tmp_path, "-p", "unruly_net", "--profile", path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("ERROR: model 'unruly' cannot run on an engine: torch cannot export the network: ")
