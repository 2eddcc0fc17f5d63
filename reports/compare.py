"""`python -m reports compare A.json B.json`: what changed between two runs of one machine.

Memory is compared to the byte; a step's time by its ratio to the two forward passes timed beside it, because seconds
drift with the hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.record import Case, Machine, Memory, Record
from reports.data.load import ratio, read
from reports.tables.machine import commit_text
from reports.tables.table import MISSING, Table, number

LEDGERS = ("tensor", "allocator", "process")
HARDWARE = ("processor", "architecture", "cores", "memory_bytes", "accelerator")
SOFTWARE = ("driver", "system", "libc", "python", "versions")


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        table: a row a case that both have.
        notes: what a reader must know first: different machines, cases that one of them lacks.
    """

    table: Table
    notes: tuple[str, ...]


class NothingInCommonError(ValueError):
    """Two files that cannot be compared; the message is one line and says what to do."""


def compare(before: Path, after: Path) -> Comparison:
    """What changed from one benchmark JSON to another.

    Raises:
        UnreadableJsonError: a file cannot be used.
        NothingInCommonError: the two have no case in common.
    """
    (run, records), (later_run, later_records) = (read(path) for path in (before, after))
    first, second = ({record.case: record for record in found} for found in (records, later_records))
    common = [case for case in first if case in second]
    if not common:
        raise NothingInCommonError(f"{before} and {after} have no case in common; compare two runs of one profile")
    differing = _differences(run.machine, later_run.machine, HARDWARE)
    software = _differences(run.machine, later_run.machine, SOFTWARE)
    rows = tuple(_row(first[case], second[case], alike=not differing) for case in common)
    columns = ("case", "outcome", *(f"{ledger} peak, bytes" for ledger in LEDGERS), "time over two forwards", "T*")
    notes = [
        f"Commit {commit_text(run)}, started {run.started}; then commit {commit_text(later_run)}, started "
        f"{later_run.started}.",
        *([f"The machines differ in {', '.join(differing)}: only live tensors are compared."] if differing else []),
        *([f"The software differs in {', '.join(software)}."] if software else []),
        *_only("first", [case for case in first if case not in second]),
        *_only("second", [case for case in second if case not in first]),
        f"{sum(_changed(first[case], second[case]) for case in common)} of {len(common)} cases have another peak of "
        "live tensors.",
    ]
    return Comparison(Table(f"From {before} to {after}", "", columns, rows), tuple(notes))


def as_text(comparison: Comparison) -> str:
    """For a terminal: notes, then columns that line up."""
    table = comparison.table
    lines = [table.columns, *table.rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(table.columns))]
    aligned = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    return "\n".join([table.title, *comparison.notes, "", *aligned]) + "\n"


def _row(before: Record, after: Record, alike: bool) -> tuple[str, ...]:
    outcome = after.outcome if before.outcome == after.outcome else f"{before.outcome} -> {after.outcome}"
    peaks = [
        _bytes(_peak(before.memory, ledger), _peak(after.memory, ledger)) if alike or ledger == "tensor" else MISSING
        for ledger in LEDGERS
    ]
    return (before.case.id, outcome, *peaks, _time(before, after) if alike else MISSING, _completion(before, after))


def _peak(memory: Memory, ledger: str) -> int | None:
    peak: int | None = getattr(memory, f"{ledger}_peak_bytes")
    return peak


def _bytes(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return MISSING
    return "=" if before == after else f"{after:,} ({after - before:+,})"


def _time(before: Record, after: Record) -> str:
    """The later ratio, and by which factor it changed; "within spread" where the quartiles overlap."""
    if before.time is None or after.time is None:
        return MISSING
    old, new = before.time, after.time
    overlap = (
        old.times_two_forwards_q1 <= new.times_two_forwards_q3
        and new.times_two_forwards_q1 <= old.times_two_forwards_q3
    )
    factor = number(ratio(new.times_two_forwards, old.times_two_forwards), ".2f")
    return f"{new.times_two_forwards:.2f} (x{factor}{', within spread' if overlap else ''})"


def _completion(before: Record, after: Record) -> str:
    if before.completion is None and after.completion is None:
        return MISSING
    steps = [
        "never" if completion is None or completion.step is None else str(completion.step)
        for completion in (before.completion, after.completion)
    ]
    return "=" if steps[0] == steps[1] else " -> ".join(steps)


def _changed(before: Record, after: Record) -> bool:
    return before.memory.tensor_peak_bytes != after.memory.tensor_peak_bytes


def _only(which: str, cases: list[Case]) -> list[str]:
    """Cases that differ in anything, be it the image size or the number of threads, are not the same."""
    return [f"{len(cases)} only in the {which}: {', '.join(case.id for case in cases)}."] if cases else []


def _differences(one: Machine, other: Machine, names: Sequence[str]) -> list[str]:
    """The facts in which two machines differ; one that a file does not have says nothing."""
    facts = {name: (getattr(one, name), getattr(other, name)) for name in names}
    return [name.replace("_", " ") for name, both in facts.items() if None not in both and both[0] != both[1]]
