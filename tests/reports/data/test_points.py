"""The points that figures and tables share, by hand."""

from tests.reports.conftest import MIB, PartOf, changed, unlearning_record


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
