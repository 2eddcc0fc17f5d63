"""The first screen, by hand: which arms stand for a run, how long their bars are, and that it is short."""

import pytest

from bench.record import Probe, Record
from reports.data.load import load
from reports.data.part import Part, parts
from reports.page.glance import MOST_LINES, Glance, glance
from reports.page.summary import findings
from tests.reports.conftest import GALLERY, MIB, PartOf, changed, step_record, unlearning_record

MOST_WORDS = 25


def of(part: Part) -> Glance:
    return glance(part, findings(part))


def erasures(engine: bool = False, **peaks: int) -> list[Record]:
    """Three seeds an arm, with the peak of its process in MiB; zo-ga on an engine, too, with a tenth of it."""
    records = [
        changed(unlearning_record(arm.replace("_", "-"), seed), "memory.process_peak_bytes", peak * MIB)
        for arm, peak in peaks.items()
        for seed in range(3)
    ]
    if engine:
        ours = [record for record in records if record.case.method == "zo-ga"]
        less = [changed(one, "memory.process_peak_bytes", peaks["zo_ga"] * MIB // 10) for one in ours]
        records += [changed(one, "case.engine", "onnxruntime") for one in less]
    return records


def test_the_sentence_has_the_numbers_of_the_bars(part_of: PartOf) -> None:
    found = of(part_of(erasures(engine=True, zo_ga=200, fo_ga=400, retrain=500)))
    assert found.result == (
        "Forgetting without backpropagation (zo-ga) takes 0.50 times the memory (0.050 on ONNX Runtime) and 1.0 times "
        "the work of forgetting with it (fo-ga) and leaves a model worth 0.90 against 0.90 (retrained: 1)."
    )
    assert (found.where, found.technical) == ("handwritten digits, small CNN, forget class 3", "cnn digits b4 class:3")
    assert found.measures == ("peak of the process, MiB", "sample-forwards", "ToW")
    assert [(row.name, row.where) for row in found.rows] == [
        ("zo-ga", ""),
        ("zo-ga", "on ONNX Runtime"),
        ("fo-ga", ""),
        ("Retrain", ""),
    ]
    assert [row.cells[0].text for row in found.rows] == ["200", "20", "400", "500"]
    assert [row.cells[0].bar for row in found.rows] == pytest.approx([40, 4, 80, 100])


def test_an_unknown_peak_of_the_process_gives_way_to_live_tensors(part_of: PartOf) -> None:
    found = of(part_of([unlearning_record(arm, seed) for arm in ("zo-ga", "fo-ga") for seed in range(3)]))
    assert found.measures[0] == "peak of live tensors, MiB"
    assert "takes 1.0 times the memory and" in found.result


def test_the_best_of_the_others_stands_for_them_and_a_whisker_for_the_seeds(part_of: PartOf) -> None:
    records = erasures(zo_ga=1, fo_ga=1, salun=1, finetune=1)
    tow = {"salun": 0.95, "finetune": 0.2}
    better = [changed(one, "quality.tow", tow.get(one.case.method, 0.5 + one.case.seed / 10)) for one in records]
    found = of(part_of(better))
    assert [row.name for row in found.rows] == ["zo-ga", "fo-ga", "salun"]
    ours = found.rows[0].cells[2]
    assert (ours.text, ours.span) == ("0.60", "0.50 to 0.70")
    assert (ours.low, ours.bar, ours.high) == pytest.approx((100 * 0.5 / 0.95, 100 * 0.6 / 0.95, 100 * 0.7 / 0.95))


def test_a_badge_has_the_number_that_its_verdict_rests_on(part_of: PartOf) -> None:
    found = of(part_of(erasures(zo_ga=1, fo_ga=1)))
    memory = found.badges[0]
    assert (memory.claim, memory.verdict, memory.number) == ("Much less memory", "not supported", "1.0")
    assert memory.meaning.endswith("claimed: below 0.5")


def test_what_the_features_know_is_the_first_line(part_of: PartOf) -> None:
    depth = (Probe(shots=20, original=90.0, retrained=40.0, model=70.0),)
    records = [changed(one, "quality.depth", depth) for one in erasures(zo_ga=1, fo_ga=1)]
    line = of(part_of(records)).lines[0]
    assert (
        line.text
        == "Of what was forgotten, a probe of the features is right on 70.0 % after zo-ga and 70.0 % after fo-ga."
    )
    assert line.anchor == "what-the-network-still-knows"


def test_single_steps_are_of_the_largest_network_with_both_ascents(part_of: PartOf) -> None:
    records = [step_record(arm, batch, "cnn") for arm in ("zo-ga", "fo-ga") for batch in (1, 8)]
    records += [changed(step_record("zo-ga", 8, "net"), "model_bytes", 99 * MIB)]
    found = of(part_of(records))
    assert found.where.startswith("one step of small CNN, ")
    assert found.where.endswith("batch 8")
    assert found.result.startswith("A step without backpropagation (zo-ga) takes ")


def test_nothing_beside_nothing_has_no_rows(part_of: PartOf) -> None:
    found = of(part_of([step_record("forward", 1)]))
    assert (found.result, found.rows, found.badges) == ("", (), ())


@pytest.mark.parametrize("name", ["digits", "edge", "step-cost"])
def test_what_was_measured_is_said_shortly(name: str) -> None:
    (part,) = parts(load([GALLERY / name / "benchmark.json"]))
    found = of(part)
    assert len(found.lines) <= MOST_LINES
    assert all(len(line.text.split()) <= MOST_WORDS for line in found.lines)
    assert 4 <= len(found.rows) <= 7
    assert found.result


def test_a_badge_names_the_place(part_of: PartOf) -> None:
    found = of(part_of(erasures(zo_ga=1, fo_ga=1)))
    assert found.badges[0].place == "handwritten digits, small CNN, forget class 3"
