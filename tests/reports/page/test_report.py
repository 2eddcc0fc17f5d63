"""Figures, tables and the page: what is drawn is what is in the records."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markupsafe import escape

from bench.record import Record, UnreadableJsonError
from reports.__main__ import main
from reports.data import part
from reports.data.load import load
from reports.page.exhibits import ERASURE_FIGURES, STEP_FIGURES
from reports.page.sections import sections
from reports.page.write import write_report
from tests.reports.conftest import Write, full_set, step_record, unlearning_record

FIGURES = {
    *("memory", "composition", "step-time", "step-energy", "completion-cost", "quality-gaps", "frontier", "pareto"),
    *("loss-curves", "accuracy-curves", "displacement-curves"),
}
UNMEASURED = {"memory-allocator", "memory-process", "engines", "memory-caps"}  # in the records of conftest.py
FILES = {
    *("index.html", "results.csv", "curves.csv", "columns.csv"),
    *(f"{name}.{kind}" for name in ("summary", "sustainability") for kind in ("md", "json")),
    *(f"{name}.png" for name in FIGURES),
}


def wrecked_from_the_start() -> Record:
    """A run that is beyond drawing at its first evaluation."""
    record = unlearning_record("zo-ga", 0).model_dump()
    record["curve"]["retain_loss"] = [1e6] * 21
    return Record.model_validate(record)


class Links(HTMLParser):
    """Collects what a page would load, and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.svgs = 0
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.svgs += tag == "svg"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.loads.append(f"{tag} {value}")
            if tag == "a" and name == "href" and (value or "").startswith("#"):
                self.targets.add((value or "")[1:])
            if name == "id":
                self.ids.append(value or "")


def test_the_page_needs_nothing_but_itself(full_report: Path) -> None:
    assert {path.name for path in full_report.iterdir()} == FILES
    page = Links()
    page.feed((full_report / "index.html").read_text())
    assert page.loads == []
    assert page.svgs == len(FIGURES)
    assert len(page.ids) == len(set(page.ids))


def test_the_csv_holds_every_case(full_report: Path) -> None:
    table = pd.read_csv(full_report / "results.csv")
    assert len(table) == len(full_set())
    assert table.loc[table["method"] == "fo-ga", "memory.tensor_peak_bytes"].max() == 24 * 2**20


def test_drawing_twice_gives_the_same_bytes(full_report: Path, write_json: Write, tmp_path: Path) -> None:
    written = write_report(load([write_json()]), tmp_path / "again")
    assert {path.name for path in written} == FILES
    for path in written:
        assert path.read_bytes() == (full_report / path.name).read_bytes(), path.name


def test_figures_are_vectors_on_demand_and_go_with_the_next_report(write_json: Write, tmp_path: Path) -> None:
    path, out = write_json([step_record(arm, 1) for arm in ("forward", "zo-ga")]), tmp_path / "out"
    assert main([str(path), "--out", str(out), "--vector"]) == 0
    figures = {file.stem for file in out.glob("*.png")}
    assert {file.name for file in out.iterdir() if file.suffix in {".svg", ".pdf"}} == {
        f"{figure}.{kind}" for figure in figures for kind in ("svg", "pdf")
    }
    assert (out / "memory.svg").read_text().startswith("<?xml")
    assert (out / "memory.pdf").read_bytes().startswith(b"%PDF")
    assert main([str(path), "--out", str(out)]) == 0
    assert {file.stem for file in out.glob("*.png")} == figures
    assert not {file.name for file in out.iterdir() if file.suffix in {".svg", ".pdf"}}


def test_every_anchor_of_a_page_of_several_runs_leads_somewhere(write_json: Write, tmp_path: Path) -> None:
    """With the arms that have figures and tables of their own, and a device whose name is no anchor."""
    records = [*full_set(), *(unlearning_record(arm, 0) for arm in ("salun", "fo-ga-head"))]
    odd = unlearning_record("zo-ga", 0).model_dump()
    odd["case"]["device"] = '"><img src=x>'
    first = [step_record("zo-ga", 1)]
    results = load([write_json(first, "a.json"), write_json([*records, Record.model_validate(odd)], "b.json")])
    written = write_report(results, tmp_path / "out")
    assert {path.parent for path in written} == {tmp_path / "out"}
    page = Links()
    page.feed((tmp_path / "out" / "index.html").read_text())
    assert page.loads == []
    assert len(page.ids) == len(set(page.ids))
    assert page.targets <= set(page.ids)
    assert len(page.targets) > 20


