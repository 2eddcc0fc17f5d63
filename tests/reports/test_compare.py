"""Two runs of one machine: bytes to the byte, times as ratios."""

import pytest

from bench.record import Record
from reports.__main__ import main
from reports.compare import compare
from tests.reports.conftest import Write, step_record, unlearning_record


def cells(write_json: Write, before: Record, after: Record, processor: str = "A CPU") -> dict[str, str]:
    found = compare(write_json([before], "a.json"), write_json([after], "b.json", processor=processor))
    return dict(zip(found.table.columns, found.table.rows[0], strict=True))


def taking(record: Record, extra: int, factor: float) -> Record:
    """The record with so many bytes more, and a step that takes so much longer."""
    assert record.time is not None
    assert record.memory.tensor_peak_bytes is not None
    peak = record.memory.tensor_peak_bytes + extra
    names = ("times_two_forwards", "times_two_forwards_q1", "times_two_forwards_q3")
    time = record.time.model_copy(update={name: factor * getattr(record.time, name) for name in names})
    memory = record.memory.model_copy(update={"tensor_peak_bytes": peak})
    return record.model_copy(update={"memory": memory, "time": time})


def test_memory_is_compared_to_the_byte_and_time_by_its_ratio(write_json: Write) -> None:
    before = step_record("zo-ga", 4)
    row = cells(write_json, before, taking(before, extra=1, factor=1.5))
    assert row["case"] == "cnn-b4-zo-ga"
    assert row["tensor peak, bytes"] == f"{8 * 2**20 + 1:,} (+1)"
    assert row["allocator peak, bytes"] == "n/a"
    assert row["time over two forwards"] == "1.50 (x1.50)"
    assert cells(write_json, before, before)["tensor peak, bytes"] == "="


def test_a_ratio_within_the_quartiles_is_called_so(write_json: Write) -> None:
    """The fixture's quartiles are 1 / 1.05 and 1 / 0.95 of the median."""
    before = step_record("zo-ga", 4)
    assert cells(write_json, before, taking(before, 0, 1.1))["time over two forwards"] == "1.10 (x1.10, within spread)"
    assert cells(write_json, before, taking(before, 0, 1.12))["time over two forwards"] == "1.12 (x1.12)"


def test_between_machines_only_live_tensors_are_compared(write_json: Write) -> None:
    before = step_record("zo-ga", 4)
    row = cells(write_json, before, taking(before, -2, 2.0), processor="Another CPU")
    assert row["tensor peak, bytes"] == f"{8 * 2**20 - 2:,} (-2)"
    assert row["time over two forwards"] == "n/a"
    found = compare(write_json([before], "a.json"), write_json([before], "b.json", processor="Another CPU"))
    assert found.notes[1] == "The machines differ in processor: only live tensors are compared."


def test_completion_and_outcome_are_told(write_json: Write) -> None:
    before, after = unlearning_record("zo-ga", 0, completed=10), unlearning_record("zo-ga", 0, None, "diverged")
    row = cells(write_json, before, after)
    assert (row["outcome"], row["T*"]) == ("ok -> diverged", "10 -> never")


def test_cases_that_one_lacks_are_named(write_json: Write) -> None:
    first = write_json([step_record("zo-ga", 1), step_record("zo-ga", 2)], "a.json")
    second = write_json([step_record("zo-ga", 1), step_record("fo-ga", 1)], "b.json")
    notes = compare(first, second).notes
    said = "Commit 0123456789ab, started 2026-01-01T00:00:00+00:00"
    assert notes == (
        f"{said}; then commit{said.removeprefix('Commit')}.",
        "1 only in the first: cnn-b2-zo-ga.",
        "1 only in the second: cnn-b1-fo-ga.",
        "0 of 1 cases have another peak of live tensors.",
    )


def test_cases_that_differ_in_anything_are_not_compared(write_json: Write) -> None:
    """The same name, but other images and threads."""
    before, after = step_record("zo-ga", 4), step_record("zo-ga", 4)
    other = after.model_copy(update={"case": after.case.model_copy(update={"image_size": 32, "threads": 8})})
    assert other.case.id == before.case.id
    with pytest.raises(ValueError, match="have no case in common"):
        compare(write_json([before], "a.json"), write_json([other], "b.json"))


def test_another_version_is_told_and_everything_is_compared(write_json: Write) -> None:
    first, second = write_json([step_record("zo-ga", 4)], "a.json"), write_json([step_record("zo-ga", 4)], "b.json")
    second.write_text(second.read_text().replace('"torch": "2.11.0"', '"torch": "2.12.0"'))
    found = compare(first, second)
    assert found.notes[1] == "The software differs in versions."
    assert dict(zip(found.table.columns, found.table.rows[0], strict=True))["time over two forwards"].startswith("1.00")


def test_the_command(write_json: Write, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write_json([step_record("zo-ga", 1)], "a.json"), write_json([step_record("fo-ga", 1)], "b.json")
    assert main(["compare", str(first), str(first)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"From {first} to {first}\nCommit 0123456789ab")
    assert "cnn-b1-zo-ga  ok       =" in said
    assert main(["compare", str(first), str(second)]) == 2
    assert (
        capsys.readouterr().err
        == f"reports: {first} and {second} have no case in common; compare two runs of one profile\n"
    )
    assert main(["compare", str(first), "nope.json"]) == 2
    assert "nope.json: No such file" in capsys.readouterr().err
