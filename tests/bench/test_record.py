"""What a record says of how its case ended, and the bars of step time."""

import pytest
from pydantic import ValidationError

from bench.record import Completion, Curve, Quality, Record, Rules, StepBar, model_file
from tests.reports.conftest import case

TOW = Quality(ua=90, ra=99, ta=97, tow=0.9412)


def record(**fields: object) -> Record:
    """An erasure's record with these fields."""
    return Record.model_validate(
        {"kind": "unlearning", "outcome": "ok", "case": case(scenario="class:3"), "model_bytes": 1} | fields
    )


def curve(last: int) -> Curve:
    names = [name for name in Curve.model_fields if name != "step"]
    return Curve(step=[0, last], **{name: [1.0, None] for name in names})


@pytest.mark.parametrize(
    ("fields", "ending", "story"),
    [
        (
            {"completion": Completion(reached=True, step=15), "quality": TOW},
            "completed",
            "completed at step 15 (ToW 0.94)",
        ),
        (
            {"completion": Completion(reached=True, step=15), "quality": TOW, "outcome": "diverged", "diverged_at": 31},
            "completed then diverged",
            "completed at step 15 (ToW 0.94); diverged at step 31",
        ),
        ({"completion": Completion(reached=True, step=15)}, "completed", "completed at step 15"),
        ({"completion": Completion(reached=True, step=0)}, "nothing to forget", "nothing to forget"),
        (
            {"completion": Completion(reached=False), "curve": curve(10000)},
            "not completed",
            "not completed in 10000 steps",
        ),
        (
            {"completion": Completion(reached=False), "outcome": "diverged", "diverged_at": 3, "curve": curve(2)},
            "diverged",
            "not completed; diverged at step 3",
        ),
        (
            {"outcome": "untrained", "notes": {"outcome": "the original has not learned: retain accuracy 12 %"}},
            "not learned",
            "the original has not learned: retain accuracy 12 %",
        ),
        ({"outcome": "out-of-memory", "notes": {"outcome": "no room"}}, "out of memory", "no room"),
        ({}, "measured", "measured"),
    ],
)
def test_a_record_says_what_happened(fields: dict[str, object], ending: str, story: str) -> None:
    found = record(**fields)
    assert (found.ending, found.story) == (ending, story)


BAR = {"model": "cnn", "method": "zo-ga", "over": "two forwards", "batch_sizes": [1, 4]}


@pytest.mark.parametrize(
    "bounds",
    [{}, {"at_most": [1.3]}, {"at_most": [1.3, 1.1], "at_least": [1.0, 1.0]}, {"at_most": [1.3, -1.0]}],
)
def test_a_bar_has_a_number_for_every_batch_size_on_one_side(bounds: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StepBar.model_validate(BAR | bounds)


def test_one_table_of_bars_is_a_list_of_one() -> None:
    one = BAR | {"at_most": [1.3, 1.1]}
    assert Rules.model_validate({"step_time": one}) == Rules.model_validate({"step_time": [one]})


def test_no_two_cases_share_a_models_file() -> None:
    folders = "/".join(["ein Ordner für Fotos"] * 20)
    scenarios = ["class:3", "class:a b", "class:a_b", "class:a:b", "files:a/b.txt", "files:a_b.txt"]
    scenarios += ["files:a  b.txt", "files:a b.txt", f"files:{folders}/a.txt", f"files:{folders}/b.txt"]
    names = [model_file(case(scenario=scenario)) for scenario in scenarios]
    assert names[0] == "cnn-digits-b4-class_3-zo-ga-seed0.safetensors"
    assert len(set(names)) == len(scenarios)
    assert max(len(name.encode()) for name in names) <= 255
    assert not [name for name in names if set(name) & set("/: ")]
