"""The summary's sentences and numbers, by hand."""

import json
from pathlib import Path

import pytest

from bench.record import Record
from reports.data.load import load
from reports.data.part import parts
from reports.page.summary import Finding, findings
from reports.page.write import write_report
from tests.reports.conftest import MIB, PartOf, Write, changed, full_set, stable, step_record, unlearning_record


def by_name(part_of: PartOf, records: list) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(part_of(records))}


def test_a_step_is_compared_over_all_models_and_batches(part_of: PartOf) -> None:
    """The fixture's zo-ga takes two thirds of fo-ga's memory and time, everywhere."""
    found = by_name(part_of, [step_record(arm, batch) for arm in ("fo-ga", "zo-ga") for batch in (1, 8)])
    words = "The live tensors of a zo-ga step peak at 0.67 times those of fo-ga (1 model, batch 1 to 8)."
    assert found["memory"].text == words
    assert found["time"].text == "A fo-ga step takes 1.50 times as long as one of zo-ga (1 model, batch 1 to 8)."
    assert found["time"].values == {"least ratio": 1.5, "greatest ratio": 1.5, "cases": 2}


def test_an_erasure_is_compared_at_completion(part_of: PartOf) -> None:
    runs = [unlearning_record("zo-ga", seed, completed=12) for seed in range(3)]
    runs += [unlearning_record("fo-ga", seed, completed=4) for seed in range(3)]
    runs += [unlearning_record("retrain", seed) for seed in range(3)]
    found = by_name(part_of, runs)
    assert found["cost"].text == (
        "cnn digits b4 class:3: to the same level of forgetting zo-ga takes 3.0 times the steps, 1.0 times the "
        "sample-forwards and 1.0 times the energy (estimated) of fo-ga, with 1.00 times the live tensors; its energy "
        "is 1.0 times Retrain's, fo-ga's 1.0 times."
    )
    assert found["quality"].values["zo-ga RA, %"] == 81


def test_collapse_is_counted(part_of: PartOf) -> None:
    runs = [stable(unlearning_record("zo-ga", seed), collapse=1.0, collapsed=seed == 0) for seed in range(3)]
    runs += [stable(unlearning_record("fo-ga", seed), collapse=0.5, collapsed=True) for seed in range(3)]
    assert by_name(part_of, runs)["stability"].text == (
        "cnn digits b4 class:3: left running, 1 of 3 zo-ga runs and 3 of 3 fo-ga runs collapse, on average 1.00 and "
        "0.50 T* after completion (interpolated between evaluations some 0.05 T* or a step apart; a run that does not "
        "collapse counts with its horizon)."
    )


def test_the_arms_that_no_other_beats_are_named(part_of: PartOf) -> None:
    """fo-ga-head keeps as much as fo-ga with less memory; Retrain keeps most; of three arms nothing is said."""
    kept = {"zo-ga": (1, 70.0), "fo-ga": (3, 80.0), "fo-ga-head": (2, 80.0), "retrain": (4, 90.0)}
    records = [weighed(unlearning_record(arm, 0), mib, ra) for arm, (mib, ra) in kept.items()]
    assert by_name(part_of, records)["front"].text == (
        "cnn digits b4 class:3: of 4 arms these are beaten by no other, which would take no more memory, keep no less "
        "retain accuracy and be better in one of them: zo-ga (1.00 MiB, 70.0 %), fo-ga-head (2.00 MiB, 80.0 %), "
        "retrain (4.00 MiB, 90.0 %). zo-ga is among them."
    )
    beaten = [weighed(unlearning_record("zo-ga", 0), 2, 70.0), *records[1:]]
    assert by_name(part_of, beaten)["front"].text.endswith(" zo-ga is not among them.")
    assert "front" not in by_name(part_of, [record for record in records if record.case.method != "fo-ga-head"])


def weighed(record: Record, mib: int, kept: float) -> Record:
    return changed(changed(record, "memory.tensor_peak_bytes", mib * MIB), "quality.ra", kept)


def test_runs_that_cannot_be_compared_are_counted(part_of: PartOf) -> None:
    """No seed has both; a seed with which there was nothing to erase is none either."""
    nothing = unlearning_record("zo-ga", 0).model_dump()
    nothing["completion"] |= {"step": 0, "joules": 0.0, "seconds": 0.0}
    runs = [Record.model_validate(nothing), unlearning_record("zo-ga", 1, None)]
    runs += [unlearning_record("fo-ga", seed) for seed in (0, 1)]
    assert by_name(part_of, runs)["completion"].text == (
        "cnn digits b4 class:3: there is no seed with which both completed; zo-ga with 0 of 1 (1 had nothing to "
        "forget) and fo-ga with 2 of 2."
    )


def test_only_seeds_that_both_completed_are_compared_and_counted(part_of: PartOf) -> None:
    """fo-ga's second seed, which keeps 81 %, has no counterpart."""
    runs = [unlearning_record("zo-ga", 0), unlearning_record("zo-ga", 1, completed=None)]
    runs += [unlearning_record("fo-ga", seed) for seed in (0, 1)]
    found = by_name(part_of, runs)["quality"]
    assert found.text.startswith("cnn digits b4 class:3 (1 of 2 seeds): ")
    assert found.values["fo-ga RA, %"] == 80


def test_nothing_is_said_without_both_arms(part_of: PartOf) -> None:
    assert by_name(part_of, [unlearning_record("zo-ga", 0), step_record("fo-ga", 1)]) == {}


@pytest.mark.usefixtures("no_pictures")
def test_every_sentence_leads_to_a_table_of_the_page(write_json: Write, tmp_path: Path) -> None:
    records = [
        record if record.kind == "step" else stable(record, collapse=1.0, collapsed=True) for record in full_set()
    ]
    results = load([write_json(records)])
    write_report(results, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    (part,) = parts(results)
    found = findings(part)
    assert {finding.name for finding in found} == {"memory", "time", "cost", "quality", "stability"}
    for finding in found:
        assert f'<a href="#{finding.anchor}">' in page
        assert f'id="{finding.anchor}"' in page


def test_the_files_say_the_same(full_report: Path) -> None:
    (part,) = json.loads((full_report / "summary.json").read_text())
    text = (full_report / "summary.md").read_text()
    assert part["profile"] == "test"
    assert len(part["findings"]) == 4
    assert all(finding["text"].replace("*", "\\*") in text for finding in part["findings"])
    for statement, claim in part["claims"].items():
        verdicts = [test["verdict"] for test in claim["tests"]]
        counts = ", ".join(f"{verdicts.count(one)} {one}" for one in ("supported", "not supported", "not shown"))
        of = f"of {len(verdicts)} test{'s' if len(verdicts) > 1 else ''},"
        assert f"- {statement}: **{claim['verdict']}** ({of} {counts})." in text
