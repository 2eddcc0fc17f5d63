"""Reading benchmark JSON: every figure arrives, and what is not ours is told in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.record import Record, UnreadableJsonError
from reports.data.load import load, printable_lines, shots_of
from reports.data.part import parts
from tests.reports.conftest import Write, full_set, step_record, unlearning_record


def test_one_row_a_case_with_every_figure(write_json: Write) -> None:
    results = load([write_json()])
    assert len(results.cases) == len(full_set())
    row = results.cases.query("kind == 'step' and model == 'net' and method == 'fo-ga' and batch_size == 8").iloc[0]
    assert row["memory.tensor_peak_bytes"] == 24 * 2**20
    assert row["memory.tensor_by_category.parameters"] == 2**20
    assert row["time.times_two_forwards"] == 1.5
    assert row["energy.basis"] == "estimated"
    assert row["notes"] == "memory.process_peak_bytes: not measured"


def test_curves_have_relative_time(write_json: Write) -> None:
    records = [unlearning_record("zo-ga", 0), unlearning_record("zo-ga", 1, completed=None)]
    curves = load([write_json(records)]).curves
    of_seed = dict(iter(curves.groupby("seed")))
    assert of_seed[0].set_index("step")["relative_step"].loc[[0, 10, 20]].tolist() == [0, 1, 2]
    assert of_seed[1]["relative_step"].isna().all()


def test_a_probe_has_a_column_for_its_shots_and_each_model(write_json: Write) -> None:
    record = unlearning_record("zo-ga", 0).model_dump()
    probe = {"shots": 20, "model": 60.0, "original": 77.0, "retrained": None}
    record["quality"]["depth"] = [probe]
    cases = load([write_json([Record.model_validate(record), step_record("zo-ga", 1)])]).cases
    assert shots_of(cases) == [20]
    columns = [f"quality.depth.20.{model}" for model in ("model", "original", "retrained")]
    assert cases.loc[0, columns[:2]].tolist() == [60.0, 77.0]
    assert cases.loc[:, columns].isna().to_numpy().tolist() == [[False, False, True], [True] * 3]


def test_several_files_stay_apart(write_json: Write) -> None:
    paths = [write_json(name="a.json"), write_json(name="b.json", processor="Another CPU")]
    results = load(paths)
    assert [run.machine.processor for run in results.runs] == ["A CPU", "Another CPU"]
    assert results.cases["run"].value_counts().tolist() == [len(full_set())] * 2


def test_a_run_in_progress_is_told_from_one_that_never_was(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.json"
    with pytest.raises(UnreadableJsonError, match=r"No such file or directory; make one with: pytest bench/ --b"):
        load([path])
    (tmp_path / "journal.jsonl").write_text("{}\n")
    with pytest.raises(
        UnreadableJsonError, match=r"journal.jsonl beside it holds finished cases; wait .* with --resume$"
    ):
        load([path])


def test_a_run_without_curves(write_json: Write) -> None:
    assert load([write_json([step_record("zo-ga", 1)])]).curves.empty


def test_missing_figures_are_missing(write_json: Write) -> None:
    cases = load([write_json()]).cases
    assert cases.loc[cases["kind"] == "step", "quality.ua"].isna().all()
    assert pd.isna(cases["memory.allocator_peak_bytes"]).all()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2], "truncated, or not JSON"),
        (lambda _: "", "truncated, or not JSON"),
        (lambda _: "[1, 2]", "not from this suite"),
        (lambda _: json.dumps({"machine_info": {}, "benchmarks": [], "version": "5.3.1"}), "not from this suite"),
        (lambda text: text.replace('"schema": 10', '"schema": 99'), "schema 99, but this version reads schema 10; run"),
        (lambda text: text.replace('"schema": 10', '"schema": 8'), "schema 8, but this version reads schema 10; run"),
        (lambda text: text.replace('"schema": 10', '"schema": true'), "schema True, but this version reads"),
        (lambda text: "[" * 200_000, "truncated, or not JSON"),
        (lambda text: text.replace('"benchmarks": [', '"benchmarks": 7, "other": ['), "not from this suite"),
        (lambda text: text.replace('"step": [0, ', '"step": [', 1), "must be equally long"),
        (lambda text: text.replace('"scenario": "class:3"', '"scenario": null', 1), "record has a scenario"),
        (lambda text: text.replace('"fingerprint"', '"finger"'), "damaged: finger"),
        (lambda text: text.replace('"kind": "step"', '"kind": "stop"', 1), "damaged: kind"),
        (lambda text: text.replace('"record"', '"recording"', 1), "damaged: no 'record'"),
    ],
)
def test_a_foreign_or_damaged_file_is_told_in_one_line(write_json: Write, damage: Callable, words: str) -> None:
    path = write_json()
    path.write_text(damage(path.read_text()))
    with pytest.raises(UnreadableJsonError, match=words) as error:
        load([path])
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_an_empty_or_missing_file_is_told(write_json: Write, tmp_path: Path) -> None:
    with pytest.raises(UnreadableJsonError, match="no finished case"):
        load([write_json([])])
    with pytest.raises(UnreadableJsonError, match="No such file"):
        load([tmp_path / "nope.json"])


def test_every_name_is_printable_however_deep_it_stands(write_json: Write) -> None:
    """An arm's name in the list of what the search took, and a version's in the dictionary of the machine's."""
    path = write_json([step_record("zo-ga\n", 1)])
    path.write_text(path.read_text().replace('"method": "zo-ga"', '"method": "my\\narm"').replace("2.11.0", "2\\t0"))
    results = load([path])
    assert [cost.method for cost in results.runs[0].tuning] == ["my\\narm"]
    assert results.runs[0].machine.versions == {"torch": "2\\t0"}
    assert results.cases["method"].tolist() == ["zo-ga\\n"]


def test_a_profile_is_read_as_it_was_whatever_stands_in_it(write_json: Write) -> None:
    """Spaces that do not break, soft hyphens and other lines' ends; shown, they are codes."""
    path = write_json()
    content = json.loads(path.read_text())
    content["run"]["profile_text"] = "description = 'a\u00a0b\u2028c'\n" + content["run"]["profile_text"]
    path.write_text(json.dumps(content))
    (part,) = parts(load([path]))
    assert part.run.profile_text == content["run"]["profile_text"]
    assert part.quoted.training == ("cnn: epochs 15, batch_size 64, lr 0.1",)
    assert "a\\xa0b\\u2028c" in printable_lines(part.run.profile_text)


def test_a_profile_that_is_no_toml_is_damage(write_json: Write) -> None:
    path = write_json()
    content = json.loads(path.read_text())
    content["run"]["profile_text"] = "= 1"
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableJsonError, match="damaged: "):
        load([path])
