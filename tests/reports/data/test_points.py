"""The points that figures and tables share, by hand."""

import random

import pytest

from bench.record import Probe, Record
from tests.reports.conftest import MIB, PartOf, changed, searched, unlearning_record


def test_an_arm_that_another_beats_is_not_on_the_front(part_of: PartOf) -> None:
    """Less memory and more kept is better; an arm that equals another in both is beaten by neither."""
    points = {
        "fo-ga": (4, 90.0),
        "zo-ga": (1, 80.0),
        "fo-ga-head": (1, 85.0),  # beats zo-ga
        "salun": (5, 90.0),  # beaten by fo-ga
        "finetune": (8, 95.0),
        "l1-sparse": (8, 95.0),
    }
    records = [
        changed(changed(unlearning_record(arm, 0), "quality.ra", kept), "memory.tensor_peak_bytes", mib * MIB)
        for arm, (mib, kept) in points.items()
    ]
    elsewhere = [changed(record, "case.scenario", "class:4") for record in records if record.case.method == "zo-ga"]
    found = part_of([*records, *elsewhere]).pareto_points.set_index(["setting", "method"])["front"]
    assert found["cnn digits b4 class:3"].to_dict() == {
        "fo-ga": True,
        "zo-ga": False,
        "fo-ga-head": True,
        "salun": False,
        "finetune": True,
        "l1-sparse": True,
    }
    assert found["cnn digits b4 class:4"].to_dict() == {"zo-ga": True}


def test_the_frontier_is_that_of_every_pair_compared(part_of: PartOf) -> None:
    """Of 60 points in two settings, of both orders, some of them equal: on it is who is beaten by none of its own."""
    drawn = random.Random(0)
    points = [
        searched(
            setting=f"cnn digits b4 class:{drawn.choice('34')}",
            eps=drawn.choice([None, 1e-3]),
            tow=drawn.randrange(10) / 10,
            sample_forwards=float(drawn.randrange(1, 10)),
            lr=float(place + 1),
        )
        for place in range(60)
    ]
    found = part_of([unlearning_record("retrain", 0)], *points).frontier.set_index("lr")["front"]
    beaten = {
        one.lr
        for one in points
        for other in points
        if (other.setting, other.eps) == (one.setting, one.eps)
        and (other.tow, -other.sample_forwards) != (one.tow, -one.sample_forwards)
        and other.tow >= one.tow
        and other.sample_forwards <= one.sample_forwards
    }
    assert found.to_dict() == {one.lr: one.lr not in beaten for one in points}
    assert 4 < found.sum() < 30


def test_what_completed_in_some_pilot_runs_alone_is_no_point(part_of: PartOf) -> None:
    """Its cost would be that of the seeds that happened to be easy. Nor is Retrain, which is what the rest tends to."""
    records = [unlearning_record(arm, 0) for arm in ("retrain", "fo-ga")]
    points = part_of(records, searched(completed=1), searched(lr=0.5)).frontier
    assert list(zip(points["method"], points["measured"], points["zeroth"], strict=True)) == [
        ("fo-ga", True, False),
        ("zo-ga", False, True),
    ]
    assert points.loc[0, ["forwards", "mean", "low", "high", "n"]].tolist() == [80.0, 0.9, 0.9, 0.9, 1]


def test_without_erasures_or_a_retrain_there_is_no_frontier(part_of: PartOf) -> None:
    assert part_of([changed(unlearning_record("zo-ga", 0), "quality.tow", None)]).frontier.empty
    assert part_of([unlearning_record("zo-ga", 0, completed=None)]).frontier.empty


def test_what_is_known_in_outputs_and_in_features_are_means_of_the_seeds(part_of: PartOf) -> None:
    def record(arm: str, seed: int, tow: float, found: float) -> Record:
        depth = (Probe(shots=20, model=found, original=80.0 + seed, retrained=50.0 - seed),)
        made = changed(unlearning_record(arm, seed), "quality.tow", tow)
        assert made.quality is not None
        return made.model_copy(update={"quality": made.quality.model_copy(update={"depth": depth})})

    records = [record("zo-ga", seed, 0.5 + 0.2 * seed, 60.0 + 4 * seed) for seed in (0, 1)]
    records += [record("retrain", 0, 1.0, 50.0)]  # is a line, and no mark
    (point,) = part_of(records).feature_points.to_dict("records")
    assert (point["method"], point["n"]) == ("zo-ga", 2)
    assert [point[name] for name in ("tow", "tow low", "tow high")] == pytest.approx([0.6, 0.5, 0.7])
    assert [point[name] for name in ("probe", "probe low", "probe high")] == [62.0, 60.0, 64.0]
    assert (point["original"], point["retrained"]) == (80.5, 49.5)
