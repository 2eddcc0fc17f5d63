"""Finished cases, safe on disk the moment they end, and the benchmark JSON made from them.

The journal is one JSON line a case: what pytest-benchmark would have put into its JSON, and the fingerprint of the
run it belongs to. The final JSON is written from the journal, so a resumed run and an uninterrupted one end alike.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from bench.base.atomic_write import write_text


class Journal:
    """The journal of one run.

    A journal found at `path` is read when resuming; what is not taken over from it stays beside it, in
    `journal.previous.jsonl`.

    Args:
        path: the file; its folder exists.
        fingerprint: of profile, data, code and machine; entries with another one do not count as finished.
        resume: whether to go on from what the file holds.
    """

    def __init__(self, path: Path, fingerprint: str, resume: bool) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.entries: dict[str, dict[str, Any]] = {}
        self.foreign = 0
        if resume and path.exists():
            self._read()
        if path.exists() and (self.foreign or not resume):
            shutil.copyfile(path, path.with_name("journal.previous.jsonl"))
        lines = [self._line(entry) for entry in self.entries.values()]
        write_text(path, "".join(lines))

    def append(self, benchmark: dict[str, Any]) -> None:
        """Add one finished case, as pytest-benchmark's JSON describes it, and push it to the disk."""
        self.entries[benchmark["fullname"]] = benchmark
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._line(benchmark))
            file.flush()
            os.fsync(file.fileno())

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
