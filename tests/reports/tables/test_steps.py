"""The tables of single steps, by hand."""

from reports.tables.steps import memory_comparison, step_table, time_comparison
from tests.reports.conftest import MIB, PartOf, changed, first_row, step_record


def test_the_step_table_is_in_the_units_it_says(part_of: PartOf) -> None:
    table = step_table(part_of([step_record("zo-ga", 8)]))
    assert table is not None
    row = first_row(table)
    assert row["peak of live tensors, MiB"] == "16.00"
    assert row["time, ms"] == "16.00"
    assert row["times two forwards"] == "1.00 (0.95 to 1.05)"
    assert row["energy, J"] == "1.60"
    assert row["CO2e, mg"] == "1.60"
    assert "FRA" in table.note


def test_the_comparisons_divide_and_stand_in_the_same_rows(part_of: PartOf) -> None:
    """The fixture's arms take 1 (forward), 2 (zo-ga) and 3 (fo-ga) units a sample; a missing case is no number."""
    records = [step_record(arm, batch) for arm in ("forward", "zo-ga", "fo-ga") for batch in (1, 8)]
    part = part_of(records[:-1])
    times, peaks = time_comparison(part), memory_comparison(part)
    assert times is not None
    assert times.columns == ("model", "batch", "zo-ga over two forwards", "forward over zo-ga", "fo-ga over zo-ga")
    assert [row[1:] for row in times.rows] == [
        ("1", "1.00 (0.95 to 1.05)", "0.50", "1.50"),
        ("8", "1.00 (0.95 to 1.05)", "0.50", "n/a"),
    ]
    assert peaks is not None
    assert peaks.columns == ("model", "batch", "forward", "fo-ga", "zo-ga", "zo-ga over fo-ga")
    assert [row[1:] for row in peaks.rows] == [
        ("1", "1.00", "3.00", "2.00", "0.67"),
        ("8", "8.00", "n/a", "16.00", "n/a"),
    ]


def test_the_three_ledgers_have_columns_of_their_own(part_of: PartOf) -> None:
    record = step_record("zo-ga", 1)
    peaks = {"allocator_peak_bytes": 3 * MIB, "process_peak_bytes": 512 * MIB, "allocator_basis": "sampled"}
    for name, value in peaks.items():
        record = changed(record, f"memory.{name}", value)
    row = first_row(step_table(part_of([record])))
    assert row["peak of live tensors, MiB"] == "2.00"
    assert row["of the allocator, MiB"] == "3.00 (sampled)"
    assert row["of the process, MiB"] == "512.00"
