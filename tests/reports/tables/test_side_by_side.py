"""The two ascents side by side, by hand."""

from dataclasses import replace
from itertools import product

import pytest

from bench.record import ErasureBar, Record, Rules
from reports.data.part import Part
from reports.data.side_by_side import ENERGY, TOW, Means
from reports.page.summary import findings
from reports.tables.side_by_side import compared, cost_bar_table, side_by_side_table
from tests.reports.conftest import PartOf, changed, unlearning_record


def test_only_seeds_that_have_both_figures_are_divided(part_of: PartOf) -> None:
    """zo-ga takes 10, 20 and 30 J, fo-ga 10 J with the first seed alone: 1.0 times, and not 2.0."""
    records = [
        changed(unlearning_record(arm, seed), "completion.joules", joules)
        for arm, of_seed in (("zo-ga", (10.0, 20.0, 30.0)), ("fo-ga", (10.0, None, None)))
        for seed, joules in enumerate(of_seed)
    ]
    part = part_of(records)
    (both,) = part.side_by_side
    assert both.means[ENERGY] == Means(10.0, 10.0, ((10.0, 10.0),))
    (said,) = compared(part.side_by_side)
    assert (said.taken, said.some(ENERGY)) == ("1.0 times the energy (estimated)", " (with 1 of 3 seeds)")
    table = side_by_side_table(part)
    assert table is not None
    (row,) = (row for row in table.rows if row[1] == "energy, J (estimated)")
    assert row[2:] == ("10.0", "10.0", "1.0 times", "1 of 3")


def test_arms_of_other_batches_and_tails_are_named_beside_what_they_take(part_of: PartOf) -> None:
    """Of one setting: zo-ga moved the last block in steps of 4 samples, fo-ga all of the network in steps of 32."""
    records = []
    for arm, size, tail in (("zo-ga", 4, "block"), ("fo-ga", 32, "all")):
        record = changed(changed(unlearning_record(arm, 0), "case.batch_tuned", True), "rate.tail", tail)
        records.append(changed(record, "case.batch_size", size))
    part = part_of(records)
    (said,) = compared(part.side_by_side)
    assert said.where == "cnn digits own batch class:3 (zo-ga, last block, batch 4 against fo-ga, batch 32)"
    table = side_by_side_table(part)
    assert table is not None
    assert table.rows[0] == (
        said.settings[0].setting,
        "run as",
        "zo-ga, last block, batch 4",
        "fo-ga, batch 32",
        "",
        "1 of 1",
    )


def test_a_bar_of_cost_asks_for_cost_tow_and_depth_together(part_of: PartOf) -> None:
    """zo-ga takes 3 times fo-ga's sample-forwards and 4 times its energy, its ToW is 0.01 lower and its probe finds 2
    points more; a bar of 3 is met by that, and one of 2.9, one of energy, and ones of ToW and depth are not.
    """
    bar = ErasureBar(method="zo-ga", over="fo-ga", sample_forwards=3.0, joules=4.0)

    def part(tow: float = 0.89, probe: float = 72.0, bar: ErasureBar = bar) -> Part:
        given = {"zo-ga": (30.0, 8.0, tow, probe), "fo-ga": (10.0, 2.0, 0.9, 70.0)}
        records = []
        for (arm, (forwards, joules, its_tow, its_probe)), seed in product(given.items(), range(3)):
            record = changed(unlearning_record(arm, seed), "completion.sample_forwards", forwards)
            record = changed(changed(record, "completion.joules", joules), "quality.tow", its_tow)
            probed = [{"shots": 20, "model": its_probe, "original": 90.0, "retrained": 60.0}]
            records.append(changed(record, "quality.depth", probed))
        found = part_of(records)
        return replace(found, run=found.run.model_copy(update={"rules": Rules(erasure_cost=(bar,))}))

    def verdict(of: Part) -> str:
        table = cost_bar_table(of)
        assert table is not None
        (row,) = table.rows
        assert row[3:9:2] == ("3.00", "4.00", f"{of.cost_bars[0].both.means[TOW].difference:+.3f}")
        return row[-1]

    assert verdict(part()) == "met"
    assert verdict(part(bar=bar.model_copy(update={"sample_forwards": 2.9}))) == "missed: sample-forwards"
    assert verdict(part(bar=bar.model_copy(update={"joules": 3.9}))) == "missed: energy"
    assert verdict(part(bar=bar.model_copy(update={"joules": None}))) == "met"
    assert verdict(part(tow=0.87, probe=73.1)) == "missed: ToW and probe"
    assert said(part(tow=0.87)) == (
        "Of 1 bars of an erasure's cost 0 are met; missed: zo-ga over fo-ga, cnn digits b4 class:3 (ToW -0.030, at "
        "most 0.02 below)."
    )
    dear = bar.model_copy(update={"joules": 3.9, "sample_forwards": 2.9})
    assert said(part(bar=dear, probe=73.1)) == (
        "Of 1 bars of an erasure's cost 0 are met; missed: zo-ga over fo-ga, cnn digits b4 class:3 (3 times the "
        "sample-forwards, at most 2.9, 4 times the energy, at most 3.9, a probe finds +3.1 points, at most +3)."
    )


