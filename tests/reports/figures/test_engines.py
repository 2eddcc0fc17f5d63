"""The figures of engines show each process where it is, and a mark where it got through, nowhere else."""

import pytest

from bench.record import Cap, Record
from reports.figures.engines import engine_peaks, memory_caps
from tests.reports.conftest import MIB, PartOf, changed, step_record

LIMITS = (64, 512)
PEAKS = {("zo-ga", "onnxruntime"): 63, ("forward", "onnxruntime"): 66, ("zo-ga", "torch"): 770, ("fo-ga", "torch"): 780}


def weighed(method: str, engine: str, mib: int, batch: int = 1, model: str = "cnn") -> Record:
    """A step whose process peaks at so many MiB, and gets through with no less."""
    record = changed(step_record(method, batch, model), "case.engine", engine)
    record = changed(record, "memory.process_life_bytes", mib * MIB)
    caps = tuple(Cap(limit_bytes=limit * MIB, completed=limit >= mib, basis="cgroup") for limit in LIMITS)
    return record.model_copy(update={"caps": caps})


@pytest.fixture
def records() -> list[Record]:
    return [weighed(method, engine, mib) for (method, engine), mib in PEAKS.items()]


def test_each_process_is_at_its_peak(records: list[Record], part_of: PartOf) -> None:
    drawing = engine_peaks(part_of([*records, weighed("zo-ga", "onnxruntime", 99, batch=8)]).on_engines)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    marks = [line for line in axes.lines if line.get_marker() not in ("", "None", None)]
    assert sorted(line.get_xdata()[0] for line in marks) == sorted(PEAKS.values())
    hollow = {line.get_xdata()[0] for line in marks if line.get_markerfacecolor() == "white"}
    assert hollow == {770, 780}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cnn"]


def test_a_mark_stands_where_a_process_got_through(records: list[Record], part_of: PartOf) -> None:
    drawing = memory_caps(part_of(records).on_engines)
    assert drawing is not None
    (axes,) = drawing.figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["64", "512"]
    found = [round(line.get_xdata()[0]) for line in axes.lines if line.get_marker() not in ("", "None", None)]
    assert sorted(found) == [
        0,
        1,
        1,
    ]  # zo-ga of the engine's under both, its inference under the larger one, torch never


def test_a_network_on_one_engine_alone_is_not_compared(records: list[Record], part_of: PartOf) -> None:
    alone = weighed("zo-ga", "torch", 900, model="net")
    assert set(part_of([*records, alone]).on_engines["network"]) == {"cnn"}


def test_without_engines_or_limits_there_is_no_figure(part_of: PartOf) -> None:
    steps = part_of().on_engines
    assert engine_peaks(steps) is None
    assert memory_caps(steps) is None
