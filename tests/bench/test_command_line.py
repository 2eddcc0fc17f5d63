"""`pytest bench/` as a person types it: names, bad input, the JSON's place, a kill and a resume."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import bench.session  # noqa: F401  (pytester unloads what a run in this process imports; torch does not survive that)
from bench.instruments.machine import available_devices
from bench.json_option import DEFAULT_JSON
from bench.record import Record, Run

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = """
description = "one model, small batches, short runs"
dataset = "digits"
devices = ["cpu"]
threads = 1
country = "FRA"
window_s = 0.1

[step]
models = ["cnn"]
image_size = 8
batch_sizes = [1, 4]
methods = ["forward", "fo-ga", "zo-ga"]
seconds = 0.05

[unlearning]
model = "cnn"
image_size = 8
batch_size = 32
scenarios = ["class:3"]
methods = ["retrain", "fo-ga", "zo-ga"]
seeds = [0]
horizon = 1.0
max_steps = 600

[unlearning.training]
epochs = 2
batch_size = 64
lr = 0.1

[unlearning.learning_rates]
fo-ga = 1e-2
zo-ga = 1e-3
"""


@pytest.fixture(scope="module")
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
    entries = json.loads(path.read_text())["benchmarks"]
    return {entry["name"]: Record.model_validate(entry["extra_info"]["record"]) for entry in entries}


def without_time_and_energy(record: Record) -> dict[str, Any]:
    """All that must be the same in every run: everything but seconds, joules, and why there are none."""
    left = record.model_dump(exclude={"time", "energy", "notes"})
    if left["completion"] is not None:
        left["completion"] = {k: v for k, v in left["completion"].items() if k not in ("seconds", "joules")}
    return left


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    """A whole run of the tiny profile, with a checkpoint cache of its own."""
    path = folder / "made" / "on" / "the" / "way" / "x.json"
    done = run(folder, f"--benchmark-json={path}", f"--checkpoints={folder / 'straight'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout
    assert "warning" not in done.stdout
    assert "[9/9] test_unlearning[cnn-class:3-zo-ga-seed0]  ok" in done.stdout
    return path


def test_every_case_has_its_record(straight: Path) -> None:
    found = records(straight)
    assert set(found) == {
        *(f"test_step_cost[cnn-b{b}-{m}]" for b in (1, 4) for m in ("forward", "fo-ga", "zo-ga")),
        *(f"test_unlearning[cnn-class:3-{m}-seed0]" for m in ("retrain", "fo-ga", "zo-ga")),
    }
    run = Run.model_validate(json.loads(straight.read_text())["run"])
    assert run.profile == "tiny"
    assert "bench/" in run.command


def test_what_is_measured_is_there_and_what_is_not_has_a_reason(straight: Path) -> None:
    for record in records(straight).values():
        assert record.memory.tensor_peak_bytes is not None
        assert record.memory.tensor_peak_bytes >= record.model_bytes
        for name in ("allocator_peak_bytes", "process_peak_bytes"):
            assert getattr(record.memory, name) is None
            assert record.notes[f"memory.{name}"]
        assert record.energy is not None
        assert (record.energy.joules_per_step is None) is ("energy" in record.notes)
        for name in ("time", "curve"):
            assert getattr(record, name) is not None or record.kind == "step" or record.notes[name]
    step = records(straight)["test_step_cost[cnn-b4-zo-ga]"]
    assert step.time is not None
    assert step.time.times_two_forwards > 0.5


def test_runs_go_past_completion_and_count_its_cost(straight: Path) -> None:
    for method, cost in (("fo-ga", 3), ("zo-ga", 2)):
        record = records(straight)[f"test_unlearning[cnn-class:3-{method}-seed0]"]
        assert record.completion is not None
        assert record.completion.step is not None
        assert record.completion.forward_equivalents == cost * record.completion.step
        assert record.curve is not None
        at = record.curve.step.index(record.completion.step)
        accuracy = record.curve.forget_accuracy
        assert accuracy[at] <= 10 < min(accuracy[:at])
        assert record.curve.step[-1] == 2 * record.completion.step or record.outcome == "diverged"
        assert record.quality is not None
        assert record.quality.ua == 100 - accuracy[at]
        assert record.curve.distance[0] == 0 < record.curve.distance[at]


def test_retrain_is_its_own_reference(straight: Path) -> None:
    record = records(straight)["test_unlearning[cnn-class:3-retrain-seed0]"]
    assert record.quality is not None
    assert (record.quality.tow, record.quality.ua) == (1, 100)  # it has never seen the class


def test_a_killed_run_is_resumed_and_ends_as_a_straight_one(folder: Path, straight: Path) -> None:
    """SIGKILL after three cases; the resumed run keeps them to the letter, and everything equals the straight run."""
    target, journal = folder / "killed" / "x.json", folder / "killed" / "journal.jsonl"
    arguments = [f"--benchmark-json={target}", f"--checkpoints={folder / 'killed-cache'}"]
    process = subprocess.Popen(command(folder, *arguments), cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not journal.exists() or len(journal.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline, "no case ended in two minutes"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = [json.loads(line)["benchmark"] for line in journal.read_text().splitlines() if line.endswith("}")]
    assert 3 <= len(kept) < 9
    assert not target.exists()
    done = run(folder, *arguments, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"resume: {len(kept)} finished, {9 - len(kept)} to do, 0 of another run" in done.stdout
    entries = {entry["name"]: entry for entry in json.loads(target.read_text())["benchmarks"]}
    assert all(entries[entry["name"]] == entry for entry in kept)
    resumed, whole = records(target), records(straight)
    assert set(resumed) == set(whole)
    for name, record in resumed.items():
        assert without_time_and_energy(record) == without_time_and_energy(whole[name]), name


def test_resuming_a_finished_run_runs_nothing_and_writes_all(folder: Path, straight: Path) -> None:
    before = records(straight)
    straight.unlink()
    done = run(folder, f"--benchmark-json={straight}", f"--checkpoints={folder / 'straight'}", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resume: 9 finished, 0 to do" in done.stdout
    assert records(straight) == before


def test_another_profile_does_not_resume(folder: Path, straight: Path) -> None:
    arguments = (f"--benchmark-json={straight.parent / 'y.json'}", f"--checkpoints={folder / 'straight'}")
    saved = straight.with_name("journal.jsonl").read_text()
    done = run(folder, *arguments, "--resume", "--country=USA", "-k", "b1-forward")
    assert "resume: 0 finished, 1 to do, 9 of another run" in done.stdout
    assert straight.with_name("journal.previous.jsonl").read_text() == saved
    straight.with_name("journal.jsonl").write_text(saved)


def test_selecting_by_name_runs_only_that(folder: Path) -> None:
    target = folder / "selected" / "x.json"
    done = run(folder, f"--benchmark-json={target}", f"--checkpoints={folder / 'straight'}", "-k", "zo-ga and b1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(records(target)) == {"test_step_cost[cnn-b1-zo-ga]"}


def test_names_are_readable() -> None:
    listing = [sys.executable, "-m", "pytest", "bench/", "--collect-only", "-q"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert "bench/test_step_cost.py::test_step_cost[resnet18-b8-zo-ga]" in lines
    assert "bench/test_unlearning.py::test_unlearning[cnn-class:3-zo-ga-seed0]" in lines
    assert "45 tests collected" in done.stdout


def usage_error(pytester: pytest.Pytester, *arguments: object) -> str:
    """Run the suite in this process; returns the one line of its usage error."""
    start = ("-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider", ROOT / "bench")
    result = pytester.runpytest_inprocess(*start, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, "\n".join(result.outlines)
    assert not any("passed" in line for line in result.outlines)
    told = [line for line in result.errlines if line.startswith("ERROR:")]
    assert len(told) == 1, result.errlines
    return told[0]


def test_the_literal_option_has_a_default(pytester: pytest.Pytester) -> None:
    start = ("-c", ROOT / "pyproject.toml", "--rootdir", ROOT)
    config = pytester.parseconfig(*start, ROOT / "tests", "--benchmark-json")
    assert config.option.benchmark_json == DEFAULT_JSON == ROOT / "reports" / "latest" / "benchmark.json"
    config = pytester.parseconfig(*start, ROOT / "tests", "--benchmark-json=some/x.json")
    assert config.option.benchmark_json == Path("some/x.json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "nope"], "no profile 'nope'; choose from:"),
        (["--device", "tpu"], "device 'tpu' is not available here; choose from: cpu"),
        (["--country", "Narnia"], "no electricity data for country 'Narnia'; choose"),
        (["--benchmark-json", "/proc/nope/x.json"], "cannot make the folder /proc/nope"),
        (["--benchmark-json", "."], "is a folder; give the name of a file"),
    ],
)
def test_bad_options_are_told_in_one_line(pytester: pytest.Pytester, arguments: list[str], words: str) -> None:
    assert words in usage_error(pytester, *arguments)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("threads", "treads", "unknown key 'treads'; choose from:"),
        ('"cnn"]', '"cmm"]', "unknown model 'cmm'; choose from:"),
        ('"zo-ga"]\nseconds', '"zo"]\nseconds', "unknown method 'zo' for step cases; choose from:"),
        ('"digits"', '"digitz"', "unknown dataset 'digitz'; choose from:"),
        ('"class:3"', '"klass:3"', "unknown scenario 'klass:3'; write class:K"),
        ('"class:3"', '"class:12"', "class:12: no such class in the data; choose from: 0, 1,"),
        ('"digits"', '"imagefolder:nowhere"', "imagefolder:nowhere: there is no such folder"),
        ('"digits"', '"cifar10"', "needs --data-root DIR"),
        ('"cnn"]\nimage_size = 8', '"alexnet"]\nimage_size = 8', "'alexnet' does not take 8x8 images"),
    ],
)
def test_bad_profiles_are_told_in_one_line(
    pytester: pytest.Pytester, tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in TINY
    (tmp_path / "bad.toml").write_text(TINY.replace(old, new, 1))
    target = tmp_path / "out" / "x.json"
    assert words in usage_error(pytester, "--profile", tmp_path / "bad.toml", f"--benchmark-json={target}")
    assert not target.exists()


@pytest.mark.skipif("cuda" in available_devices(), reason="there is a CUDA device here")
def test_a_missing_accelerator_is_an_error_by_name_and_a_skip_by_profile(
    pytester: pytest.Pytester, tmp_path: Path, folder: Path
) -> None:
    assert "device 'cuda' is not available here; choose from: cpu" in usage_error(pytester, "--device", "cuda")
    (tmp_path / "both.toml").write_text(TINY.replace('["cpu"]', '["cuda"]'))
    done = run(folder, "--profile", str(tmp_path / "both.toml"), f"--benchmark-json={tmp_path / 'x.json'}", "-rs")
    assert "9 skipped" in done.stdout
    assert "no cuda device here, and profile 'both' merely allows it" in done.stdout


def test_a_user_extends_both_registries_in_a_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from bench.workloads.datasets import ImageData, datasets\n"
        "from bench.workloads.models import models\n"
        "@models.register('my-net')\n"
        "def my_net(spec):\n"
        "    n = spec.channels * spec.size**2\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n, spec.classes))\n"
        "@datasets.register('my-data')\n"
        "def my_data(source):\n"
        "    images, labels = torch.randn(40, 2, 8, 8), torch.arange(40) % 4\n"
        "    return ImageData(images, labels, images, labels, ('a', 'b', 'c', 'd'))\n"
    )
    profile = TINY.replace('["cnn"]', '["my-net"]').replace('"digits"', '"my-data"')
    (tmp_path / "mine.toml").write_text(profile)
    target = tmp_path / "x.json"
    arguments = ["-p", "mine", "--profile", str(tmp_path / "mine.toml"), f"--benchmark-json={target}", "-k", "b4"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command(folder, *arguments), cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(target)["test_step_cost[my-net-b4-zo-ga]"].model_bytes == 4 * (2 * 64 + 1) * 4
