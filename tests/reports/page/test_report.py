"""Figures, tables and the page: what is drawn is what is in the records."""

import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from matplotlib.colors import to_hex

from bench.record import Memory, Record, UnreadableJsonError
from reports.__main__ import main
from reports.data.arms import KNOWN
from reports.data.load import load
from reports.data.points import COLLAPSED
from reports.figures import curves as curve_figures
from reports.figures import steps as step_figures
from reports.figures import style
from reports.figures.panels import Drawing
from reports.page.exhibits import ERASURE_FIGURES, STEP_FIGURES
from reports.page.sections import sections
from reports.page.write import write_report
from reports.tables.erasures import cost_table, quality_table, stability_table
from reports.tables.machine import machine_table
from reports.tables.steps import memory_comparison, step_table, time_comparison
from reports.tables.table import Table, number
from tests.reports.conftest import full_set, stable, step_record, unlearning_record

Write = Callable[..., Path]
FIGURES = {
    *("memory", "composition", "step-time", "step-energy", "completion-cost", "quality-gaps", "pareto"),
    *("loss-curves", "accuracy-curves", "displacement-curves"),
}
UNMEASURED = {"memory-allocator", "memory-process"}  # in the records of conftest.py
FILES = {
    *("index.html", "results.csv", "curves.csv", "columns.csv"),
    *(f"{name}.{kind}" for name in ("summary", "sustainability") for kind in ("md", "json")),
    *(f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png", "pdf")),
}


def wrecked_from_the_start() -> Record:
    """A run that is beyond drawing at its first evaluation."""
    record = unlearning_record("zo-ga", 0).model_dump()
    record["curve"]["retain_loss"] = [1e6] * 21
    return Record.model_validate(record)


def first_row(table: Table | None) -> dict[str, str]:
    """The first row, by column."""
    assert table is not None
    return dict(zip(table.columns, table.rows[0], strict=True))


@pytest.fixture(autouse=True)
def _use_style() -> None:
    style.use()


def lines(drawing: Drawing | None, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    """What a panel shows, by colour of the line."""
    assert drawing is not None
    axes = drawing.figure.axes[panel]
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 1]
    return {str(line.get_color()): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}


@pytest.mark.parametrize(
    ("draw", "factor"),
    [(step_figures.memory, 1.0), (step_figures.step_energy, 0.1)],
)
def test_step_figures_show_the_records(write_json: Write, draw: Callable, factor: float) -> None:
    """Each arm's figure is its factor times the batch size, in MiB and tenths of a joule."""
    shown = lines(draw(load([write_json()])), panel=1)
    palette = style.arm_style(["forward", "fo-ga", "zo-ga"]).palette
    for method, arm in (("forward", 1), ("zo-ga", 2), ("fo-ga", 3)):
        x, y = shown[palette[method]]
        assert x == [1, 8]
        assert y == pytest.approx([factor * arm * 1, factor * arm * 8])


def test_the_time_figure_shows_multiples_of_two_forwards(write_json: Write) -> None:
    shown = lines(step_figures.step_time(load([write_json()])), panel=1)
    palette = style.arm_style(["forward", "fo-ga", "zo-ga"]).palette
    for method, arm in (("forward", 1), ("zo-ga", 2), ("fo-ga", 3)):
        assert shown[palette[method]] == ([1, 8], pytest.approx([arm / 2, arm / 2]))


def test_loss_curves_show_every_seed_and_the_median(write_json: Write) -> None:
    drawing = curve_figures.loss_curves(load([write_json()]))
    assert drawing is not None
    assert "3 seeds" in drawing.caption
    forget = drawing.figure.axes[0]
    zeroth = style.OKABE_ITO[2]
    (median,) = (line for line in forget.lines if line.get_color() == zeroth)
    (seeds,) = (found for found in forget.collections if to_hex(found.get_colors()[0]) == zeroth.lower())
    paths = [path.vertices for path in seeds.get_paths()]
    assert len(paths) == 3
    for points in (*paths, np.column_stack([median.get_xdata(), median.get_ydata()])):
        x, y = points.T
        on_record = np.isclose(x * 10, np.round(x * 10))
        assert y[on_record] == pytest.approx(0.01 * 2 ** (10 * x[on_record]))
        assert y.max() <= COLLAPSED


def test_an_arm_looks_the_same_in_every_figure() -> None:
    alone, among = style.arm_style(["zo-ga"]), style.arm_style(["a-new-arm", "fo-ga", "zo-ga"])
    for look in ("palette", "markers", "dashes"):
        assert getattr(alone, look)["zo-ga"] == getattr(among, look)["zo-ga"]
        assert len(set(getattr(among, look).values())) == 3


def test_the_step_table_is_in_the_units_it_says(write_json: Write) -> None:
    table = step_table(load([write_json([step_record("zo-ga", 8)])]))
    assert table is not None
    row = first_row(table)
    assert row["peak of live tensors, MiB"] == "16.00"
    assert row["time, ms"] == "16.00"
    assert row["times two forwards"] == "1.00 (0.95 to 1.05)"
    assert row["energy, J"] == "1.60"
    assert row["CO2e, mg"] == "1.60"
    assert "FRA" in table.note


def test_the_comparisons_divide_and_stand_in_the_same_rows(write_json: Write) -> None:
    """The fixture's arms take 1 (forward), 2 (zo-ga) and 3 (fo-ga) units a sample; a missing case is no number."""
    records = [step_record(arm, batch) for arm in ("forward", "zo-ga", "fo-ga") for batch in (1, 8)]
    results = load([write_json(records[:-1])])
    times, peaks = time_comparison(results), memory_comparison(results)
    assert times is not None
    assert times.columns == ("model", "batch", "zo-ga over two forwards", "forward over zo-ga", "fo-ga over zo-ga")
    assert [row[1:] for row in times.rows] == [
        ("1", "1.00 (0.95 to 1.05)", "0.50", "1.50"),
        ("8", "1.00 (0.95 to 1.05)", "0.50", "n/a"),
    ]
    assert peaks is not None
    assert peaks.columns == ("model", "batch", "forward", "fo-ga", "zo-ga", "zo-ga over fo-ga")
    assert [row[1:] for row in peaks.rows] == [
        ("1", "1.00", "3.00", "2.00", "0.67"),
        ("8", "8.00", "n/a", "16.00", "n/a"),
    ]


def test_every_known_arm_has_a_look_of_its_own() -> None:
    look = style.arm_style(KNOWN)
    assert len({(look.palette[name], look.markers[name], look.dashes[name]) for name in KNOWN}) == len(KNOWN)


def test_the_quality_table_gives_mean_and_range_of_the_seeds_that_completed(write_json: Write) -> None:
    records = [unlearning_record("zo-ga", 0), unlearning_record("zo-ga", 2), unlearning_record("zo-ga", 1, None)]
    row = first_row(quality_table(load([write_json(records)])))
    assert row["setting"] == "cnn digits b4 class:3"
    assert row["complete"] == "2 of 3"
    assert row["UA"] == "91.0 (90.0 to 92.0)"
    assert row["RA"] == "81.0 (80.0 to 82.0)"


def test_the_cost_table_divides_by_retrain_with_the_same_seed(write_json: Write) -> None:
    """Retrain's joules are 40 and 80, zo-ga's 20 with either seed: shares of a half and a quarter."""
    records = [unlearning_record("zo-ga", seed) for seed in (0, 1)]
    for seed, joules in ((1, 80.0), (0, 40.0)):
        record = unlearning_record("retrain", seed)
        completion = record.completion.model_copy(update={"joules": joules})  # type: ignore[union-attr]
        records.append(record.model_copy(update={"completion": completion}))
    row = first_row(cost_table(load([write_json(records)])))
    assert (row["arm"], row["steps"], row["energy, J"], row["peak, MiB"]) == ("zo-ga", "10", "20.0", "2.00")
    assert row["energy over Retrain's"] == "0.38 (0.25 to 0.50)"
    assert row["forwards over Retrain's"] == "1.0"


def test_without_retrain_there_are_no_shares(write_json: Write) -> None:
    row = first_row(cost_table(load([write_json([unlearning_record("zo-ga", 0)])])))
    assert (row["energy, J"], row["energy over Retrain's"]) == ("20.0", "n/a")


def test_settings_are_never_pooled(write_json: Write) -> None:
    """Another model, data set, batch size or scenario is another row."""
    first = unlearning_record("zo-ga", 0)
    changes = ({}, {"model": "net"}, {"dataset": "mnist"}, {"batch_size": 9}, {"scenario": "random:0.1"})
    records = [first.model_copy(update={"case": first.case.model_copy(update=change)}) for change in changes]
    table = quality_table(load([write_json(records)]))
    assert table is not None
    assert [row[0] for row in table.rows] == [
        "cnn digits b4 class:3",
        "net digits b4 class:3",
        "cnn mnist b4 class:3",
        "cnn digits b9 class:3",
        "cnn digits b4 random:0.1",
    ]


def test_the_stability_table_has_t_intervals_over_the_seeds(write_json: Write) -> None:
    """Collapse after 1, 2 and 3 T*: 2 +- 4.303 / sqrt(3), the 97.5 % point of t with two degrees of freedom."""
    records = [stable(unlearning_record("zo-ga", seed), collapse=1.0 + seed, collapsed=seed < 2) for seed in range(3)]
    row = first_row(stability_table(load([write_json(records)])))
    assert row["time to collapse, T*"] == "2.00 (-0.48 to 4.48)"
    assert row["collapsed"] == "2 of 3"
    assert row["RA lost after one more T*"] == "n/a"


def test_the_origin_names_machine_commit_and_command(write_json: Write) -> None:
    facts = dict(machine_table(load([write_json()])).rows)
    assert facts["commit"] == "0123456789ab"
    assert facts["command"] == "pytest bench/ --benchmark-json"
    assert facts["memory"] == "16.0 GiB"
    assert facts["torch"] == "2.11.0"


def forecast_record(batch: int) -> Record:
    """A case that ran out of memory, of which only a forecast is known."""
    record = step_record("zo-ga", batch)
    memory = record.memory.model_copy(update={"tensor_basis": "forecast", "tensor_peak_bytes": 100 * 2**20})
    return record.model_copy(update={"memory": memory, "outcome": "out-of-memory", "time": None, "energy": None})


def test_a_forecast_is_marked_wherever_it_is_shown(write_json: Write) -> None:
    results = load([write_json([step_record("zo-ga", 1), forecast_record(64)])])
    table = step_table(results)
    assert table is not None
    column = table.columns.index("peak of live tensors, MiB")
    assert [row[column] for row in table.rows] == ["2.00", "100.00 (forecast)"]
    comparison = memory_comparison(results)
    assert comparison is not None
    assert [row[2] for row in comparison.rows] == ["2.00", "100.00 (forecast)"]
    assert "forecast was not measured" in comparison.note
    drawing = step_figures.memory(results)
    assert drawing is not None
    assert "hollow marker is a forecast" in drawing.caption
    hollow = [line for line in drawing.figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in hollow] == [([64], [100.0])]


def test_without_forecasts_nothing_speaks_of_them(write_json: Write) -> None:
    results = load([write_json()])
    drawing, comparison = step_figures.memory(results), memory_comparison(results)
    assert drawing is not None
    assert comparison is not None
    assert "forecast" not in drawing.caption + comparison.note
    assert all(line.get_markerfacecolor() != "white" for axes in drawing.figure.axes for line in axes.lines)


def test_the_three_ledgers_have_columns_of_their_own(write_json: Write) -> None:
    record = step_record("zo-ga", 1)
    peaks = {"allocator_peak_bytes": 3 * 2**20, "process_peak_bytes": 2**29, "allocator_basis": "sampled"}
    row = first_row(step_table(load([write_json([record.model_copy(update={"memory": changed(record, peaks)})])])))
    assert row["peak of live tensors, MiB"] == "2.00"
    assert row["of the allocator, MiB"] == "3.00 (sampled)"
    assert row["of the process, MiB"] == "512.00"


def changed(record: Record, figures_of_memory: dict[str, object]) -> Memory:
    return Memory.model_validate(record.memory.model_dump() | figures_of_memory)


def test_the_origin_says_what_kind_of_machine_it_is(write_json: Write) -> None:
    facts = dict(machine_table(load([write_json()])).rows)
    assert (facts["virtual machine"], facts["container"]) == ("not known", "not known")
    assert facts["energy counter (RAPL)"] == "not recorded"


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


def test_every_anchor_of_a_page_of_several_runs_leads_somewhere(write_json: Write, tmp_path: Path) -> None:
    """With the arms that have figures and tables of their own, and a device whose name is no anchor."""
    records = [*full_set(), *(unlearning_record(arm, 0) for arm in ("salun", "fo-ga-head"))]
    odd = unlearning_record("zo-ga", 0).model_dump()
    odd["case"]["device"] = '"><img src=x>'
    first = [step_record("zo-ga", 1), unlearning_record("zo-ga", 0)]
    results = load([write_json(first, "a.json"), write_json([*records, Record.model_validate(odd)], "b.json")])
    written = write_report(results, tmp_path / "out")
    assert {path.parent for path in written} == {tmp_path / "out"}
    page = Links()
    page.feed((tmp_path / "out" / "index.html").read_text())
    assert page.loads == []
    assert len(page.ids) == len(set(page.ids))
    assert page.targets <= set(page.ids)
    assert len(page.targets) > 20


def test_facts_stand_in_the_column_of_their_run(write_json: Write) -> None:
    first, second = write_json(name="a.json"), write_json(name="b.json")
    second.write_text(second.read_text().replace('"torch": "2.11.0"', '"torch": "2.11.0", "CUDA": "13.0"'))
    table = machine_table(load([first, second]))
    assert table.columns == ("fact", "run 1", "run 2")
    assert ("CUDA", "n/a", "13.0") in table.rows


def test_a_case_that_is_there_twice_is_refused(write_json: Write) -> None:
    with pytest.raises(UnreadableJsonError, match="the case 'cnn b1 zo-ga' is there twice"):
        load([write_json([step_record("zo-ga", 1), step_record("zo-ga", 1)])])


def test_long_tables_are_cut_in_the_page_and_whole_in_the_csv(write_json: Write, tmp_path: Path) -> None:
    write_report(load([write_json([step_record("zo-ga", batch + 1) for batch in range(600)])]), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "The first 300 of 600 rows; all follow from results.csv." in page
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == 600
    assert len(page) < 5 * 2**20


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.50"),
        (33.4, "33"),
        (1234.5, "1,200"),
        (0.000025, "0.000025"),
        (-0.0996, "-0.10"),
        (0, "0"),
        (9.96, "10"),
    ],
)
def test_two_significant_digits_never_have_an_exponent(value: float, text: str) -> None:
    assert number(value, ".2g") == text


def test_several_machines_stand_side_by_side(write_json: Write, tmp_path: Path) -> None:
    step = [step_record("zo-ga", 1)]
    results = load([write_json(step, name="a.json"), write_json(step, name="b.json", processor="Another CPU")])
    write_report(results, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Run 1: profile test on A CPU, cpu" in page
    assert "Run 2: profile test on Another CPU, cpu" in page
    assert (tmp_path / "out" / "run2-cpu-memory.svg").exists()


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
        ([unlearning_record("zo-ga", 0)], {"completion-cost", "quality-gaps", "other-loss-curves"}),
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
    assert titles == [[f"cnn digits b4 {name}" for name in settings[:count]] for count in (4, 5)]
    assert len(quality.table.rows) == 10
    write_report(results, tmp_path / "out")
    said = (
        "The figures here are of the first 4 of 5 settings; the files beside this page show all, the tables have all."
    )
    assert f"<p>{said}</p>" in (tmp_path / "out" / "index.html").read_text()


def test_figures_of_a_former_report_go_and_other_files_stay(write_json: Write, tmp_path: Path) -> None:
    """Of two runs before, of one without single steps now."""
    out = tmp_path / "out"
    before = [step_record("zo-ga", 1), unlearning_record("zo-ga", 0)]
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