def test_a_case_that_is_there_twice_is_refused(write_json: Write) -> None:
    with pytest.raises(UnreadableJsonError, match="the case 'cnn b1 zo-ga' is there twice"):
        load([write_json([step_record("zo-ga", 1), step_record("zo-ga", 1)])])


def test_long_tables_are_cut_in_the_page_and_whole_in_the_csv(write_json: Write, tmp_path: Path) -> None:
    write_report(load([write_json([step_record("zo-ga", batch + 1) for batch in range(600)])]), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "The first 300 of 600 rows; all follow from results.csv." in page
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == 600
    assert len(page) < 5 * 2**20


def test_several_machines_stand_side_by_side(write_json: Write, tmp_path: Path) -> None:
    step = [step_record("zo-ga", 1)]
    results = load([write_json(step, name="a.json"), write_json(step, name="b.json", processor="Another CPU")])
    write_report(results, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Run 1: profile test on A CPU, cpu" in page
    assert "Run 2: profile test on Another CPU, cpu" in page
    assert (tmp_path / "out" / "run2-cpu-memory.png").exists()


@pytest.mark.usefixtures("no_pictures")
def test_devices_of_one_run_are_not_pooled(write_json: Write, tmp_path: Path) -> None:
    """Two records that differ in nothing but the device and the accuracy: no mean of the two stands anywhere."""
    first = unlearning_record("zo-ga", 0).model_dump()
    second = unlearning_record("zo-ga", 0).model_dump()
    second["case"]["device"], second["quality"]["ra"] = "cuda", 10.0
    write_report(load([write_json([Record.model_validate(record) for record in (first, second)])]), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<td>80.0</td>" in page
    assert "<td>10.0</td>" in page
    assert not re.search(r"<td>[^<]*45\.0", page)


def test_names_from_the_data_are_escaped(write_json: Write, tmp_path: Path) -> None:
    path = write_json([step_record("zo-ga", 1, model="<script>alert(1)</script> $\\frac")], processor="<b>CPU</b>")
    write_report(load([path]), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<script>alert" not in page
    assert "<b>CPU" not in page


@pytest.mark.parametrize(
    "records",
    [
        [step_record("zo-ga", 1)],
        [unlearning_record("retrain", 0)],
        [unlearning_record("zo-ga", 0, completed=None)],
        [wrecked_from_the_start()],
        [Record.model_validate({**step_record("zo-ga", 1).model_dump(), "time": None, "energy": None, "memory": {}})],
    ],
)
def test_a_part_of_the_data_makes_a_part_of_the_page(write_json: Write, tmp_path: Path, records: list[Record]) -> None:
    write_report(load([write_json(records)]), tmp_path / "out")
    assert re.search(r"<td>(zo-ga|retrain)</td>", (tmp_path / "out" / "index.html").read_text())


def without(record: Record, *parts: str) -> Record:
    return Record.model_validate(record.model_dump() | dict.fromkeys(parts))


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([without(step_record("zo-ga", 1), "time", "energy")], {"step-time", "step-energy", *UNMEASURED}),
        (
            [unlearning_record("zo-ga", 0)],
            {"completion-cost", "quality-gaps", "features", "relearning", "other-loss-curves"},
        ),
        ([unlearning_record("salun", 0, None)], {pair.name for pair in ERASURE_FIGURES}),
        ([step_record("zo-ga", 1)], UNMEASURED),
    ],
)
def test_a_figure_without_data_says_why(
    write_json: Write, tmp_path: Path, records: list[Record], said: set[str]
) -> None:
    """And only such a one; where no step or erasure was run at all, one sentence stands for all."""
    write_report(load([write_json(records)]), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    missing = {pair.name: pair.missing for pair in (*STEP_FIGURES, *ERASURE_FIGURES)}
    assert {name for name, why in missing.items() if f"<p>{escape(why)}</p>" in page} == said
    assert ("This run has no whole erasures; " in page) is (records[0].kind == "step")
    assert ("This run has no single steps; " in page) is (records[0].kind == "unlearning")


@pytest.mark.usefixtures("no_pictures")
def test_of_many_settings_the_page_shows_some_the_files_and_the_tables_all(write_json: Write, tmp_path: Path) -> None:
    settings = [f"class:{label}" for label in range(5)]
    runs = [unlearning_record(arm, 0) for arm in ("zo-ga", "retrain")]
    records = [
        run.model_copy(update={"case": run.case.model_copy(update={"scenario": name})})
        for name in settings
        for run in runs
    ]
    results = load([write_json(records)])
    (section,) = sections(results)
    quality = next(exhibit for exhibit in section.groups[1].exhibits if exhibit.name == "pareto")
    assert quality.drawing is not None
    assert quality.whole is not None
    assert quality.table is not None
    titles = [[axes.get_title() for axes in one.figure.axes] for one in (quality.drawing, quality.whole)]
    assert titles == [
        [f"handwritten digits, small CNN, forget class {label}" for label in range(count)] for count in (4, 5)
    ]
    assert len(quality.table.rows) == 10
    write_report(results, tmp_path / "out")
    said = (
        "The figures here are of the first 4 of 5 settings; the files beside this page show all, the tables have all."
    )
    assert f"<p>{said}</p>" in (tmp_path / "out" / "index.html").read_text()


def test_what_a_section_shows_is_computed_once(write_json: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The curves twice: those of the ascents, and of the other arms."""
    counts: Counter[str] = Counter()
    once = (
        "with_costs",
        "completed",
        "arm_runs",
        "pareto_points",
        "largest_batches",
        "side_by_side",
        "claims",
        "drawn",
    )
    for name in once:
        monkeypatch.setattr(part, name, counted(getattr(part, name), name, counts))
    (section,) = sections(load([write_json()]))
    assert section.quality is not None
    assert counts == dict.fromkeys(once, 1) | {"drawn": 2}


def counted(function: Callable, name: str, counts: Counter[str]) -> Callable:
    def call(*given: object, **named: object) -> object:
        counts[name] += 1
        return function(*given, **named)

    return call


def test_figures_of_a_former_report_go_and_other_files_stay(write_json: Write, tmp_path: Path) -> None:
    """Of two runs before, of one without single steps now."""
    out = tmp_path / "out"
    before = [step_record("zo-ga", 1)]
    write_report(load([write_json(before, name="a.json"), write_json(before, name="b.json")]), out)
    assert (out / "run2-cpu-memory.png").exists()
    others = {out / "benchmark.json", out / "my-memory.png", out / "memory.txt"}
    for path in others:
        path.touch()
    written = write_report(load([write_json([unlearning_record("zo-ga", 0)])]), out)
    assert set(out.iterdir()) == set(written) | others


def test_a_failed_report_leaves_the_former_one(
    write_json: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = load([write_json([step_record("zo-ga", 1)])])
    write_report(results, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr("reports.page.write.machine_table", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(results, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_the_command_line(write_json: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_json([step_record("zo-ga", 1)])
    assert main([str(path), "--out", str(tmp_path / "out")]) == 0
    assert "index.html" in capsys.readouterr().out
    assert main([str(tmp_path / "nope.json")]) == 2
    assert capsys.readouterr().err.startswith(f"reports: {tmp_path / 'nope.json'}: No such file")
    (tmp_path / "blocked" / "index.html").mkdir(parents=True)
    assert main([str(path), "--out", str(tmp_path / "blocked")]) == 2
    assert "cannot write the report" in capsys.readouterr().err
    (tmp_path / "a-file").touch()
    assert main([str(path), "--out", str(tmp_path / "a-file")]) == 2
    assert "choose another folder with --out" in capsys.readouterr().err


def test_a_report_needs_no_torch(write_json: Write, tmp_path: Path) -> None:
    """The laptop of the design: torch cannot even be imported."""
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "torch.py").write_text("raise ImportError('no torch here')")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "reports", str(write_json([step_record("zo-ga", 1)])), "--out", str(tmp_path / "out")],
        cwd=root,
        env={"PYTHONPATH": str(tmp_path / "block"), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
