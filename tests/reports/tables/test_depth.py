"""What is left of the forgotten, by hand: in features, by fine-tuning, and sample by sample."""

import math

import pytest

from bench.record import Margins, Probe, Record, Relearned
from reports.data.load import load
from reports.tables.depth import depth_table, margin_table, relearning_table
from tests.reports.conftest import PartOf, Write, changed, unlearning_record


def deep(record: Record, probe: float, back: float) -> Record:
    """A probe finds so much, of 80 % in the original and 50 % in Retrain; fine-tuning comes to `back`, there to 30."""
    assert record.quality is not None
    curve = Relearned(
        shots=20, step=(0, 1, 32), model=(0.0, 5.0, back), original=(90.0, 91.0, 92.0), retrained=(0.0, 0.0, 30.0)
    )
    depth = (Probe(shots=20, model=probe, original=80.0, retrained=50.0),)
    quality = record.quality.model_copy(update={"depth": depth, "relearned": (curve,)})
    return record.model_copy(update={"quality": quality})


def sure(record: Record, model: float, retrained: float, request: str = "a") -> Record:
    """Of two samples, the second by one nat surer than the first; the original is at 5 and 6."""
    assert record.quality is not None
    pairs = {
        name: (value, value + 1) for name, value in (("model", model), ("original", 5.0), ("retrained", retrained))
    }
    quality = record.quality.model_copy(update={"margins": Margins(**pairs)})
    asked = changed(record.model_copy(update={"quality": quality}), "case.scenario", "files:list.txt")
    return changed(asked, "erased.digest", request * 64)


def test_what_a_probe_finds_stands_between_both_ends(part_of: PartOf) -> None:
    records = [deep(unlearning_record("zo-ga", seed), 60.0 + 10 * seed, 70.0) for seed in (0, 1)]
    table = depth_table(part_of(records))
    assert table is not None
    assert [row[1:] for row in table.rows] == [
        ("original", "80.0"),
        ("retrain", "50.0"),
        ("zo-ga", "65.0 (60.0 to 70.0)"),
    ]


def test_what_comes_back_is_a_curve_beside_those_of_both_ends(part_of: PartOf) -> None:
    """Means over the seeds; the ends once for a seed, whatever arm they stood beside."""
    records = [deep(unlearning_record("zo-ga", seed), 60.0, 70.0 + 10 * seed) for seed in (0, 1)]
    records += [deep(unlearning_record("fo-ga", seed), 60.0, 40.0) for seed in (0, 1)]
    records += [deep(unlearning_record("zo-ga", 2, completed=10), 60.0, 0.0)]
    idle = records[-1].completion.model_copy(update={"step": 0})  # type: ignore[union-attr]
    records[-1] = records[-1].model_copy(update={"completion": idle})  # there was nothing to forget
    table = relearning_table(part_of(records))
    assert table is not None
    assert table.columns[4:] == ("after 0", "after 1", "after 32")
    assert [row[1:] for row in table.rows] == [
        ("original", "20", "2", "90.0", "91.0", "92.0"),
        ("retrain", "20", "2", "0.0", "0.0", "30.0"),
        ("zo-ga", "20", "2", "0.0", "5.0", "75.0"),
        ("fo-ga", "20", "2", "0.0", "5.0", "40.0"),
    ]


def test_margins_are_held_against_retrains_of_the_same_seed(part_of: PartOf) -> None:
    """Arm at 1, 2 and 3, Retrain at 0, 2 and 4, both by one more for the second sample: as sure on average, and 2/3
    apart. Over the seeds their variances are 1 and 4, their means 2 and 2: KL = (1/4 - 1 - ln(1/4)) / 2.
    """
    records = [sure(unlearning_record("zo-ga", seed), 1.0 + seed, 2.0 * seed) for seed in range(3)]
    table = margin_table(part_of(records))
    assert table is not None
    klom = (1 / 4 - 1 - math.log(1 / 4)) / 2
    of_original = ((1e-4 / 4) + 9 / 4 - 1 - math.log(1e-4 / 4)) / 2  # always at 5 and 6, so as narrow as may be
    assert [row[1:] for row in table.rows] == [
        ("original", "3", "2", "3.00", "3.00", f"{of_original:.2f}"),
        ("zo-ga", "3", "2", "0.00", "0.67", f"{klom:.2f}"),
    ]


@pytest.mark.parametrize("requests", ["ab", "abc"], ids=["two seeds", "another request with each"])
def test_there_is_no_distribution_over_few_seeds_or_other_samples(part_of: PartOf, requests: str) -> None:
    same = requests if len(requests) == 3 else "aa"
    records = [sure(unlearning_record("zo-ga", seed), 1.0, 0.0, one) for seed, one in enumerate(same)]
    table = margin_table(part_of(records))
    assert table is not None
    assert [row[-1] for row in table.rows] == ["n/a", "n/a"]


def test_where_nothing_was_looked_for_there_is_no_table(part_of: PartOf) -> None:
    part = part_of([unlearning_record("zo-ga", 0)])
    assert (depth_table(part), relearning_table(part), margin_table(part)) == (None, None, None)


def test_the_last_of_a_curve_is_in_the_csv(write_json: Write) -> None:
    cases = load([write_json([deep(unlearning_record("zo-ga", 0), 60.0, 70.0)])]).cases
    columns = ("quality.relearned.20.model", "quality.relearned.20.original", "quality.relearned.20.retrained")
    assert [cases[name][0] for name in columns] == [70.0, 92.0, 30.0]
