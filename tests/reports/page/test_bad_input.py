"""Bad input: one clear line that names the way out, or a page without half sentences, false numbers or warnings."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from bench.record import Record, UnreadableJsonError
from reports.__main__ import main
from reports.data.load import load
from reports.figures.looks.labels import MOST_LETTERS, labels
from reports.page.sections import sections
from reports.page.write import NotWrittenError, write_report
from tests.reports.conftest import Write, changed, full_set, stable, step_record, unlearning_record


def trio(**changes: tuple[str, Any]) -> list[Record]:
    """Three arms with three seeds; `fo_ga=("completion.joules", 0)` changes a figure of an arm."""
    arms = ("retrain", "fo-ga", "zo-ga")
    known = {name.replace("_", "-"): change for name, change in changes.items()}
    records = [stable(unlearning_record(arm, seed), collapse=1.0, collapsed=True) for arm in arms for seed in range(3)]
    return [changed(one, *known[one.case.method]) if one.case.method in known else one for one in records]


def words(folder: Path) -> str:
    """Everything that a person reads, of the page and of the Markdown, without figures and styles."""
    page = re.sub(r"<(style|script|svg).*?</\1>", "", (folder / "index.html").read_text(), flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", page)) + "".join(path.read_text() for path in sorted(folder.glob("*.md")))


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    "records",
    [
        trio(retrain=("completion.joules", 0.0)),
        trio(retrain=("memory.tensor_peak_bytes", 0)),
        trio(fo_ga=("memory.tensor_peak_bytes", 0)),
        trio(fo_ga=("completion.seconds", 0.0)),
        trio(zo_ga=("energy.joules_per_step", 0.0)),
        trio(zo_ga=("memory.tensor_peak_bytes", None)),
        trio(zo_ga=("quality.tow", None)),
        trio(fo_ga=("quality", None)),
        trio(zo_ga=("stability", None)),
        trio(fo_ga=("curve.forget_loss", [0.0] * 21)),
        [changed(step_record(arm, 1), "memory.tensor_peak_bytes", 0) for arm in ("fo-ga", "zo-ga")],
        [changed(step_record(arm, 1), "time.times_two_forwards", 0.0) for arm in ("fo-ga", "zo-ga")],
    ],
    ids=str,
)
def test_noughts_and_gaps_make_no_numbers_and_no_half_sentences(
    write_json: Write, tmp_path: Path, records: list[Record]
) -> None:
    out = tmp_path / "out"
    write_report(load([write_json(records)]), out)
    text = words(out)
    assert not re.search(r"(?<![\w.-])(nan|None|inf|-0(\.0+)?)(?![\w.-])", text)
    (section,) = sections(load([write_json(records)]))
    said = [finding.text for finding in section.findings]
    if section.statement is not None:
        said += [*section.statement.headline, *section.statement.evidence]
    assert said
    assert all(sentence in text.replace("\\", "") for sentence in said)
    assert not [sentence for sentence in said if "n/a" in sentence]


@pytest.mark.filterwarnings("error")
def test_names_that_no_font_has_and_long_ones_are_drawn_and_stay_apart(write_json: Write, tmp_path: Path) -> None:
    """The tables keep the names; the figures write codes, and cut. One of each kind is drawn."""
    names = ["模型", "模式", "\u202eevil\x1b[31m\ud800", "m" * 300, "m" * 301, "$\\frac{", "resnet18"]
    records = {
        name: [
            record.model_copy(update={"case": record.case.model_copy(update={"model": name})})
            for record in (step_record("zo-ga", 1), unlearning_record("zo-ga", 0))
        ]
        for name in names
    }
    results = load([write_json([record for of_name in records.values() for record in of_name])])
    named = labels(results.cases)
    shown = list(named.on(results.cases)["model"].unique())
    assert len(set(shown)) == len(names)
    assert shown[0] == "\\u6a21\\u578b"
    assert shown[-2:] == ["$\\frac{", "resnet18"]
    assert all(len(name) <= MOST_LETTERS["model"] + len(" (2)") for name in shown)
    assert named.on(results.curves)["model"].nunique() == len(names)
    drawn = [record for name in (names[0], names[2], names[3], names[5]) for record in records[name]]
    write_report(load([write_json(drawn)]), tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    assert "模型" in text
    assert "m" * 300 in text
    assert "\\u202eevil\\x1b[31m\\ud800" in text


def test_one_run_is_one_run(write_json: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_json()
    copy = tmp_path / "copy.json"
    copy.write_text(first.read_text())
    assert main([str(first), str(copy), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"reports: {copy}: the same run as {first}; give it once\n"
    with pytest.raises(UnreadableJsonError, match="give it once"):
        load([first, first])


def test_a_folder_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(UnreadableJsonError, match="a folder; give the JSON in it"):
        load([tmp_path])


def test_a_byte_order_mark_is_no_damage(write_json: Write) -> None:
    path = write_json()
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(load([path]).cases) == len(full_set())


@pytest.mark.parametrize("name", ["completion.joules", "completion.seconds", "memory.tensor_peak_bytes"])
def test_negative_figures_are_refused(write_json: Write, name: str) -> None:
    path = write_json([unlearning_record("zo-ga", 0)])
    content = json.loads(path.read_text())
    group, _, figure = name.partition(".")
    content["benchmarks"][0]["extra_info"]["record"][group][figure] = -1
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableJsonError, match=f"damaged: {name}: Input should be greater than or equal to 0"):
        load([path])


def test_cases_that_no_table_could_tell_apart_are_refused(write_json: Write) -> None:
    """They differ in the number of threads alone, which a profile never does."""
    records = [unlearning_record("zo-ga", 0), changed(unlearning_record("zo-ga", 0), "case.threads", 2)]
    with pytest.raises(UnreadableJsonError, match="'cnn digits b4 class:3 zo-ga seed0' is there twice"):
        load([write_json(records)])


@pytest.mark.parametrize("name", ["results.csv", "index.html", "memory.png"])
def test_a_folder_in_the_way_leaves_the_former_report(write_json: Write, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    step = step_record("zo-ga", 1)
    write_report(load([write_json([step])]), out)
    (out / name).unlink()
    (out / name).mkdir()
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(NotWrittenError, match=rf"{name}: a folder is in the way; choose another folder with --out"):
        write_report(load([write_json([step, step_record("zo-mezo", 1)])]), out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


@pytest.mark.usefixtures("no_pictures")
def test_markdown_shows_a_name_as_it_is(write_json: Write, tmp_path: Path) -> None:
    """Nothing in it is an entity, mathematics, emphasis or HTML, also in the commit."""
    record = changed(unlearning_record("zo-ga", 0), "case.model", "a&amp;b $x^2$ *c*")
    path = write_json([record, changed(unlearning_record("fo-ga", 0), "case.model", "a&amp;b $x^2$ *c*")])
    path.write_text(path.read_text().replace("0123456789abcdef", "<b>z|z</b>"))
    write_report(load([path]), tmp_path / "out")
    for name in ("summary.md", "sustainability.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "a&amp;amp;b \\$x^2\\$ \\*c\\*" in text
        assert "&lt;b>z\\|z" in text
        assert "<b>" not in text


def test_of_many_settings_the_least_and_the_greatest_are_said(write_json: Write) -> None:
    """zo-ga takes 1, 2 to 5 times fo-ga's joules."""
    records = [
        changed(changed(unlearning_record(arm, 0), "case.scenario", f"class:{n}"), "completion.joules", joules)
        for n in range(1, 6)
        for arm, joules in (("zo-ga", 10.0 * n), ("fo-ga", 10.0), ("retrain", 20.0))
    ]
    (section,) = sections(load([write_json(records)]))
    cost, quality = section.findings
    assert cost.text.startswith(
        "In 5 settings: to the same level of forgetting zo-ga takes 1.0 times the steps, 1.0 times "
        "the sample-forwards and 1.0 "
    )
    assert "1.0 to 5.0 times the energy (estimated) of fo-ga" in cost.text
    assert cost.text.endswith("its energy is 0.50 to 2.5 times Retrain's, fo-ga's 0.50 times.")
    assert cost.values["zo-ga energy, J"] == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert quality.text.startswith("In 5 settings: at completion zo-ga is at ToW 0.900, fo-ga at 0.900; ")
    assert section.statement is not None
    (headline,) = section.statement.headline
    assert headline.startswith("In 5 settings: an erasure by zo-ga takes 1.0 to 5.0 times the energy (estimated)")
    assert headline.endswith("takes less energy or more: an erasure by zo-ga takes 0.50 to 2.5 times as much.")


