"""The tables of engines, by hand."""

from dataclasses import replace

from bench.record import PeakBar, Rules
from reports.tables.engines import cap_table, engine_table, peak_bar_table
from tests.reports.conftest import PartOf
from tests.reports.figures.test_engines import PEAKS, weighed


def test_engines_stand_side_by_side(part_of: PartOf) -> None:
    """The fixture's arms take 1 ms (forward), 2 (zo-ga) and 3 (fo-ga) a sample on any engine."""
    table = engine_table(part_of([weighed(method, engine, mib) for (method, engine), mib in PEAKS.items()]))
    assert table is not None
    assert table.columns[2:] == (
        "peak, MiB, on onnxruntime",
        "step, ms, on onnxruntime",
        "peak, MiB, on torch",
        "step, ms, on torch",
    )
    assert set(table.rows) == {
        ("cnn", "forward", "66.0", "1.00", "n/a", "n/a"),
        ("cnn", "zo-ga", "63.0", "2.00", "770.0", "2.00"),
        ("cnn", "fo-ga", "n/a", "n/a", "780.0", "3.00"),
    }


def test_limits_are_columns(part_of: PartOf) -> None:
    table = cap_table(part_of([weighed("zo-ga", "onnxruntime", 63), weighed("zo-ga", "torch", 770)]))
    assert table is not None
    assert table.columns == ("model", "batch", "arm", "64 MiB", "512 MiB")
    assert set(table.rows) == {("cnn onnxruntime", "1", "zo-ga", "yes", "yes"), ("cnn", "1", "zo-ga", "no", "no")}


def test_bars_are_met_by_what_is_at_most_there(part_of: PartOf) -> None:
    part = part_of([weighed(method, engine, mib) for (method, engine), mib in PEAKS.items()])
    bars = (
        PeakBar(model="cnn", method="zo-ga", batch_sizes=(1, 8), at_most=(63, 70)),
        PeakBar(model="cnn", method="zo-ga", batch_sizes=(1,), at_most=(62,)),
        PeakBar(model="cnn", method="zo-ga", batch_sizes=(1,), at_most=(0.95,), over="forward"),
        PeakBar(model="cnn", method="zo-ga", batch_sizes=(1,), at_most=(0.125,), over="fo-ga", over_engine="torch"),
    )
    table = peak_bar_table(replace(part, run=part.run.model_copy(update={"rules": Rules(process_peak=bars)})))
    assert table is not None
    assert [(row[1], row[3], row[4], row[6]) for row in table.rows] == [
        ("1", "MiB", "63.0", "met"),
        ("8", "MiB", "n/a", "n/a"),
        ("1", "MiB", "63.0", "missed"),
        ("1", "over forward on onnxruntime", f"{63 / 66:.3f}", "missed"),
        ("1", "over fo-ga on torch", f"{63 / 780:.3f}", "met"),
    ]


def test_a_run_without_engines_has_none_of_them(part_of: PartOf) -> None:
    part = part_of()
    assert (engine_table(part), cap_table(part), peak_bar_table(part)) == (None, None, None)
