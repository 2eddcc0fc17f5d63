"""The tables of single steps, by hand."""

from reports.tables.steps import dtype_table, memory_comparison, step_table, time_comparison
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


def test_half_precision_stands_beside_float32_and_is_held_against_it(part_of: PartOf) -> None:
    """A network in two precisions is two, in every table; a ratio is of one ledger, and of cases that both have."""
    exact = [step_record("zo-ga", 8), step_record("fo-ga", 8), step_record("zo-ga", 1)]
    rounded = [changed(record, "case.dtype", "bfloat16") for record in exact[:2]]
    rounded = [changed(record, "memory.tensor_peak_bytes", 12 * MIB) for record in rounded]
    alone = changed(step_record("zo-ga", 8, "net"), "case.dtype", "float16")
    part = part_of([*exact, *rounded, alone])
    peaks, steps, shares = memory_comparison(part), step_table(part), dtype_table(part)
    assert peaks is not None
    assert [row[:2] for row in peaks.rows] == [("cnn", "1"), ("cnn", "8"), ("cnn bfloat16", "8"), ("net float16", "8")]
    assert steps is not None
    assert len(steps.rows) == 6
    assert shares is not None
    assert shares.rows == (
        ("cnn bfloat16", "8", "zo-ga", "0.75", "n/a", "n/a", "1.00", "1.00"),
        ("cnn bfloat16", "8", "fo-ga", "0.50", "n/a", "n/a", "1.00", "1.00"),
    )
    assert dtype_table(part_of(exact)) is None