def test_an_arm_alone_has_its_cost_said_and_retrain_alone_nothing(write_json: Write) -> None:
    (section,) = sections(load([write_json([unlearning_record(arm, 0) for arm in ("salun", "retrain")])]))
    assert section.statement is not None
    assert section.statement.headline == (
        "cnn digits b4 class:3: an erasure by salun takes 1.5 s, 1.0 times the time of retraining from scratch; and "
        "20 J (estimated), 1.0 times the energy of retraining from scratch.",
    )
    (section,) = sections(load([write_json([unlearning_record("retrain", 0)])]))
    assert section.statement is not None
    assert (section.statement.headline, section.statement.evidence) == ((), ())


def test_a_share_of_retrain_over_some_seeds_says_so(write_json: Write) -> None:
    records = [one for one in trio() if one.case.method != "retrain" or one.case.seed == 0]
    (section,) = sections(load([write_json(records)]))
    cost = next(finding for finding in section.findings if finding.name == "cost")
    assert cost.text.endswith("its energy is 1.0 times Retrain's, fo-ga's 1.0 times (with 1 of 3 seeds).")
    assert section.statement is not None
    assert section.statement.headline[0].endswith("takes as much energy (with 1 of 3 seeds).")


def test_a_setting_that_nothing_can_be_said_of_is_named_among_many(write_json: Write) -> None:
    records = [
        changed(unlearning_record(arm, 0, None if (arm, n) == ("zo-ga", 6) else 10), "case.scenario", f"class:{n}")
        for n in range(1, 7)
        for arm in ("zo-ga", "fo-ga")
    ]
    (section,) = sections(load([write_json(records)]))
    assert section.findings[0].text.startswith("In 5 settings: ")
    expected = (
        "cnn digits b4 class:6: there is no seed with which both completed; zo-ga with 0 of 1 and fo-ga with 1 of 1."
    )
    assert section.findings[-1].text == expected
    assert section.statement is not None
    assert section.statement.headline[-1] == expected


