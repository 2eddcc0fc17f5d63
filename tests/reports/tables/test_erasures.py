"""The tables of whole erasures, by hand."""

from bench.record import Probe, Record
from reports.tables.depth import depth_table
from reports.tables.erasures import cost_table, frontier_table, quality_table, stability_table
from tests.reports.conftest import PartOf, changed, first_row, searched, stable, unlearning_record


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
    assert row["sample-forwards over Retrain's"] == "1.0"


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


def probed(record: Record, *figures: tuple[int, float, float, float | None]) -> Record:
    """With such probes: shots, and what they find in the model, in the original and in Retrain."""
    probes = tuple(Probe(shots=shots, model=now, original=was, retrained=aim) for shots, now, was, aim in figures)
    quality = record.quality.model_copy(update={"depth": probes})  # type: ignore[union-attr]
    return record.model_copy(update={"quality": quality})


def test_the_depth_table_has_both_ends_and_every_arm(part_of: PartOf) -> None:
    """The ends are those of each seed, once, however many arms give them; a seed without many shots is told."""
    records = [
        probed(unlearning_record("zo-ga", 0), (5, 60.0, 77.0, 39.0), (100, 70.0, 85.0, 58.0)),
        probed(unlearning_record("zo-ga", 1), (5, 50.0, 73.0, 35.0)),
        probed(unlearning_record("fo-ga", 0), (5, 55.0, 77.0, 39.0), (100, 71.0, 85.0, 58.0)),
        probed(unlearning_record("retrain", 0), (5, 39.0, 77.0, 39.0), (100, 58.0, 85.0, 58.0)),
        unlearning_record("salun", 0),
    ]
    table = depth_table(part_of(records))
    assert table is not None
    assert table.columns == ("setting", "model", "5 shots", "100 shots")
    assert [row[1:] for row in table.rows] == [
        ("original", "75.0 (73.0 to 77.0)", "85.0 (n = 1)"),
        ("retrain", "37.0 (35.0 to 39.0)", "58.0 (n = 1)"),
        ("fo-ga", "55.0", "71.0"),
        ("zo-ga", "55.0 (50.0 to 60.0)", "70.0 (n = 1)"),
        ("salun", "n/a", "n/a"),
    ]


def test_where_nothing_was_probed_there_is_no_depth(part_of: PartOf) -> None:
    assert depth_table(part_of([unlearning_record("zo-ga", 0)])) is None
    known = probed(unlearning_record("zo-ga", 0), (5, 60.0, 77.0, None))
    elsewhere = changed(unlearning_record("zo-ga", 0), "case.scenario", "random:0.1")
    table = depth_table(part_of([known, elsewhere]))
    assert table is not None
    assert {row[0] for row in table.rows} == {"cnn digits b4 class:3"}
    assert table.rows[1][1:] == ("retrain", "n/a")


def test_an_arm_is_called_by_its_tail_and_its_own_batch(part_of: PartOf) -> None:
    tuned = changed(unlearning_record("zo-ga", 0), "case.batch_tuned", True)
    parts = part_of([changed(tuned, "rate.tail", "block"), unlearning_record("fo-ga", 0)])
    names = {one.setting: one.name for one in parts.arms}
    assert names == {
        "cnn digits own batch class:3": "zo-ga, last block, batch 4",
        "cnn digits b4 class:3": "fo-ga",
    }
    assert first_row(cost_table(parts))["arm"] == "zo-ga, last block, batch 4"


def test_the_frontier_table_has_results_and_the_best_of_the_search(part_of: PartOf) -> None:
    """Two seeds at 80 sample-forwards, ToW 0.8 and 0.9; a cheaper point that is worth less, and one that is beaten."""
    records = [
        probed(
            changed(unlearning_record("zo-ga", seed), "quality.tow", 0.8 + seed / 10), (20, 57.0 + 2 * seed, 83.0, 39.0)
        )
        for seed in (0, 1)
    ]
    part = part_of(
        records, searched(tow=0.5, sample_forwards=40.0, lr=0.3, tail="stage", depth=63.0), searched(tow=0.4)
    )
    table = frontier_table(part)
    assert table is not None
    assert [row[1:] for row in table.rows] == [
        ("zo-ga", "results", "2", "4", "all", "0.01", "0.001", "80.0", "0.850 (0.800 to 0.900)", "58.0", "yes"),
        ("zo-ga", "search", "2", "4", "stage", "0.3", "0.001", "40.0", "0.500", "63.0", "yes"),
    ]
