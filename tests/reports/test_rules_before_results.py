"""What makes a verdict was committed before the run that it judges."""

import json
import subprocess
import tomllib
from datetime import datetime
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from bench.record import Rules, Run, read_benchmark_json
from tests.reports.conftest import GALLERY

RUNS = sorted(path.name for path in GALLERY.iterdir() if path.is_dir())


def git(*arguments: str) -> str:
    """What it prints; skips where the history is not there, as in a shallow clone or an archive."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"git {' '.join(arguments)}: {done.stderr.strip() or 'not so'}")
    return done.stdout


def run_of(name: str) -> Run:
    return read_benchmark_json(Path(GALLERY / name / "benchmark.json"))[0]


@pytest.mark.parametrize("name", RUNS)
def test_the_rules_are_those_of_a_commit_before_the_run(name: str) -> None:
    run = run_of(name)
    assert run.dirty is False
    assert run.commit is not None
    committed = datetime.fromisoformat(git("show", "-s", "--format=%cI", run.commit).strip())
    assert committed < datetime.fromisoformat(run.started)
    held = tomllib.loads(git("show", f"{run.commit}:profiles/{run.profile}.toml"))
    assert tomllib.loads(run.profile_text) == held
    recorded = json.loads((GALLERY / name / "benchmark.json").read_text())["run"]["rules"]
    given = Rules.model_validate(held.get("rules", {})).model_dump(mode="json")
    assert recorded == {rule: given[rule] for rule in recorded}
    assert held.get("rules", {}).keys() <= recorded.keys()


@pytest.mark.parametrize("name", RUNS)
def test_that_commit_is_in_the_history(name: str) -> None:
    commit = str(run_of(name).commit)
    git("cat-file", "-e", f"{commit}^{{commit}}")
    found = subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT, check=False)
    assert found.returncode == 0