def test_with_nothing_to_forget_that_is_what_is_said(write_json: Write) -> None:
    idle = [changed(unlearning_record(arm, 0), "completion.step", 0) for arm in ("zo-ga", "fo-ga")]
    (section,) = sections(load([write_json([*idle, unlearning_record("retrain", 0)])]))
    (finding,) = section.findings
    assert finding.text == "cnn digits b4 class:3: with no seed was there anything to forget."


def test_without_energy_and_time_no_cost_is_made_up(write_json: Write) -> None:
    bare = [
        changed(changed(unlearning_record(arm, 0), "completion.joules", None), "completion.seconds", None)
        for arm in ("zo-ga", "fo-ga")
    ]
    (section,) = sections(load([write_json(bare)]))
    assert section.findings[0].text.endswith(
        "zo-ga takes 1.0 times the steps and 1.0 times the sample-forwards of fo-ga, with 1.00 times the live tensors."
    )
    assert section.statement is not None
    said = "cnn digits b4 class:3: neither energy nor time are known of both zo-ga and fo-ga."
    assert section.statement.headline == (said,)


def test_where_no_erasure_was_run_the_json_says_why(write_json: Write, tmp_path: Path) -> None:
    write_report(load([write_json([step_record("zo-ga", 1)])]), tmp_path / "out")
    (part,) = json.loads((tmp_path / "out" / "sustainability.json").read_text())
    assert part["missing"] == "No statement: this run has no whole erasures."
