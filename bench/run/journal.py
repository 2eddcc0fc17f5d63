"""Finished cases, safe on disk the moment they end, and the benchmark JSON made from them.

The journal is one JSON line a case: what pytest-benchmark would have put into its JSON, and the fingerprint of the
run it belongs to. The final JSON is written from the journal, so a resumed run and an uninterrupted one end alike.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.base.atomic_write import write_text

SHORT = 8  # letters of a fingerprint, in the name of a file


class JournalError(ValueError):
    """The journal cannot be used; the message is one line and names the way out."""


class Journal:
    """The journal of one run.

    A journal found at `path` is read when resuming. It stays as it is until this run has finished a case of its own;
    its entries that this run does not take over then move to `journal.previous-FINGERPRINT.jsonl` beside it, each to
    that of its own run, where a later run of the same kind finds them again. Nothing is ever removed from there.

    Args:
        path: the file; its folder exists.
        fingerprint: of profile, data, code, machine and of what is measured; entries with another one do not count as
            finished.
        resume: whether to go on from what was finished before.

    Attributes:
        entries: the finished cases by their pytest id.
        foreign: how many entries of the file are another run's.
        put_aside: the files that entries have moved to.

    Raises:
        JournalError: another run has it open, or it cannot be read.
    """

    def __init__(self, path: Path, fingerprint: str, resume: bool) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.entries: dict[str, dict[str, Any]] = {}
        self.foreign = 0
        self.put_aside: list[Path] = []
        self._resume = resume
        self._begun = False
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            self._lock.acquire(blocking=False)
            if resume:
                self._read()
        except Timeout:
            raise JournalError(
                f"another run is writing to {path.parent}: wait for it to end, or give a --benchmark-json elsewhere"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise JournalError(f"cannot use {path}: {reason}; give a --benchmark-json elsewhere") from None

    def append(self, benchmark: dict[str, Any]) -> None:
        """Add one finished case, as pytest-benchmark's JSON describes it, and push it to the disk.

        Raises:
            JournalError: it cannot be written; what was finished before is as it was.
        """
        line = self._line(self.fingerprint, benchmark)
        before = None
        try:
            if not self._begun:
                self._begin()
            before = self.path.stat().st_size
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if before is not None:
                os.truncate(self.path, before)  # half a line would spoil the next
            raise JournalError(
                f"cannot write {self.path}: {error.strerror}; mend that, and give the command again with --resume"
            ) from None
        self.entries[benchmark["fullname"]] = benchmark

    def close(self) -> None:
        """Let others write there."""
        self._lock.release()

    def _begin(self) -> None:
        """Put aside what this run does not take over, and begin with what it does."""
        aside: dict[Path, list[str]] = {}
        for fingerprint, benchmark in _entries(self.path):
            if fingerprint != self.fingerprint or not self._resume:
                aside.setdefault(self._previous(fingerprint), []).append(self._line(fingerprint, benchmark))
        for path, lines in aside.items():
            with path.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        write_text(self.path, "".join(self._line(self.fingerprint, entry) for entry in self.entries.values()))
        self.put_aside = list(aside)
        self._begun = True

    def _read(self) -> None:
        for path in (self._previous(self.fingerprint), self.path):
            for fingerprint, benchmark in _entries(path):
                if fingerprint == self.fingerprint:
                    self.entries[benchmark["fullname"]] = benchmark
                else:
                    self.foreign += 1

    def _previous(self, fingerprint: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.previous-{fingerprint[:SHORT]}{self.path.suffix}")

    @staticmethod
    def _line(fingerprint: str, benchmark: dict[str, Any]) -> str:
        return json.dumps({"fingerprint": fingerprint, "benchmark": benchmark}, allow_nan=False) + "\n"


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Fingerprint and case of every line; none where there is no file. What a killed run half wrote is passed over."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            yield entry["fingerprint"], entry["benchmark"]
        except (json.JSONDecodeError, TypeError, KeyError):
            continue
