"""The journal: what a run has finished, through kills, full disks and whatever else runs in between."""

import errno
import json
import os
from pathlib import Path

import pytest

from bench.run.journal import Journal, JournalError


def entry(name: str) -> dict[str, object]:
    return {"fullname": name, "extra_info": {"record": {"outcome": "ok"}}}


def run_of(path: Path, fingerprint: str, *names: str, resume: bool = False) -> dict[str, object]:
    """What a run that finishes these cases has in the end."""
    journal = Journal(path, fingerprint, resume)
    for name in names:
        journal.append(entry(name))
    journal.close()
    return journal.entries


def test_a_journal_is_on_disk_as_each_case_ends(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "f", resume=False)
    for count, name in enumerate("abc", start=1):
        journal.append(entry(name))
        assert len(path.read_text().splitlines()) == count
    journal.close()
    assert run_of(path, "f", resume=True) == {name: entry(name) for name in "abc"}


def test_a_half_written_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    run_of(path, "f", "a")
    with path.open("a") as file:
        file.write('[]\n{"fingerprint": "f", "bench')
    run_of(path, "f", "b", resume=True)
    assert [json.loads(line)["benchmark"]["fullname"] for line in path.read_text().splitlines()] == ["a", "b"]


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_finishes_nothing_touches_nothing(tmp_path: Path, resume: bool) -> None:
    path = tmp_path / "journal.jsonl"
    run_of(path, "f", "a")
    before = path.read_bytes()
    run_of(path, "g", resume=resume)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*previous*"))


def test_another_run_does_not_count_as_finished(tmp_path: Path) -> None:
    run_of(tmp_path / "journal.jsonl", "f", "a")
    other = Journal(tmp_path / "journal.jsonl", "g", resume=True)
    assert (other.entries, other.foreign) == ({}, 1)
    other.close()


@pytest.mark.parametrize("between", [[("g", False)], [("g", True)], [("g", False), ("h", False)], [("f", False)]])
def test_a_long_run_is_resumed_whatever_ran_in_between(tmp_path: Path, between: list[tuple[str, bool]]) -> None:
    """Another profile by mistake, with and without --resume, two of them, and the same command from the beginning."""
    path = tmp_path / "journal.jsonl"
    run_of(path, "f", *"abcd")
    for fingerprint, resume in between:
        run_of(path, fingerprint, "a", resume=resume)
    assert set(run_of(path, "f", "e", resume=True)) == set("abcde")
    for fingerprint, _ in between:
        assert "a" in run_of(path, fingerprint, resume=True)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path, "f", resume=False)
    with pytest.raises(JournalError, match="another run is writing to"):
        Journal(path, "g", resume=False)
    first.close()
    run_of(path, "g", "a")


def test_a_journal_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(JournalError, match=r"cannot use .*journal.jsonl: it is no text; give a --benchmark-json"):
        Journal(path, "f", resume=True)


def test_a_full_disk_spoils_nothing_that_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write fails halfway; afterwards there is room again."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "f", resume=False)
    journal.append(entry("a"))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="No space left on device; mend that, and give the command again"):
            journal.append(entry("b"))
    assert path.read_bytes() == before
    assert set(journal.entries) == {"a"}
    journal.append(entry("c"))
    journal.close()
    assert set(run_of(path, "f", resume=True)) == {"a", "c"}
