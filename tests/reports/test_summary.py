"""The summary's sentences and numbers, by hand."""

import json
from collections.abc import Callable
from pathlib import Path

from reports.load import load
from reports.page import write_report
from reports.summary import Finding, findings, times
from tests.reports.conftest import full_set, stable, step_record, unlearning_record

Write = Callable[..., Path]


def by_name(write_json: Write, records: list) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(load([write_json(records)]))}


def test_a_step_is_compared_over_all_models_and_batches(write_json: Write) -> None:
    """The fixture's zo-ga takes two thirds of fo-ga's memory and time, everywhere."""
    found = by_name(write_json, [step_record(arm, batch) for arm in ("fo-ga", "zo-ga") for batch in (1, 8)])
    assert (
        found["memory"].text
        == "A zo-ga step takes 67 % of the memory of fo-ga's (live tensors; 1 model, batch 1 to 8)."
    )
    assert found["time"].values == {"least share": 2 / 3, "greatest share": 2 / 3, "cases": 2}


def test_an_erasure_is_compared_at_completion(write_json: Write) -> None:
    runs = [unlearning_record("zo-ga", seed, completed=12) for seed in range(3)]
    runs += [unlearning_record("fo-ga", seed, completed=4) for seed in range(3)]
    runs += [unlearning_record("retrain", seed) for seed in range(3)]
    found = by_name(write_json, runs)
    assert found["cost"].text == (
        "cnn digits b4 class:3: to the same level of forgetting zo-ga takes 12 steps and fo-ga 4, 1 times more energy "
        "(estimated), 1 times Retrain's."
    )
    assert found["quality"].values["zo-ga RA, %"] == 81


def test_collapse_is_counted(write_json: Write) -> None:
    runs = [stable(unlearning_record("zo-ga", seed), collapse=1.0, collapsed=seed == 0) for seed in range(3)]
    runs += [stable(unlearning_record("fo-ga", seed), collapse=0.5, collapsed=True) for seed in range(3)]
    assert by_name(write_json, runs)["stability"].text == (
        "cnn digits b4 class:3: left running, 1 of 3 zo-ga runs and 3 of 3 fo-ga runs collapse, on average 1.00 and "
        "0.50 T* after completion."
    )


def test_an_arm_that_never_completes_is_named(write_json: Write) -> None:
    runs = [unlearning_record("zo-ga", 0, completed=None), unlearning_record("fo-ga", 0)]
    assert by_name(write_json, runs)["completion"].text == "cnn digits b4 class:3: zo-ga never completed."


def test_nothing_is_said_without_both_arms(write_json: Write) -> None:
    assert by_name(write_json, [unlearning_record("zo-ga", 0), step_record("fo-ga", 1)]) == {}


def test_ratios_are_put_in_words() -> None:
    assert [times(ratio) for ratio in (3.4, 1.0, 0.5, 0.1)] == [
        "3.4 times more",
        "1 times more",
        "2 times less",
        "10 times less",
    ]


def test_every_sentence_leads_to_a_table_of_the_page(write_json: Write, tmp_path: Path) -> None:
    records = [
        record if record.kind == "step" else stable(record, collapse=1.0, collapsed=True) for record in full_set()
    ]
    results = load([write_json(records)])
    write_report(results, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    found = findings(results)
    assert {finding.name for finding in found} == {"memory", "time", "cost", "quality", "stability"}
    for finding in found:
        assert f'<a href="#{finding.anchor}">' in page
        assert f'id="{finding.anchor}"' in page


def test_the_files_say_the_same(write_json: Write, tmp_path: Path) -> None:
    write_report(load([write_json()]), tmp_path / "out")
    (part,) = json.loads((tmp_path / "out" / "summary.json").read_text())
    text = (tmp_path / "out" / "summary.md").read_text()
    assert part["profile"] == "test"
    assert len(part["findings"]) == 4
    assert all(finding["text"] in text for finding in part["findings"])
    for statement, claim in part["claims"].items():
        assert f"- {statement}: **{claim['verdict']}**." in text
