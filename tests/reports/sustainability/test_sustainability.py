"""The statement against figures by hand: 20 J a request on a grid of 360 g a kWh are two milligrams."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.record import Accuracies, Completion, Erased, Inventory, ModelFile, Origins, Probe, Record, Relearned
from reports.data.load import load
from reports.data.part import parts
from reports.data.words.glossary import ESTIMATED
from reports.page.write import write_report
from reports.sustainability.asked import receipt_table
from reports.sustainability.statement import (
    NO_GUARANTEE,
    NOT_METERED,
    NOTHING_COMPLETED,
    TWO_PASSES,
    UNSEEN,
    Statement,
    statement,
)
from tests.reports.conftest import PROFILE_TEXT, PartOf, Write, changed, step_record, unlearning_record


def costing(record: Record, joules: float, seconds: float = 1.5, mib: int = 2) -> Record:
    assert record.completion is not None
    completion = record.completion.model_copy(update={"joules": joules, "seconds": seconds})
    memory = record.memory.model_copy(update={"tensor_peak_bytes": mib * 2**20})
    return record.model_copy(update={"completion": completion, "memory": memory})


def of(part_of: PartOf, records: list[Record]) -> Statement:
    found = statement(part_of(records))
    assert found is not None
    return found


def rows(found: Statement, title: str) -> dict[str, dict[str, str]]:
    """A table's rows by arm, with what its note says of all of them."""
    table = next(table for table in found.tables if table.title == title)
    _, _, common = table.note.removesuffix(".").partition(" In every row: ")
    same = dict(one.split(": ", 1) for one in common.split("; ") if one)
    named = (same | dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return {row.get("arm", row.get("seed", "")): row for row in named}


def trio(joules: float = 20.0, mib: int = 1) -> list[Record]:
    """zo-ga with such a cost, fo-ga and Retrain with 10 and 40 J and 2 MiB, three seeds."""
    ours = [costing(unlearning_record("zo-ga", seed), joules, mib=mib) for seed in range(3)]
    theirs = [costing(unlearning_record("fo-ga", seed), 10.0) for seed in range(3)]
    return [*ours, *theirs, *(costing(unlearning_record("retrain", seed), 40.0, 6.0) for seed in range(3))]


def test_a_request_is_in_the_units_it_says(part_of: PartOf) -> None:
    row = rows(of(part_of, trio()), "One erasure request")["zo-ga"]
    assert row["complete"] == "3 of 3"
    assert row["energy, J (estimated)"] == "20"
    assert row["SCI, mg CO2e"] == "2.0"  # 20 J / 3.6e6 J/kWh * 360 g/kWh = 2e-3 g
    assert row["time, s"] == "1.5"
    assert row["energy over Retrain's"] == "0.50"
    assert row["time over Retrain's"] == "0.25"
    assert (row["live tensors, MiB"], row["tensors fit into"]) == ("1.00", "64 MiB")
    assert (row["process, MiB"], row["process fits into"]) == ("n/a", "n/a")


def test_a_thousand_requests_are_a_thousand_times_one(part_of: PartOf) -> None:
    row = rows(of(part_of, trio(joules=36.0)), "A thousand erasure requests")["zo-ga"]
    assert (row["energy, kWh"], row["CO2e, g"], row["time, h"]) == ("0.010", "3.6", "0.42")


def test_the_basis_has_shares_with_their_boundary_window_and_grid(part_of: PartOf) -> None:
    row = rows(of(part_of, trio()), "Where the energy figures come from")["zo-ga"]
    assert row["basis"] == "estimated"
    assert row["processor, J"] == "15 (estimated, process)"
    assert row["memory, J"] == "5.0 (estimated, machine)"
    assert row["accelerator, J"] == "n/a"
    assert (row["window, s"], row["grid, g CO2e/kWh"]) == ("2.0", "360 (FRA)")


def test_the_search_is_apart_and_what_was_erased_is_named(part_of: PartOf) -> None:
    found = of(part_of, trio())
    search = rows(found, "The search for learning rates")["zo-ga"]
    assert (search["time, s"], search["energy, J"], search["basis"]) == ("60.0", "300", "estimated")
    erased = rows(found, "What was to be forgotten")
    assert {seed: row["samples"] for seed, row in erased.items()} == dict.fromkeys("012", "30 of 300")
    assert erased["2"]["hash"] == f"{2:064x}"


def test_every_arm_but_retrain_has_its_rates(part_of: PartOf) -> None:
    found = rows(of(part_of, trio()), "What each arm was run with")
    rates = {arm: (row["learning rate"], row["size of the perturbation"]) for arm, row in found.items()}
    assert rates == {"zo-ga": ("0.01", "0.001"), "fo-ga": ("0.01", "n/a")}


def test_if_it_costs_more_the_first_sentence_says_so_and_what_that_buys(part_of: PartOf) -> None:
    assert of(part_of, trio(joules=70.0)).headline == (
        "cnn digits b4 class:3: an erasure by zo-ga takes 7.0 times the energy (estimated) of one by fo-ga to the same "
        "level of forgetting; what that buys is a step that peaks at 0.50 times fo-ga's live tensors. Retraining from "
        "scratch, which is exact, takes less energy: an erasure by zo-ga takes 1.8 times as much.",
    )


def test_if_it_costs_less_nothing_is_bought(part_of: PartOf) -> None:
    (sentence,) = of(part_of, trio(joules=5.0)).headline
    assert "takes 0.50 times the energy (estimated) of one by fo-ga" in sentence
    assert (
        "; it has a step that peaks at 0.50 times fo-ga's live tensors. Retraining from scratch takes more energy"
        in sentence
    )


def test_a_peak_that_is_no_less_is_not_called_a_gain(part_of: PartOf) -> None:
    (sentence,) = of(part_of, trio(joules=70.0, mib=4)).headline
    assert "; it buys nothing: it has a step that peaks at 2.00 times fo-ga's live tensors. " in sentence


def attacked(record: Record, mia: float | None, back: float) -> Record:
    assert record.quality is not None
    curve = Relearned(shots=20, step=(0, 32), model=(10.0, back), original=(90.0, 90.0), retrained=(0.0, 50.0))
    quality = record.quality.model_copy(update={"mia": mia, "relearned": (curve,)})
    return record.model_copy(update={"quality": quality})


def test_the_evidence_of_forgetting_is_said_beside_retrains(part_of: PartOf) -> None:
    """Means over the seeds: attackers by hand 60 and 70 %, 80 and 90 %; back to 72 and 74 %, and 30 and 50."""
    records = [attacked(unlearning_record("zo-ga", seed), 60.0 + 10 * seed, 72.0 + 2 * seed) for seed in (0, 1)]
    records += [attacked(unlearning_record("retrain", seed), 80.0 + 10 * seed, 30.0 + 20 * seed) for seed in (0, 1)]
    records += [unlearning_record("fo-ga", 0), unlearning_record("zo-ga", 2, completed=None)]
    assert of(part_of, records).evidence == (
        "cnn digits b4 class:3: the error on the forget set is 90.5 % after zo-ga, 90.0 % after fo-ga and 90.5 % after "
        "retrain; the accuracy on the rest, 100.0 % "
        "in the original, is 80.5 % after zo-ga, 80.0 % after fo-ga and 80.5 % after retrain; the share of "
        "the forget set that an attacker takes for unseen is 65.0 % after zo-ga and 85.0 % after retrain; "
        "after 32 steps of fine-tuning on 20 samples of every class the accuracy on unseen samples of the forgotten "
        "class is 73.0 % after zo-ga and 40.0 % after retrain.",
    )


def test_what_comes_back_of_single_samples_is_said_of_others_of_them(part_of: PartOf) -> None:
    records = [attacked(unlearning_record(arm, 0), None, 70.0) for arm in ("zo-ga", "retrain")]
    (said,) = of(part_of, [changed(record, "case.scenario", "random:0.1") for record in records]).evidence
    assert said.endswith(
        "after 32 steps of fine-tuning on 20 of the forgotten samples the accuracy on others of them is 70.0 % after "
        "zo-ga and 70.0 % after retrain."
    )


def test_without_quality_there_is_no_evidence(part_of: PartOf) -> None:
    assert of(part_of, [record.model_copy(update={"quality": None}) for record in trio()]).evidence == ()


def test_the_cheapest_arm_within_the_same_memory_is_named(part_of: PartOf) -> None:
    """fo-ga-head takes half a joule and no more memory; fo-ga takes less still, and more memory."""
    head = [costing(unlearning_record("fo-ga-head", seed), 0.5, mib=1) for seed in range(3)]
    (sentence,) = of(part_of, [*trio(joules=70.0), *head]).headline
    assert sentence.endswith(
        " Of the arms that take no more memory, fo-ga-head takes the least energy: 0.50 J, with a peak of 1.00 MiB and "
        "81.0 % retain accuracy."
    )
    dear = [costing(unlearning_record("fo-ga-head", seed), 0.5, mib=2) for seed in range(3)]
    (sentence,) = of(part_of, [*trio(joules=70.0), *dear]).headline
    assert "Of the arms" not in sentence


def test_an_estimate_is_said_to_add_nothing_to_the_time(part_of: PartOf) -> None:
    assert f"{ESTIMATED} {TWO_PASSES}" in of(part_of, trio()).notes
    measured = [record.model_copy(update={"energy": as_measured(record)}) for record in trio()]
    assert not any(ESTIMATED in note for note in of(part_of, measured).notes)
    assert of(part_of, measured).notes[-1] == NO_GUARANTEE


def test_arms_without_a_search_on_record_are_named(part_of: PartOf) -> None:
    """The fixture's run has one for zo-ga; fo-ga-matched takes zo-ga's rate, and Retrain has none."""
    records = [*trio(), unlearning_record("salun", 0), unlearning_record("fo-ga-matched", 0)]
    assert "No search for the learning rates of fo-ga, salun is on record." in of(part_of, records).notes


def test_where_nothing_completed_nothing_is_said_of_metering(part_of: PartOf) -> None:
    notes = of(part_of, [unlearning_record("zo-ga", 0, completed=None)]).notes
    assert NOTHING_COMPLETED in notes
    assert NOT_METERED not in notes


def test_where_there_was_nothing_to_forget_nothing_was_erased(part_of: PartOf) -> None:
    """Such a seed is counted apart and lends no nought to a mean."""
    nothing = unlearning_record("zo-ga", 1).model_dump()
    nothing["completion"] |= {"step": 0, "joules": 0.0, "seconds": 0.0}
    nothing["energy"] = None
    records = [costing(unlearning_record("zo-ga", 0), 20.0), Record.model_validate(nothing)]
    row = rows(of(part_of, records), "One erasure request")["zo-ga"]
    assert row["complete"] == "1 of 1 (1 had nothing to forget)"
    assert (row["energy, J (estimated)"], row["SCI, mg CO2e"]) == ("20", "2.0")


def as_measured(record: Record) -> object:
    assert record.energy is not None
    return record.energy.model_copy(update={"basis": "measured"})


def test_without_energy_time_is_compared_and_nothing_is_made_up(part_of: PartOf) -> None:
    records = [record.model_copy(update={"energy": None, "completion": without_joules(record)}) for record in trio()]
    found = of(part_of, records)
    assert "takes 1.0 times the time of one by fo-ga" in found.headline[0]
    assert found.headline[0].endswith("takes more time: an erasure by zo-ga takes 0.25 times as much.")
    assert found.model_cards == ()
    assert NOT_METERED in found.notes
    row = rows(found, "One erasure request")["zo-ga"]
    assert (row["energy, J"], row["SCI, mg CO2e"], row["time, s"]) == ("n/a", "n/a", "1.5")
    assert "Where the energy figures come from" not in {table.title for table in found.tables}


def without_joules(record: Record) -> object:
    assert record.completion is not None
    return record.completion.model_copy(update={"joules": None})


def test_the_model_card_block_is_in_grams(part_of: PartOf) -> None:
    (card,) = of(part_of, trio()).model_cards
    assert card.title == "cnn digits b4 class:3, zo-ga, one erasure request"
    assert card.yaml == (
        "co2_eq_emissions:\n"
        "  emissions: 0.0020  # grams\n"
        '  source: "zo-unlearning-bench, by CodeCarbon"\n'
        "  training_type: fine-tuning\n"
        '  geographical_location: "FRA (grid assumed by the profile)"\n'
        '  hardware_used: "A CPU"\n'
    )


def test_runs_that_never_completed_are_counted_and_lend_no_figure(part_of: PartOf) -> None:
    records = [*trio()[1:], unlearning_record("zo-ga", 0, completed=None)]
    assert rows(of(part_of, records), "One erasure request")["zo-ga"]["complete"] == "2 of 3"
    never = [record for record in trio() if record.case.method != "zo-ga"] + [unlearning_record("zo-ga", 0, None)]
    found = of(part_of, never)
    assert found.headline == (
        "cnn digits b4 class:3: there is no seed with which both completed; zo-ga with 0 of 1 and fo-ga with 3 of 3.",
    )
    assert rows(found, "One erasure request")["zo-ga"]["energy, J (estimated)"] == "n/a"


@pytest.mark.usefixtures("no_pictures")
def test_without_erasures_there_is_no_statement_and_the_files_say_why(write_json: Write, tmp_path: Path) -> None:
    results = load([write_json([step_record("zo-ga", 1)])])
    (part,) = parts(results)
    assert statement(part) is None
    write_report(results, tmp_path / "out")
    assert "No statement: this run has no whole erasures." in (tmp_path / "out" / "sustainability.md").read_text()


@pytest.mark.usefixtures("no_pictures")
def test_the_json_has_every_run_unrounded_and_no_nan(write_json: Write, tmp_path: Path) -> None:
    third = costing(unlearning_record("zo-ga", 0), 20 / 3)
    write_report(load([write_json([third, unlearning_record("fo-ga", 1, completed=None)])]), tmp_path / "out")
    text = (tmp_path / "out" / "sustainability.json").read_text()
    (part,) = json.loads(text, parse_constant=pytest.fail)
    theirs, ours = part["requests"]
    assert (ours["energy_j"], ours["learning_rate"], ours["eps"]) == (20 / 3, 0.01, 1e-3)
    assert ours["sci_gco2e"] == pytest.approx(20 / 3 * 1e-4)
    assert (theirs["complete"], theirs["energy_j"], theirs["eps"]) == (False, None, None)
    assert part["search"][0]["joules"] == 300


@pytest.mark.usefixtures("no_pictures")
def test_markdown_keeps_its_tables_whatever_stands_in_a_name(write_json: Write, tmp_path: Path) -> None:
    record = unlearning_record("zo-ga", 0)
    named = record.model_copy(update={"case": record.case.model_copy(update={"model": "a|b<i>"})})
    write_report(load([write_json([named])]), tmp_path / "out")
    lines = (tmp_path / "out" / "sustainability.md").read_text().splitlines()
    table = [line for line in lines if "a\\|b&lt;i>" in line]
    assert table
    heads = next(line for line in lines if line.startswith("| setting | arm | complete"))
    row = next(line for line in lines[lines.index(heads) :] if "zo-ga" in line)
    assert row.replace("\\|", "").count("|") == heads.count("|")


def test_the_statement_quotes_the_profile_that_was_run(write_json: Write, tmp_path: Path) -> None:
    """On the page escaped, in the JSON and the Markdown to the letter; with the training that it says."""
    write_report(load([write_json()]), tmp_path / "out")
    (content,) = json.loads((tmp_path / "out" / "sustainability.json").read_text())
    assert content["profile"] == PROFILE_TEXT
    markdown = (tmp_path / "out" / "sustainability.md").read_text()
    assert all(f"    {line}".rstrip() in markdown.splitlines() for line in PROFILE_TEXT.splitlines())
    assert "(cnn: epochs 15, batch\\_size 64, lr 0.1)" in markdown
    assert "# in memory of &lt;nothing&gt;" in (tmp_path / "out" / "index.html").read_text()


LOSSES = ((0, 10, 79.0), (1, 10, 90.0), (2, None, 30.0))  # seed, T*, retain accuracy before


def asked(seed: int, step: int | None, samples: int = 25) -> Record:
    """A request by name that completed at `step`, of a model from a file: right on 99 %, and 97 % of test data."""
    record = unlearning_record("zo-ga", seed, step)
    original = Accuracies(forget=99.0, retain=100.0, test=97.0)
    erased = Erased(samples=samples, of=300, digest=f"{0:064x}", target=97.0)
    origins = Origins(original=ModelFile(name="model.safetensors", sha256=f"{1:064x}"))
    case = record.case.model_copy(update={"scenario": "files:list.txt"})
    return record.model_copy(update={"case": case, "erased": erased, "original": original, "origins": origins})


def idle(seed: int, samples: int = 25) -> Record:
    completion = Completion(reached=True, step=0, seconds=0.0, joules=0.0, forward_equivalents=0.0, sample_forwards=0.0)
    return asked(seed, 1, samples).model_copy(update={"completion": completion, "energy": None})


def test_whoever_asked_is_told_what_became_of_it(part_of: PartOf) -> None:
    found = of(part_of, [asked(seed, 10) for seed in range(3)])
    assert found.headline[0] == (
        "25 samples named by list.txt: the model was right on 99.0 %, and after zo-ga is right on 9.0 %; on what is "
        "to be kept it was right on 100.0 % and is on 81.0 % (19.0 points lost); on test data it was right on 97.0 % "
        "and is on 71.0 %."
    )
    assert UNSEEN in found.notes


def test_what_was_lost_of_what_is_to_be_kept_is_told_run_by_run(part_of: PartOf) -> None:
    """Of the runs that completed: the second was right on 90 % before, and is on 81 %; the first gained."""
    records = [changed(asked(seed, step), "original.retain", before) for seed, step, before in LOSSES]
    found = of(part_of, records)
    assert "it was right on 84.5 % and is on 80.5 % (4.0 points lost)" in found.headline[0]
    told = [(one.original_retain_accuracy_percent, one.retain_accuracy_lost_points) for one in found.requests]
    assert told == [(79.0, -1.0), (90.0, 9.0), (30.0, None)]
    (sentence,) = found.evidence
    assert "the accuracy on the rest, 84.5 % in the original, is 80.5 % after zo-ga" in sentence
    (gained,) = of(part_of, records[:1]).headline[:1]
    assert "(1.0 points gained)" in gained


@pytest.mark.parametrize(
    ("scenario", "said"),
    [("class:3", "25 samples of class 3 (nine)"), ("class:nine", "25 samples of class nine")],
)
def test_a_class_that_is_given_by_its_index_has_its_name(part_of: PartOf, scenario: str, said: str) -> None:
    record = asked(0, 10)
    record = changed(record, "case.scenario", scenario)
    part = part_of([record])
    held = Inventory(dataset="digits", train=dict.fromkeys(("eight", "five", "four", "nine"), 75), test={})
    found = statement(replace(part, run=part.run.model_copy(update={"data": (held,)})))
    assert found is not None
    assert found.headline[0].startswith(f"{said}: the model was right on 99.0 %")
    samples = rows(found, "What was to be forgotten")["0"]["samples"]
    assert samples == ("25 of 300 (nine)" if scenario == "class:3" else "25 of 300")


def test_runs_that_came_to_no_end_are_not_hidden_by_one_that_did(part_of: PartOf) -> None:
    found = of(part_of, [asked(0, 10), asked(1, None), asked(2, None)])
    assert found.headline[0].endswith("; 1 of 3 runs came to an end.")
    found = of(part_of, [asked(0, None)])
    assert found.headline[0] == (
        "25 samples named by list.txt: not forgotten: the model was right on 99.0 %, and zo-ga did not come to an end."
    )


def test_what_needed_no_forgetting_is_not_called_unforgotten(part_of: PartOf) -> None:
    assert of(part_of, [idle(0, samples=1)]).headline[0] == (
        "1 sample named by list.txt: the model was right on 99.0 % as it came, where 97.0 % was to be reached, so "
        "zo-ga changed nothing."
    )


def test_what_the_network_still_knows_is_said_beside_both_ends(part_of: PartOf) -> None:
    """From 20 shots of 5, 20 and 100: means over the seeds, 83 before, 39 after Retrain."""
    records = []
    for arm, found in (("zo-ga", 71.0), ("fo-ga", 73.0), ("retrain", 39.0)):
        for seed in range(2):
            record = unlearning_record(arm, seed)
            probes = tuple(
                Probe(shots=shots, model=found + off + 2 * seed, original=83.0 + off, retrained=39.0)
                for shots, off in ((5, -10.0), (20, 0.0), (100, 10.0))
            )
            quality = record.quality.model_copy(update={"depth": probes})  # type: ignore[union-attr]
            records.append(record.model_copy(update={"quality": quality}))
    (sentence,) = of(part_of, records).evidence
    assert sentence.endswith(
        "; a linear probe from 20 samples a class, which finds 83.0 % of the forgotten in the original's features, "
        "finds 72.0 % after zo-ga, 74.0 % after fo-ga and 40.0 % after retrain."
    )


def test_receipts_are_linked_and_said_to_prove_no_more_than_they_do(part_of: PartOf) -> None:
    records = [unlearning_record(method, seed=0) for method in ("retrain", "fo-ga", "zo-ga")]
    assert receipt_table(part_of(records)) is None
    records[2] = records[2].model_copy(update={"receipt_sha256": "ab" * 32})
    part = part_of(records)
    table = receipt_table(part)
    assert table is not None
    assert table.rows == (("cnn digits b4 class:3", "zo-ga", "0", "ab" * 32),)
    assert "not that anything was forgotten" in table.note
    said = statement(part)
    assert said is not None
    assert table in said.tables
    assert [request.receipt_sha256 for request in said.requests if request.arm == "zo-ga"] == ["ab" * 32]
