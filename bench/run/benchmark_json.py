"""The benchmark JSON, written from the journal instead of from the cases that ran in this process.

pytest-benchmark would write only what it timed itself, nothing at all if a resumed run had nothing left to do, and
straight onto the former file. Its own hooks still fill in the machine and the commit. Every entry of its format has
statistics of a time, so cases without stand beside them.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from bench.base.atomic_write import write_text
from bench.record import UNTIMED
from bench.run.suite import Suite


def write_benchmark_json(path: Path, config: pytest.Config, suite: Suite) -> None:
    """Write everything in the suite's journal to `path`, in pytest-benchmark's format with our `run` beside it.

    A file of another run that is there is kept beside it, as NAME.previous.json. Where no case is finished, nothing is
    written.
    """
    if not suite.journal.entries:
        suite.progress.say(f"no case is finished: {os.path.relpath(path)} stays as it is")
        return
    hook = config.hook
    machine_info = hook.pytest_benchmark_generate_machine_info(config=config)
    hook.pytest_benchmark_update_machine_info(config=config, machine_info=machine_info)
    machine_info.pop("node", None)  # the host's name says nothing about the figures
    commit_info = hook.pytest_benchmark_generate_commit_info(config=config)
    hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit_info)
    output = hook.pytest_benchmark_generate_json(
        config=config, benchmarks=[], include_data=True, machine_info=machine_info, commit_info=commit_info
    )
    entries = sorted(suite.journal.entries.values(), key=lambda entry: entry["fullname"])
    output["run"] = suite.run.model_dump(mode="json")
    output["benchmarks"] = [entry for entry in entries if "stats" in entry]
    output[UNTIMED] = [entry for entry in entries if "stats" not in entry]
    hook.pytest_benchmark_update_json(config=config, benchmarks=[], output_json=output)
    if path.is_file() and not suite.resumed:
        shutil.copyfile(path, path.with_suffix(".previous.json"))
    write_text(path, json.dumps(output, indent=1))
    suite.progress.say(f"{len(entries)} cases in {os.path.relpath(path)}")
