"""The tables of whole erasures, by hand."""

from reports.tables.erasures import cost_table, quality_table, stability_table
from tests.reports.conftest import PartOf, first_row, stable, unlearning_record


def test_the_quality_table_gives_mean_and_range_of_the_seeds_that_completed(part_of: PartOf) -> None:
    records = [unlearning_record("zo-ga", 0), unlearning_record("zo-ga", 2), unlearning_record("zo-ga", 1, None)]
    row = first_row(quality_table(part_of(records)))
    assert row["setting"] == "cnn digits b4 class:3"
    assert row["complete"] == "2 of 3"
    assert row["UA"] == "91.0 (90.0 to 92.0)"
    assert row["RA"] == "81.0 (80.0 to 82.0)"


def test_the_cost_table_divides_by_retrain_with_the_same_seed(part_of: PartOf) -> None:
    """Retrain's joules are 40 and 80, zo-ga's 20 with either seed: shares of a half and a quarter."""
    records = [unlearning_record("zo-ga", seed) for seed in (0, 1)]
    for seed, joules in ((1, 80.0), (0, 40.0)):
        record = unlearning_record("retrain", seed)
        completion = record.completion.model_copy(update={"joules": joules})  # type: ignore[union-attr]
        records.append(record.model_copy(update={"completion": completion}))
    row = first_row(cost_table(part_of(records)))
    assert (row["arm"], row["steps"], row["energy, J"], row["peak, MiB"]) == ("zo-ga", "10", "20.0", "2.00")
    assert row["energy over Retrain's"] == "0.38 (0.25 to 0.50)"
    assert row["forwards over Retrain's"] == "1.0"


def test_without_retrain_there_are_no_shares(part_of: PartOf) -> None:
    row = first_row(cost_table(part_of([unlearning_record("zo-ga", 0)])))
    assert (row["energy, J"], row["energy over Retrain's"]) == ("20.0", "n/a")


def test_settings_are_never_pooled(part_of: PartOf) -> None:
    """Another model, data set, batch size or scenario is another row."""
    first = unlearning_record("zo-ga", 0)
    changes = ({}, {"model": "net"}, {"dataset": "mnist"}, {"batch_size": 9}, {"scenario": "random:0.1"})
    records = [first.model_copy(update={"case": first.case.model_copy(update=change)}) for change in changes]
    table = quality_table(part_of(records))
    assert table is not None
    assert [row[0] for row in table.rows] == [
        "cnn digits b4 class:3",
        "net digits b4 class:3",
        "cnn mnist b4 class:3",
        "cnn digits b9 class:3",
        "cnn digits b4 random:0.1",
    ]


def test_the_stability_table_has_t_intervals_over_the_seeds(part_of: PartOf) -> None:
    """Collapse after 1, 2 and 3 T*: 2 +- 4.303 / sqrt(3), the 97.5 % point of t with two degrees of freedom."""
    records = [stable(unlearning_record("zo-ga", seed), collapse=1.0 + seed, collapsed=seed < 2) for seed in range(3)]
    row = first_row(stability_table(part_of(records)))
    assert row["time to collapse, T*"] == "2.00 (-0.48 to 4.48)"
    assert row["collapsed"] == "2 of 3"
    assert row["RA lost after one more T*"] == "n/a"
