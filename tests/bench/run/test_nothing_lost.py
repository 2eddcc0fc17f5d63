"""A finished run is never lost, and a case is finished only for a run that would measure the same."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from bench.base.paths import ROOT
from bench.record import Run, read_benchmark_json
from tests.bench.conftest import Here
from tests.bench.run.conftest import records, usage_error


def contents(target: Path) -> dict[str, bytes]:
    """Every file beside the JSON, but for the lock, which is empty."""
    return {path.name: path.read_bytes() for path in target.parent.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def finished(straight: Path, tmp_path: Path) -> Path:
    """The JSON of a finished run of all nine cases, with its journal beside it."""
    shutil.copytree(straight.parent, tmp_path / "finished")
    return tmp_path / "finished" / straight.name


@pytest.mark.parametrize("option", [("-n", "2"), ("--dist", "loadfile"), ("--tx", "popen")])
def test_workers_are_refused_before_anything_is_touched(folder: Path, finished: Path, option: tuple[str, str]) -> None:
    """In a process of its own: pytest-xdist is loaded when pytest starts."""
    before = contents(finished)
    command = [sys.executable, "-m", "pytest", "bench/", "-p", "xdist", "-p", "no:cacheprovider", *option]
    command += ["--profile", str(folder / "tiny.toml"), f"--benchmark-json={finished}", "-k", "b1-zo-ga"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    told = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    assert told == [
        "ERROR: cases are timed one after the other, so not by several workers: leave -n (pytest-xdist) out"
    ]
    assert contents(finished) == before


@pytest.mark.parametrize("option", ["--benchmark-skip", "--setup-only"])
def test_a_run_that_finishes_nothing_leaves_a_former_one(folder: Path, finished: Path, here: Here, option: str) -> None:
    before = contents(finished)
    here("--profile", folder / "tiny.toml", f"--benchmark-json={finished}", "-k", "b1-zo-ga", option)
    assert contents(finished) == before


def test_a_second_run_at_the_same_time_is_refused(folder: Path, finished: Path, here: Here) -> None:
    before = contents(finished)
    with FileLock(finished.with_name("journal.jsonl.lock")):
        told = usage_error(here, "--profile", folder / "tiny.toml", f"--benchmark-json={finished}", "-k", "b1-zo-ga")
    assert "another run is writing to" in told
    assert contents(finished) == before


def previous(target: Path) -> dict[str, bytes]:
    """The JSON files and journals of former runs beside it."""
    return {path.name: path.read_bytes() for path in target.parent.glob("*.previous-*")}


@pytest.mark.parametrize("options", [("--no-energy",), ("--no-energy", "--resume"), ("--memory-only", "--resume")])
def test_a_new_run_keeps_the_former_one_beside_it(
    folder: Path, finished: Path, here: Here, options: tuple[str, ...]
) -> None:
    json_before, journal_before = finished.read_bytes(), finished.with_name("journal.jsonl").read_bytes()
    arguments = ("--profile", folder / "tiny.toml", f"--benchmark-json={finished}", "-k", "b1-forward")
    code, said = here(*arguments, *options)
    assert code == 0, said
    assert set(records(finished)) == {"test_step_cost[cnn-b1-forward]"}
    kept = previous(finished)
    assert sorted(kept.values(), key=len) == sorted([json_before, journal_before], key=len)
    assert all(name in said for name in kept)
    here(*arguments, "--no-energy", "--country=USA")  # a third run
    assert kept.items() <= previous(finished).items()


def test_what_was_finished_is_resumed_after_another_run(folder: Path, finished: Path, here: Here) -> None:
    """All nine cases again, with the command of the finished run, though another one came in between."""
    before = records(finished)
    arguments = ("--profile", folder / "tiny.toml", f"--benchmark-json={finished}", f"--checkpoints={folder}")
    assert here(*arguments, "-k", "b1-forward", "--no-energy")[0] == 0
    code, said = here(*arguments, "--resume")
    assert "resume: 9 finished, 0 to do, 1 of another run" in said
    assert code in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert records(finished) == before


@pytest.mark.parametrize(
    "option", ["--benchmark-disable", "--benchmark-disable-gc", "--benchmark-timer=time.monotonic"]
)
def test_how_it_is_timed_is_part_of_what_a_run_is(folder: Path, finished: Path, here: Here, option: str) -> None:
    arguments = ("--profile", folder / "tiny.toml", f"--benchmark-json={finished}", "-k", "b1-zo-ga", "--no-energy")
    code, said = here(*arguments, "--resume", option)
    assert code == 0, said
    assert "resume: 0 finished, 1 to do, 9 of another run" in said


def test_an_untimed_run_is_not_resumed_as_a_timed_one(folder: Path, tmp_path: Path, here: Here) -> None:
    target = tmp_path / "x.json"
    arguments = ("--profile", folder / "tiny.toml", f"--benchmark-json={target}", "-k", "b1-zo-ga", "--no-energy")
    assert here(*arguments, "--benchmark-disable")[0] == 0
    (untimed,) = records(target).values()
    assert untimed.time is None
    code, said = here(*arguments, "--resume")
    assert code == 0, said
    assert "resume: 0 finished, 1 to do, 1 of another run" in said
    (timed,) = records(target).values()
    assert timed.time is not None


@pytest.mark.parametrize(("option", "timed"), [(None, 2), ("--memory-only", 0)])
def test_the_json_loads_in_readers_of_the_format(
    folder: Path, tmp_path: Path, here: Here, option: str | None, timed: int
) -> None:
    """An erasure that never completes is not timed; every entry that a reader sees has its statistics."""
    profile, target = tmp_path / "slow.toml", tmp_path / "x.json"
    profile.write_text((folder / "tiny.toml").read_text().replace("max_steps = 600", "max_steps = 1"))
    arguments = ["--profile", profile, f"--benchmark-json={target}", f"--checkpoints={tmp_path}", "--no-energy"]
    code, said = here(*arguments, "-k", "b1-zo-ga or b1-fo-ga or class:3-zo-ga", *([option] if option else []))
    assert code == 0, said
    content = json.loads(target.read_text())
    assert len(content["benchmarks"]) == timed
    assert all(entry["stats"]["rounds"] > 0 for entry in content["benchmarks"])
    assert len(read_benchmark_json(target)[1]) == 3
    compare = Path(sys.executable).with_name("pytest-benchmark")
    done = subprocess.run([compare, "compare", target], capture_output=True, text=True, check=False)
    assert "Failed to load" not in done.stdout + done.stderr
    assert ("test_step_cost[cnn-b1-zo-ga]" in done.stdout) is bool(timed)
    assert done.returncode == 0


def test_the_profile_stands_in_the_json_as_it_was_read(folder: Path, finished: Path) -> None:
    run = Run.model_validate(json.loads(finished.read_text())["run"])
    assert run.profile_text == (folder / "tiny.toml").read_text()
