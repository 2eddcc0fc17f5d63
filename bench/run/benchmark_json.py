"""The benchmark JSON, written from the journal instead of from the cases that ran in this process.

pytest-benchmark would write only what it timed itself, nothing at all if a resumed run had nothing left to do, and
straight onto the former file. Its own hooks still fill in the machine and the commit. Every entry of its format has
statistics of a time, so cases without stand beside them.
"""

import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.base.atomic_write import write_text
from bench.base.json_text import with_tables
from bench.record import UNTIMED
from bench.run.journal import SHORT
from bench.run.suite import Suite


def write_benchmark_json(path: Path, config: pytest.Config, suite: Suite) -> None:
    """Write everything in the suite's journal to `path`, in pytest-benchmark's format with our `run` beside it.

    A file that is there is kept beside it, as NAME.previous-FINGERPRINT.json, if it holds anything that this one will
    not. Where no case is finished, nothing is written.

    Raises:
        OSError: it cannot be written.
    """
    if not suite.journal.entries:
        suite.progress.say("no case is finished: nothing is written")
        return
    kept = _keep_former(path, suite)
    content = _content(config, suite)
    write_text(path, with_tables(content, {name: content.pop(name) for name in ("benchmarks", UNTIMED)}))
    beside = f"; what was there is {kept.name} now" if kept else ""
    suite.progress.say(f"{len(suite.journal.entries)} cases in {os.path.relpath(path)}{beside}")


def _content(config: pytest.Config, suite: Suite) -> dict[str, Any]:
    hook = config.hook
    machine_info = hook.pytest_benchmark_generate_machine_info(config=config)
    hook.pytest_benchmark_update_machine_info(config=config, machine_info=machine_info)
    machine_info.pop("node", None)  # the host's name says nothing about the figures
    commit_info = hook.pytest_benchmark_generate_commit_info(config=config)
    hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit_info)
    output: dict[str, Any] = hook.pytest_benchmark_generate_json(
        config=config, benchmarks=[], include_data=True, machine_info=machine_info, commit_info=commit_info
    )
    entries = sorted(suite.journal.entries.values(), key=lambda entry: entry["fullname"])
    output["run"] = suite.run.model_dump(mode="json")
    output["benchmarks"] = [entry for entry in entries if "stats" in entry]
    output[UNTIMED] = [entry for entry in entries if "stats" not in entry]
    hook.pytest_benchmark_update_json(config=config, benchmarks=[], output_json=output)
    return output


def _keep_former(path: Path, suite: Suite) -> Path | None:
    """Copy a former file under a name of its own; None if there is none, or all in it is in the journal, too."""
    if not path.is_file():
        return None
    fingerprint = "unknown"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fingerprint = str(content["run"]["fingerprint"])
        names = {entry["fullname"] for entry in (*content["benchmarks"], *content[UNTIMED])}
        if fingerprint == suite.run.fingerprint and names <= suite.journal.entries.keys():
            return None
    except (ValueError, KeyError, TypeError):
        pass  # another tool's, or damaged: kept all the same
    stem = f"{path.stem}.previous-{fingerprint[:SHORT]}"
    numbers = itertools.chain([""], (f"-{count}" for count in itertools.count(2)))
    free = (path.with_name(f"{stem}{number}{path.suffix}") for number in numbers)
    same = path.read_bytes()
    target = next(target for target in free if not target.exists() or target.read_bytes() == same)
    shutil.copyfile(path, target)
    return target