def test_beside_a_ratio_of_means_stands_the_range_of_the_seeds(part_of: PartOf) -> None:
    """Sample-forwards 10, 40 and 90 over 10, 20 and 30: of the means 140/60, of the seeds 1 to 3."""
    records = []
    for seed, (ours, theirs) in enumerate(((10.0, 10.0), (40.0, 20.0), (90.0, 30.0))):
        for arm, forwards, tow in (("zo-ga", ours, 0.8 + 0.01 * seed), ("fo-ga", theirs, 0.9)):
            record = changed(record_of(arm, seed), "completion.sample_forwards", forwards)
            records.append(changed(record, "quality.tow", tow))
    table = cost_bar_table(barred(part_of(records)))
    assert table is not None
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["sample-forwards"] == "2.33 (1.00 to 3.00)"
    assert row["energy"] == "1.00"
    assert row["ToW"] == "-0.090 (-0.100 to -0.080)"
    assert row["probe"] == "+0.0"
    (one,) = cost_bar_table(barred(part_of(records[:2]))).rows  # type: ignore[union-attr]
    assert one[3] == "1.00"


def said(part: Part) -> str:
    """What the summary says of the bars of cost."""
    (text,) = (found.text for found in findings(part) if found.name == "cost bars")
    return text


def barred(part: Part) -> Part:
    """The part, with a bar of its profile's that every figure below meets."""
    bar = ErasureBar(method="zo-ga", over="fo-ga", sample_forwards=9.0, joules=9.0)
    return replace(part, run=part.run.model_copy(update={"rules": Rules(erasure_cost=(bar,))}))


def record_of(arm: str, seed: int, *left_out: str) -> Record:
    """A run with a depth of 70 %, but for figures that are left out."""
    probed = [{"shots": 20, "model": 70.0, "original": 90.0, "retrained": 60.0}]
    record = changed(unlearning_record(arm, seed), "quality.depth", probed)
    for figure in left_out:
        record = changed(record, figure, None)
    return record


def verdict_of(part: Part) -> str:
    table = cost_bar_table(part)
    assert table is not None
    (row,) = table.rows
    return row[-1]


def test_a_bar_is_met_with_three_seeds_and_no_fewer(part_of: PartOf) -> None:
    for seeds, expected in ((2, "n/a"), (3, "met")):
        records = [record_of(arm, seed) for arm in ("zo-ga", "fo-ga") for seed in range(seeds)]
        assert verdict_of(barred(part_of(records))) == expected


@pytest.mark.parametrize("figure", ["completion.joules", "quality.depth", "quality.tow"])
def test_a_bar_whose_figures_are_not_those_of_all_seeds_is_neither_met_nor_missed(part_of: PartOf, figure: str) -> None:
    """One seed of four lacks it, of one arm."""
    records = [record_of(arm, seed) for arm in ("zo-ga", "fo-ga") for seed in range(3)]
    part = barred(part_of([*records, record_of("zo-ga", 3, figure), record_of("fo-ga", 3)]))
    assert verdict_of(part) == "n/a"
    assert said(part) == (
        "Of 0 bars of an erasure's cost 0 are met; 1 more lack a figure, or 3 seeds with which both arms completed."
    )


def test_a_bar_asks_that_no_fewer_runs_complete(part_of: PartOf) -> None:
    """Of four runs of fo-ga four do, of zo-ga's three."""
    records = [record_of(arm, seed) for arm in ("zo-ga", "fo-ga") for seed in range(4)]
    lost = changed(changed(records[0], "completion.reached", False), "completion.step", None)
    part = barred(part_of([lost, *records[1:]]))
    assert verdict_of(part) == "missed: completion"
    assert "(3 runs complete, 4 of fo-ga)" in said(part)
