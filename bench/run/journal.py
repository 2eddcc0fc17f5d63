"""Finished cases, safe on disk the moment they end, and the benchmark JSON made from them.

The journal is one JSON line a case: what pytest-benchmark would have put into its JSON, and the fingerprint of the
run it belongs to. The final JSON is written from the journal, so a resumed run and an uninterrupted one end alike.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.base.atomic_write import write_text


class JournalInUseError(ValueError):
    """Another run writes to the same place; the message is one line and names the way out."""


class Journal:
    """The journal of one run.

    A journal found at `path` is read when resuming. It stays as it is until this run has finished a case of its own;
    what is not taken over from it is then beside it, in `journal.previous.jsonl`.

    Args:
        path: the file; its folder exists.
        fingerprint: of profile, data, code, machine and of what is measured; entries with another one do not count as
            finished.
        resume: whether to go on from what the file holds.

    Attributes:
        entries: the finished cases by their pytest id.
        foreign: how many entries of the file are another run's.

    Raises:
        JournalInUseError: another run has it open.
    """

    def __init__(self, path: Path, fingerprint: str, resume: bool) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.entries: dict[str, dict[str, Any]] = {}
        self.foreign = 0
        self._resume = resume
        self._begun = False
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise JournalInUseError(
                f"another run is writing to {path.parent}: wait for it to end, or give a --benchmark-json elsewhere"
            ) from None
        if resume and path.exists():
            self._read()

    def append(self, benchmark: dict[str, Any]) -> None:
        """Add one finished case, as pytest-benchmark's JSON describes it, and push it to the disk."""
        if not self._begun:
            self._begin()
        self.entries[benchmark["fullname"]] = benchmark
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._line(benchmark))
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Let others write there."""
        self._lock.release()

    def _begin(self) -> None:
        """Put a former journal aside, but for what this run takes over from it."""
        if self.path.exists() and (self.foreign or not self._resume):
            shutil.copyfile(self.path, self.path.with_name("journal.previous.jsonl"))
        write_text(self.path, "".join(self._line(entry) for entry in self.entries.values()))
        self._begun = True

    def _line(self, benchmark: dict[str, Any]) -> str:
        return json.dumps({"fingerprint": self.fingerprint, "benchmark": benchmark}, allow_nan=False) + "\n"

    def _read(self) -> None:
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # the line that a killed run was writing
                continue
            if isinstance(entry, dict) and entry.get("fingerprint") == self.fingerprint:
                self.entries[entry["benchmark"]["fullname"]] = entry["benchmark"]
            else:
                self.foreign += 1
