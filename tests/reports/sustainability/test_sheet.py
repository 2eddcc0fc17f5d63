"""The one page of a request, by hand: 20 J beside Retrain's 40, after a search of 300."""

import pytest

from bench.record import Probe, Record
from reports.data.words.glossary import ESTIMATED
from reports.sustainability.sheet import NO_GUARANTEE, NO_RETRAIN, Sheet, sheets
from reports.tables.table import Table
from tests.reports.conftest import PartOf, changed, unlearning_record
from tests.reports.sustainability.test_sustainability import costing, trio


def of(part_of: PartOf, records: list[Record]) -> Sheet:
    (found,) = sheets(part_of(records))
    return found


def cells(table: Table | None, name: str) -> dict[str, str]:
    """A row, by its columns."""
    assert table is not None
    return next(dict(zip(table.columns, row, strict=True)) for row in table.rows if row[0] == name)


def test_it_says_what_was_asked_and_how_it_was_done(part_of: PartOf) -> None:
    found = of(part_of, [changed(record, "erased.target", 10.0) for record in trio()])
    assert found.title == "handwritten digits, small CNN, forget class 3"
    assert found.asked == (
        "30 of 300 training samples, by their hash 000000000000..., and 2 other draws of them; forgotten when the "
        "model is right on at most 10.0 % of them."
    )
    assert found.done == (
        "zo-ga, learning rate 0.01, perturbation 0.001 and 4 samples a step; 10 steps on torch, A CPU, 1 thread. 3 of "
        "3 runs completed, a seed each."
    )


def test_it_costs_what_it_costs_beside_retraining(part_of: PartOf) -> None:
    cost = of(part_of, trio()).cost
    ours = cells(cost, "zo-ga")
    assert (ours["time, s"], ours["times Retrain's"], ours["energy, J (estimated)"]) == ("1.5", "0.25", "20")
    assert (ours["mg CO2e"], ours["live tensors, MiB"]) == ("2.0", "1.0")
    assert cells(cost, "retrain")["times Retrain's"] == "1.0"
    assert cost.note.endswith(" In every row: process, MiB: n/a.")


@pytest.mark.parametrize(
    ("joules", "said"),
    [
        (20.0, "an erasure saves 20 J, so it has paid after 15 requests."),
        (37.0, "an erasure saves 3.0 J, so it has paid after 100 requests."),
        (40.0, "it never pays in energy: an erasure takes no less than retraining."),
    ],
)
def test_the_search_pays_after_so_many_requests(part_of: PartOf, joules: float, said: str) -> None:
    searched = "The search for zo-ga's rates took 300 J, all settings together; "
    assert of(part_of, trio(joules)).break_even == searched + said


def test_without_energy_it_pays_in_time(part_of: PartOf) -> None:
    records = [changed(record, "completion.joules", None) for record in trio()]
    assert of(part_of, records).break_even == (
        "The search for zo-ga's rates took 60 s, all settings together; an erasure saves 4.5 s, so it has paid after "
        "14 requests."
    )


def test_what_was_shown_stands_beside_the_original_and_retrain(part_of: PartOf) -> None:
    depth = (Probe(shots=20, original=90.0, retrained=40.0, model=70.0),)
    records = [changed(changed(record, "quality.ua", 80.0), "quality.depth", depth) for record in trio()]
    shown = of(part_of, records).shown
    ours = cells(shown, "zo-ga")
    assert (ours["right on the forgotten"], ours["probe finds"]) == ("20.0", "70.0")
    assert cells(shown, "the original")["probe finds"] == "90.0"
    assert shown is not None
    assert shown.rows[-1][0] == "retrain"


def test_what_was_not_shown_is_said(part_of: PartOf) -> None:
    assert of(part_of, trio()).not_shown[0] == NO_GUARANTEE
    assert ESTIMATED in of(part_of, trio()).not_shown
    alone = of(part_of, [costing(unlearning_record("zo-ga", seed), 20.0) for seed in range(3)])
    assert NO_RETRAIN in alone.not_shown
    assert alone.break_even == ""
    assert cells(alone.cost, "zo-ga")["times Retrain's"] == "n/a"


def test_an_arm_that_moved_little_is_said_to_know_the_rest(part_of: PartOf) -> None:
    shallow = [changed(record, "rate.tail", "layer") if record.case.method == "fo-ga" else record for record in trio()]
    said = " ".join(of(part_of, shallow).not_shown)
    assert "fo-ga moved no more than the last layer: what is before it knows the samples as well as it did" in said


def test_the_receipt_is_of_the_first_run_that_has_one(part_of: PartOf) -> None:
    assert of(part_of, trio()).receipt.startswith("No arm here writes one")
    kept = [
        record.model_copy(update={"receipt_sha256": f"{record.case.seed:064x}"})
        if record.case.method == "zo-ga"
        else record
        for record in trio()
    ]
    assert of(part_of, kept).receipt == f"zo-ga, seed 0: {0:064x}; 2 more in the annex."


def test_what_did_not_complete_has_no_page(part_of: PartOf) -> None:
    never = [unlearning_record("zo-ga", seed, completed=None) for seed in range(3)]
    assert list(sheets(part_of(never))) == []
