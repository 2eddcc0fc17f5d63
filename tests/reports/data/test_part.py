"""A part of the results is one run on one device."""

from reports.data.load import load
from reports.data.part import parts
from tests.reports.conftest import PartOf, Write, changed, step_record, unlearning_record


def test_runs_and_devices_are_parts_of_their_own(write_json: Write) -> None:
    erasure = unlearning_record("zo-ga", 0)
    first = write_json([step_record("zo-ga", 1), erasure, changed(erasure, "case.device", "cuda")], "a.json")
    second = write_json([erasure], "b.json", processor="Another CPU")
    found = list(parts(load([first, second])))
    assert [(part.number, part.device, part.hardware) for part in found] == [
        (1, "cpu", "A CPU"),
        (1, "cuda", "cuda"),
        (2, "cpu", "Another CPU"),
    ]
    assert [(len(part.steps), len(part.runs), part.curves["seed"].size) for part in found] == [
        (1, 1, 21),
        (0, 1, 21),
        (0, 1, 21),
    ]


def test_what_follows_from_the_cases_is_there_by_setting_and_arm(write_json: Write) -> None:
    """One of two runs of zo-ga completed; Retrain's figures stand beside it."""
    records = [unlearning_record("retrain", 0), unlearning_record("zo-ga", 0), unlearning_record("zo-ga", 1, None)]
    (part,) = parts(load([write_json(records)]))
    zeroth, retrain = part.arms
    assert [(arm.setting, arm.arm, arm.complete) for arm in part.arms] == [
        ("cnn digits b4 class:3", "zo-ga", "1 of 2"),
        ("cnn digits b4 class:3", "retrain", "1 of 1"),
    ]
    (run,) = zeroth.done.to_dict("records")
    assert (run["mib"], run["completion.joules share"], run["quality.ra gap"]) == (2, 1, 0)
    assert len(retrain.runs) == 1


def test_evaluations_are_as_far_apart_as_the_curves_have_them(part_of: PartOf) -> None:
    """Every step of twenty, T* at the tenth: nothing is finer than a step; at a hundredth of the step, it is."""
    assert part_of([unlearning_record("zo-ga", 0)]).apart == "some 0.05 T* or a step"
    record = unlearning_record("zo-ga", 0, completed=1000)
    assert record.curve is not None
    steps = [100 * step if step <= 10 else 1000 + 20 * (step - 10) for step in record.curve.step]
    fine = record.model_copy(update={"curve": record.curve.model_copy(update={"step": steps})})
    assert part_of([fine]).apart == "some 0.05 T* or a step (just after T* at most 0.02 T*)"
