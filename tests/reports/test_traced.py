"""Every number of the page and of the statement, computed again from the CSV files alone, with unit and rounding."""

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from tests.reports.conftest import GALLERY, shown

MIB = 2**20
QUICK = GALLERY / "quick" / "benchmark.json"
ASCENTS = {"fo-ga", "zo-ga", "fo-ga-clipped", "zo-ga-clipped"}  # of the quick profile
Rows = list[dict[str, str]]


class Tables(HTMLParser):
    """The tables of a page by title, the widest of each: each row by column; what a group of rows has in common is in
    each of them, by its technical name where it has another. The first has no title.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Rows] = {}
        self._title, self._heads, self._cells, self._text = "", [], [], None  # type: ignore[var-annotated]
        self._group: dict[str, str] | None = None
        self._in_row = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._heads = []
            self.found[self._title] = []
        if tag == "table" or (tag == "tr" and ("class", "group") in attrs):
            self._group = {} if tag == "tr" else None
        if tag == "tr":
            self._cells = []
        if tag in ("h4", "th", "td"):
            self._text = ""
            self._in_row = ("scope", "row") in attrs
        if tag == "small" and self._group == {}:
            self._text = f"{str(self._text).partition(' ')[0]} "

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "h4":
            self._title = self._text
        if tag == "th" and self._group == {}:
            column, _, value = str(self._text).partition(" ")
            self._group = {column: value}
        elif tag == "th" and not self._in_row:
            self._heads.append(self._text)
        if tag == "td" or (tag == "th" and self._in_row):
            self._cells.append(" ".join(str(self._text).split()))
        if tag == "tr" and self._cells:
            self.found[self._title].append((self._group or {}) | dict(zip(self._heads, self._cells, strict=True)))
        if tag in ("h4", "th", "td"):
            self._text = None


@pytest.fixture(scope="module")
def tables(quick_report: Path) -> dict[str, Rows]:
    page = Tables()
    page.feed((quick_report / "index.html").read_text())
    return page.found


@pytest.fixture(scope="module")
def csv(quick_report: Path) -> pd.DataFrame:
    frame = pd.read_csv(quick_report / "results.csv")
    grams = frame["energy.co2e_g_per_step"] / frame["energy.joules_per_step"]
    return frame.assign(
        mib=frame["memory.tensor_peak_bytes"] / MIB,
        mg=1000 * grams * frame["completion.joules"],
        kwh=frame["completion.joules"] / 3600 / 1000,
        hours=frame["completion.seconds"] / 3600,
    )


def spread(values: pd.Series, form: str) -> str:
    mean, low, high = (shown(value, form) for value in (values.mean(), values.min(), values.max()))
    if values.notna().sum() == 0:
        return "n/a"
    words = [] if low == high else [f"{low} to {high}"]
    words += [f"n = {values.notna().sum()}"] if values.isna().any() else []
    return f"{mean} ({', '.join(words)})" if words else mean


def span(values: pd.Series, form: str) -> str:
    """Least and greatest also where they are equal."""
    mean, low, high = (shown(value, form) for value in (values.mean(), values.min(), values.max()))
    return f"{mean} ({low} to {high})"


def mean(values: pd.Series, form: str) -> str:
    return shown(values.mean(), form)


def largest(values: pd.Series, form: str) -> str:
    return shown(values.max(), form)


def interval(values: pd.Series, form: str) -> str:
    known = values.dropna()
    if len(known) < 3:
        return "n/a" if known.empty else f"{known.mean():{form}} (n = {len(known)})"
    half = stats.sem(known) * stats.t.ppf(0.975, len(known) - 1)
    low, high = known.mean() - half, known.mean() + half
    return f"{known.mean():{form}} ({low:{form}} to {high:{form}})"


def share(column: str) -> Callable[[pd.DataFrame, pd.DataFrame], pd.Series]:
    """Of Retrain's figure with the same seed."""

    def ratio(arm: pd.DataFrame, retrained: pd.DataFrame) -> pd.Series:
        return arm.set_index("seed")[column] / retrained.set_index("seed")[column]

    return ratio


def of(column: str, factor: float = 1.0) -> Callable[[pd.DataFrame, pd.DataFrame], pd.Series]:
    return lambda arm, _: arm[column] * factor


BY_ARM = {
    "Cost to completion": {
        "steps": (of("completion.step"), spread, ".0f"),
        "sample-forwards": (of("completion.sample_forwards"), spread, ".0f"),
        "time, s": (of("completion.seconds"), spread, ".3g"),
        "energy, J": (of("completion.joules"), spread, ".3g"),
        "peak, MiB": (of("mib"), spread, ".2f"),
        "sample-forwards over Retrain's": (share("completion.sample_forwards"), spread, ".2g"),
        "time over Retrain's": (share("completion.seconds"), spread, ".2g"),
        "energy over Retrain's": (share("completion.joules"), spread, ".2g"),
        "peak over Retrain's": (share("mib"), spread, ".2g"),
    },
    "Quality at completion": {
        "UA": (of("quality.ua"), spread, ".1f"),
        "RA": (of("quality.ra"), spread, ".1f"),
        "TA": (of("quality.ta"), spread, ".1f"),
        "TA of the class": (of("quality.ta_forgotten"), spread, ".1f"),
        "MIA": (of("quality.mia"), spread, ".1f"),
        "MIA AUC": (of("quality.mia_auc"), spread, ".3f"),
        "ToW": (of("quality.tow"), spread, ".3f"),
        "probe, 20 shots": (of("quality.depth.20.model"), spread, ".1f"),
        "relearned, 20 shots": (of("quality.relearned.20.model"), spread, ".1f"),
    },
    "After completion": {
        "time to collapse, T*": (of("stability.collapse"), interval, ".2f"),
        "slope of log retain loss, 1/T*": (of("stability.loss_slope"), interval, ".2f"),
        "RA lost after one more T*": (of("stability.drop_at_time"), interval, ".1f"),
        "RA lost at matched displacement": (of("stability.drop_at_distance"), interval, ".1f"),
        "RA lost at matched forget loss": (of("stability.drop_at_forget_loss"), interval, ".1f"),
    },
    "Displacement": {
        "RA at T*": (of("quality.ra"), spread, ".1f"),
        "RA lost at matched displacement": (of("stability.drop_at_distance"), spread, ".1f"),
    },
    "One erasure request": {
        "energy, J (estimated)": (of("completion.joules"), spread, ".2g"),
        "SCI, mg CO2e": (of("mg"), spread, ".2g"),
        "time, s": (of("completion.seconds"), spread, ".2g"),
        "energy over Retrain's": (share("completion.joules"), spread, ".2g"),
        "time over Retrain's": (share("completion.seconds"), spread, ".2g"),
        "live tensors, MiB": (of("mib"), largest, ".2f"),
        "process, MiB": (of("memory.process_peak_bytes", 1 / MIB), largest, ".0f"),
    },
    "A thousand erasure requests": {
        "energy, kWh": (of("kwh", 1000), spread, ".2g"),
        "CO2e, g": (of("mg"), spread, ".2g"),
        "time, h": (of("hours", 1000), spread, ".2g"),
    },
    "Memory and utility": {"peak, MiB": (of("mib"), largest, ".2f"), "RA at T*": (of("quality.ra"), span, ".1f")},
    "Where the energy figures come from": {"window, s": (of("energy.window_s"), spread, ".1f")},
}


@pytest.mark.parametrize("title", BY_ARM)
def test_the_tables_by_arm_follow_from_the_csv(tables: dict[str, Rows], csv: pd.DataFrame, title: str) -> None:
    assert len(tables[title]) >= 8
    for row in tables[title]:
        everyone = csv[(csv["setting"] == row["setting"]) & (csv["method"] == row["arm"])]
        share = f"{(everyone['completion.reached'] == True).sum()} of {len(everyone)}"  # noqa: E712
        assert row.get("complete", share) == share
        setting = csv[(csv["setting"] == row["setting"]) & (csv["completion.reached"] == True)]  # noqa: E712
        retrained = setting[setting["method"] == "retrain"]
        arm = setting[setting["method"] == row["arm"]]
        for column, (values, text, form) in BY_ARM[title].items():
            assert row[column] == text(values(arm, retrained), form), (row["setting"], row["arm"], column)


def test_the_tables_of_steps_follow_from_the_csv(tables: dict[str, Rows], csv: pd.DataFrame) -> None:
    steps = csv[csv["kind"] == "step"].set_index(["model", "batch_size", "method"])
    texts = {
        "Peak of live tensors in a step, MiB": lambda case: f"{case['memory.tensor_peak_bytes'] / MIB:.2f}",
        "Peak of torch's allocator in a step, MiB": lambda case: f"{case['memory.allocator_peak_bytes'] / MIB:.2f}",
        "Peak of the process in a step, MiB": lambda case: f"{case['memory.process_peak_bytes'] / MIB:.2f}",
        "Energy of a step, J (estimated)": lambda case: shown(case["energy.joules_per_step"], ".3g"),
    }
    for title, text in texts.items():
        assert len(tables[title]) == 9
        for row in tables[title]:
            for arm in ("forward", "fo-ga", "zo-ga"):
                assert row[arm] == text(steps.loc[(row["model"], int(row["batch"]), arm)]), (title, row)
    for row in tables["What the peak is made of, MiB"]:
        case = steps.loc[(row["model"], int(row["batch"]), row["arm"])]
        parts = [f"memory.tensor_by_category.{name}" for name in list(row)[3:]]
        assert [row[name.rpartition(".")[2]] for name in parts] == [f"{case[name] / MIB:.2f}" for name in parts]
        assert sum(case[name] for name in parts) == case["memory.tensor_peak_bytes"]
    for row in tables["Time of a step, against zo-ga"]:
        ours = steps.loc[(row["model"], int(row["batch"]), "zo-ga")]
        theirs = steps.loc[(row["model"], int(row["batch"]), "fo-ga")]
        quartiles = [ours[f"time.times_two_forwards{end}"] for end in ("", "_q1", "_q3")]
        assert row["zo-ga over two forwards"] == "{:.2f} ({:.2f} to {:.2f})".format(*quartiles)
        assert row["fo-ga over zo-ga"] == f"{theirs['time.times_two_forwards'] / quartiles[0]:.2f}"


def test_the_shares_of_energy_follow_from_the_csv(
    quick_report: Path, tables: dict[str, Rows], csv: pd.DataFrame
) -> None:
    for row in tables["Where the energy figures come from"]:
        runs = csv[(csv["setting"] == row["setting"]) & (csv["method"] == row["arm"])]
        runs = runs[runs["completion.reached"] == True]  # noqa: E712
        for part, word in (("cpu", "processor"), ("ram", "memory")):
            joules = (runs[f"energy.{part}.joules_per_step"] * runs["completion.step"]).mean()
            assert row[f"{word}, J"] == f"{shown(joules, '.2g')} (estimated, process)"
    grid = (runs["energy.co2e_g_per_step"] / runs["energy.joules_per_step"]).mean() * 3.6e6
    text = (quick_report / "sustainability.md").read_text()
    assert f"In every row: basis: estimated; accelerator, J: n/a; grid, g CO2e/kWh: {grid:.0f} (USA)." in text


def test_the_sentences_follow_from_the_csv(quick_report: Path, csv: pd.DataFrame) -> None:
    (part,) = json.loads((quick_report / "summary.json").read_text())
    steps = csv[csv["kind"] == "step"].set_index(["model", "batch_size"])
    zeroth, first = (steps[steps["method"] == arm] for arm in ("zo-ga", "fo-ga"))
    memory = zeroth["memory.tensor_peak_bytes"] / first["memory.tensor_peak_bytes"]
    time = zeroth["time.times_two_forwards"] / first["time.times_two_forwards"]
    found = {(finding["name"], finding["values"].get("setting")): finding for finding in part["findings"]}
    assert f"peak at {memory.min():.2f} to {memory.max():.2f} times those of fo-ga" in found["memory", None]["text"]
    assert f"takes {(1 / time).min():.2f} to {(1 / time).max():.2f} times as long" in found["time", None]["text"]
    runs = csv[(csv["kind"] == "unlearning") & (csv["completion.reached"] == True)]  # noqa: E712
    for setting, cases in runs.groupby("setting"):
        ours, theirs = (cases[cases["method"] == arm] for arm in ("zo-ga", "fo-ga"))
        cost, quality = (found[name, setting] for name in ("cost", "quality"))
        retrained = cases[cases["method"] == "retrain"]
        steps, samples, joules, peak = (
            ours[column].mean() / theirs[column].mean()
            for column in ("completion.step", "completion.sample_forwards", "completion.joules", "mib")
        )
        assert f"zo-ga takes {shown(steps, '.2g')} times the steps, {shown(samples, '.2g')} times the" in cost["text"]
        assert f"the sample-forwards and {shown(joules, '.2g')} times the energy" in cost["text"]
        assert f"of fo-ga, with {peak:.2f} times the live tensors; " in cost["text"]
        of_retrain = (shown(share("completion.joules")(arm, retrained).mean(), ".2g") for arm in (ours, theirs))
        assert "its energy is {} times Retrain's, fo-ga's {} times.".format(*of_retrain) in cost["text"]
        front = found["front", setting]["text"]
        assert re.findall(r"([a-z0-9-]+) \(([0-9.]+) MiB, ([0-9.]+) %\)", front) == unbeaten(cases)
        after = found["stability", setting]["text"]
        assert f"{ours['stability.collapse'].mean():.2f} and {theirs['stability.collapse'].mean():.2f} T*" in after
        for arm in (ours, theirs):
            assert f" {arm['quality.tow'].mean():.3f}" in quality["text"]
            assert f" {arm['quality.ra'].mean():.1f} %" in quality["text"]


def unbeaten(cases: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The arms that no other beats in both memory and retain accuracy, by trying every pair."""
    means = cases.groupby("method").agg(mib=("mib", "max"), kept=("quality.ra", "mean"))
    return [
        (str(arm), f"{mib:.2f}", f"{kept:.1f}")
        for arm, (mib, kept) in means.sort_values("mib").iterrows()
        if not ((means["mib"] <= mib) & (means["kept"] >= kept) & ((means["mib"] < mib) | (means["kept"] > kept))).any()
    ]


def test_the_statement_says_the_same_alone_as_in_the_page(quick_report: Path, tables: dict[str, Rows]) -> None:
    text = (quick_report / "sustainability.md").read_text()
    for title in ("One erasure request", "A thousand erasure requests", "Where the energy figures come from"):
        block = text[text.index(f"## {title}\n") :].split("\n\n", 3)[2]
        heads, _, *lines = ([plain(cell) for cell in line.strip("| ").split(" | ")] for line in block.splitlines())
        assert [dict(zip(heads, cells, strict=True)) for cells in lines] == tables[title]
    (part,) = json.loads((quick_report / "sustainability.json").read_text())
    assert all(sentence in plain(text) for sentence in part["headline"])


def plain(markdown: str) -> str:
    """Without the strokes before what Markdown would read as its own."""
    return re.sub(r"\\([*_|\[\\`])", r"\1", markdown).replace("&lt;", "<").strip()


def test_the_json_of_the_statement_follows_from_the_csv(quick_report: Path, csv: pd.DataFrame) -> None:
    (part,) = json.loads((quick_report / "sustainability.json").read_text())
    runs = csv[csv["kind"] == "unlearning"].set_index(["setting", "method", "seed"])
    assert len(part["requests"]) == len(runs)
    for request in part["requests"]:
        run = runs.loc[(request["setting"], request["arm"], request["seed"])]
        assert request["energy_j"] == pytest.approx(run["completion.joules"])
        assert request["sci_gco2e"] == pytest.approx(run["mg"] / 1000)
        assert request["tensor_peak_bytes"] == run["memory.tensor_peak_bytes"]
        assert request["process_peak_bytes"] == run["memory.process_peak_bytes"]
        assert (request["samples"], request["samples_of"]) == (run["erased.samples"], run["erased.of"])
        assert request["energy_boundaries"] == {"processor": "process", "memory": "process"}
        for name, column in (("probe_percent", "depth"), ("relearned_percent", "relearned")):
            known = run[f"quality.{column}.20.model"]
            assert request[name] == (None if math.isnan(known) else known)


def test_the_headline_follows_from_the_csv(quick_report: Path, csv: pd.DataFrame) -> None:
    (part,) = json.loads((quick_report / "sustainability.json").read_text())
    done = csv[csv["completion.reached"] == True]  # noqa: E712
    assert len(part["headline"]) == 2
    for sentence in part["headline"]:
        setting = sentence.partition(": an erasure")[0]
        ours, theirs = (done[(done["setting"] == setting) & (done["method"] == arm)] for arm in ("zo-ga", "fo-ga"))
        energy = ours["completion.joules"].mean() / theirs["completion.joules"].mean()
        assert f"takes {shown(energy, '.2g')} times the energy (estimated)" in sentence
        assert f"at {ours['mib'].mean() / theirs['mib'].mean():.2f} times fo-ga's live tensors" in sentence
        retrained = done[(done["setting"] == setting) & (done["method"] == "retrain")]
        of_retrain = share("completion.joules")(ours, retrained).mean()
        than = ", which is exact, takes less" if of_retrain > 1 else " takes more"
        times = f"an erasure by zo-ga takes {shown(of_retrain, '.2g')} times as much."
        assert f"Retraining from scratch{than} energy: {times}" in sentence
        cases = done[(done["setting"] == setting) & (done["method"] != "retrain")]
        means = cases.groupby("method")[["completion.joules", "mib", "quality.ra"]].mean()
        within = means[means["mib"] <= means["mib"]["zo-ga"]].sort_values("completion.joules")
        joules, mib, kept = within.iloc[0]
        assert within.index[0] != "zo-ga"
        assert sentence.endswith(
            f"{within.index[0]} takes the least energy: {shown(joules, '.2g')} J, with a peak of {mib:.2f} MiB and "
            f"{kept:.1f} % retain accuracy."
        )


def test_the_evidence_follows_from_the_csv(quick_report: Path, csv: pd.DataFrame) -> None:
    (part,) = json.loads((quick_report / "sustainability.json").read_text())
    done = csv[csv["completion.reached"] == True]  # noqa: E712
    sentences = []
    before = csv.dropna(subset=["original.retain"]).drop_duplicates(["setting", "seed"]).set_index("setting")
    for setting, cases in done.groupby("setting", sort=False):
        arms = [(arm, cases[cases["method"] == arm]) for arm in ("zo-ga", "fo-ga", "retrain")]
        wrong, right, mia, auc, back, probed = (
            "{} and {}".format(", ".join(words[:2]), words[2])
            for words in (
                [f"{runs['quality.ua'].mean():.1f} % after {arm}" for arm, runs in arms],
                [f"{runs['quality.ra'].mean():.1f} % after {arm}" for arm, runs in arms],
                [f"{runs['quality.mia'].mean():.1f} % after {arm}" for arm, runs in arms],
                [f"{runs['quality.mia_auc'].mean():.3f} after {arm}" for arm, runs in arms],
                [f"{runs['quality.relearned.20.model'].mean():.1f} % after {arm}" for arm, runs in arms],
                [f"{runs['quality.depth.20.model'].mean():.1f} % after {arm}" for arm, runs in arms],
            )
        )
        taught, asked = (
            ("20 samples of every class", "unseen samples of the forgotten class")
            if cases["scenario"].iloc[0].startswith("class:")
            else ("20 of the forgotten samples", "others of them")
        )
        original = pd.concat([runs["quality.depth.20.original"] for _, runs in arms]).mean()
        sentences.append(
            f"{setting}: the error on the forget set is {wrong}; the accuracy on the rest, "
            f"{before.loc[[setting], 'original.retain'].mean():.1f} % in the original, is {right}; the share of the "
            f"forget set that an attacker takes for unseen is {mia}; the loss tells the forgotten samples from unseen "
            f"ones with an AUC of {auc}, 0.5 being chance; "
            f"after 32 steps of fine-tuning on {taught} the accuracy on {asked} is {back}; a linear probe from 20 "
            f"samples a class, which finds {original:.1f} % of the forgotten in the original's features, finds "
            f"{probed}."
        )
    assert part["evidence"] == sentences


def test_the_two_side_by_side_follow_from_the_csv(tables: dict[str, Rows], csv: pd.DataFrame) -> None:
    """Every row: the means of both, with their ratio or difference."""
    figures = {
        "steps to completion": ("completion.step", ".0f", ".2g"),
        "sample-forwards": ("completion.sample_forwards", ".0f", ".2g"),
        "time, s": ("completion.seconds", ".3g", ".2g"),
        "energy, J (estimated)": ("completion.joules", ".3g", ".2g"),
        "peak of live tensors, MiB": ("mib", ".2f", ".2f"),
        "ToW": ("quality.tow", ".3f", ""),
        "RA, %": ("quality.ra", ".1f", ""),
        "a probe of 20 samples a class finds, %": ("quality.depth.20.model", ".1f", ""),
        "time to collapse, T*": ("stability.collapse", ".2f", ""),
    }
    shares = {"energy over Retrain's": "completion.joules", "time over Retrain's": "completion.seconds"}
    figures = {name: how for name, how in figures.items() if how[0] in csv and csv[how[0]].notna().any()}
    rows = tables["zo-ga and fo-ga side by side"]
    assert {row["figure"] for row in rows} == {*figures, *shares, "complete", "collapsed after completion"}
    for row in rows:
        cases = csv[(csv["setting"] == row["setting"]) & (csv["completion.reached"] == True)]  # noqa: E712
        both = [cases[cases["method"] == arm] for arm in ("zo-ga", "fo-ga")]
        assert row["seeds"] == f"{len(both[0])} of {len(both[0])}"
        if row["figure"] in ("complete", "collapsed after completion"):
            column = "completion.reached" if row["figure"] == "complete" else "stability.collapsed"
            counts = [f"{(arm[column] == True).sum()} of {len(arm)}" for arm in both]  # noqa: E712
            assert [row["zo-ga"], row["fo-ga"], row["zo-ga against fo-ga"]] == [*counts, ""]
            continue
        if row["figure"] in shares:
            retrained = cases[cases["method"] == "retrain"]
            means = [share(shares[row["figure"]])(arm, retrained).mean() for arm in both]
            form = against = ".2g"
        else:
            column, form, against = figures[row["figure"]]
            means = [arm[column].mean() for arm in both]
        assert [row["zo-ga"], row["fo-ga"]] == [shown(mean, form) for mean in means]
        compared = f"{shown(means[0] / means[1], against)} times" if against else f"{means[0] - means[1]:+{form}}"
        assert row["zo-ga against fo-ga"] == compared


def test_the_curves_are_those_of_the_record(quick_report: Path) -> None:
    written = pd.read_csv(quick_report / "curves.csv").set_index(["setting", "method", "seed"])
    records = [entry["extra_info"]["record"] for entry in json.loads(QUICK.read_text())["benchmarks"]]
    with_curve = [record for record in records if record.get("curve")]
    assert len(written) == sum(len(record["curve"]["step"]) for record in with_curve)
    for record in with_curve:
        case = record["case"]
        setting = f"{case['model']} {case['dataset']} b{case['batch_size']} {case['scenario']}"
        rows = written.loc[[(setting, case["method"], case["seed"])]]
        for name, values in record["curve"].items():
            expected = [math.nan if value is None else value for value in values]
            assert list(rows[name]) == pytest.approx(expected, rel=1e-5, nan_ok=True)
        if record["completion"]["step"]:
            steps = list(rows["relative_step"] * record["completion"]["step"])
            assert steps == pytest.approx(list(rows["step"]), rel=1e-5)


@pytest.mark.parametrize(
    ("title", "columns", "ascents"),
    [
        ("Forget loss and retain loss", ("forget_loss", "retain_loss"), True),
        ("Forget accuracy and retain accuracy", ("forget_accuracy", "retain_accuracy"), True),
        ("Forget loss and retain loss of the other arms", ("forget_loss", "retain_loss"), False),
    ],
)
def test_the_curves_at_multiples_of_completion_follow_from_the_csv(
    quick_report: Path, tables: dict[str, Rows], title: str, columns: tuple[str, ...], ascents: bool
) -> None:
    """Where an evaluation lies at just that multiple; between evaluations the test of the figure looks."""
    curves = pd.read_csv(quick_report / "curves.csv")
    looked = 0
    assert {row["arm"] in ASCENTS for row in tables[title]} == {ascents}
    for row in tables[title]:
        arm = curves[(curves["setting"] == row["setting"]) & (curves["method"] == row["arm"])]
        completed = arm[arm["relative_step"] == 1]
        assert row["seeds"] == str(len(completed))
        for time in (0.5, 1, 2, 4):
            then = arm[arm["relative_step"] == time]
            wrecked = arm.loc[(arm[["forget_loss", "retain_loss"]] > 1000).any(axis=1), "relative_step"].min()
            if len(then) < len(completed) or not (math.isnan(wrecked) or time < wrecked):
                continue
            for column in columns:
                looked += 1
                values = then[column].clip(lower=1e-6) if "loss" in column else then[column]
                assert row[f"{column.replace('_', ' ')} at {time:g} T*"] == shown(values.median(), ".3g"), (row, time)
    assert looked >= 2 * len(tables[title])


def test_the_displacement_follows_from_the_csv(quick_report: Path, tables: dict[str, Rows]) -> None:
    curves = pd.read_csv(quick_report / "curves.csv")
    for row in tables["Displacement"]:
        arm = curves[(curves["setting"] == row["setting"]) & (curves["method"] == row["arm"])]
        assert row["distance at T*"] == spread(arm.loc[arm["relative_step"] == 1, "distance"], ".3g")


def test_the_table_of_cases_follows_from_the_csv(tables: dict[str, Rows], csv: pd.DataFrame) -> None:
    steps = csv[csv["kind"] == "step"].set_index(["model", "batch_size", "method"])
    assert len(tables["One step"]) == len(steps)
    for row in tables["One step"]:
        case = steps.loc[(row["model"], int(row["batch"]), row["arm"])]
        times = [case[f"time.times_two_forwards{end}"] for end in ("", "_q1", "_q3")]
        sampled = " (sampled)" if case["memory.allocator_basis"] == "sampled" else ""
        assert list(row.values())[3:] == [
            case["outcome"],
            f"{case['memory.tensor_peak_bytes'] / MIB:.2f}",
            f"{case['memory.allocator_peak_bytes'] / MIB:.2f}{sampled}",
            f"{case['memory.process_peak_bytes'] / MIB:.2f}",
            f"{1000 * case['time.step_s']:.2f}",
            "{:.2f} ({:.2f} to {:.2f})".format(*times),
            shown(case["energy.joules_per_step"], ".3g"),
            case["energy.basis"],
            shown(1000 * case["energy.co2e_g_per_step"], ".3g"),
        ]


def test_what_was_erased_and_with_what_follows_from_the_csv(tables: dict[str, Rows], csv: pd.DataFrame) -> None:
    runs = csv[csv["kind"] == "unlearning"]
    erased = runs.drop_duplicates(["setting", "seed"])
    assert [tuple(row.values()) for row in tables["What was to be forgotten"]] == [
        (
            case["setting"],
            str(case["seed"]),
            f"{case['erased.samples']:.0f} of {case['erased.of']:.0f}",
            shown(case["erased.target"], ".1f"),
            case["erased.digest"],
        )
        for _, case in erased.iterrows()
    ]
    rates = tables["What each arm was run with"]
    assert {row["arm"] for row in rates} == set(runs["method"]) - {"retrain"}
    for row in rates:
        case = runs[(runs["setting"] == row["setting"]) & (runs["method"] == row["arm"])].iloc[0]
        assert float(row["learning rate"]) == case["rate.lr"]
        eps = row["size of the perturbation"]
        assert math.isnan(case["rate.eps"]) if eps == "n/a" else float(eps) == case["rate.eps"]


def test_the_search_is_that_of_the_record(tables: dict[str, Rows]) -> None:
    tuning = json.loads(QUICK.read_text())["run"]["tuning"]
    assert len(tuning) > 3
    assert [list(row.values()) for row in tables["The search for learning rates"]] == [
        [
            cost["method"],
            shown(cost["seconds"], ".3g"),
            f"{cost['sample_forwards']:,.0f}",
            shown(cost["joules"], ".2g"),
        ]
        for cost in tuning
    ]


def test_the_frontier_follows_from_the_csv_and_the_search_of_the_record(
    tables: dict[str, Rows], csv: pd.DataFrame
) -> None:
    """Every arm, and those points of the search that nothing of their order beats."""
    searched = pd.DataFrame(json.loads(QUICK.read_text())["run"]["searched"])
    runs = csv[(csv["completion.reached"] == True) & (csv["method"] != "retrain")]  # noqa: E712
    rows = tables["Cost and ToW"]
    for setting, of_setting in runs.groupby("setting", sort=False):
        ours = [row for row in rows if row["setting"] == setting]
        arms = {row["arm"]: row for row in ours if row["from"] == "results"}
        assert set(arms) == set(of_setting["method"])
        points = []
        for arm, of_arm in of_setting.groupby("method"):
            assert arms[str(arm)]["sample-forwards"] == shown(of_arm["completion.sample_forwards"].mean(), ".3g")
            assert arms[str(arm)]["ToW"] == span(of_arm["quality.tow"], ".3f")
            figures = (of_arm["completion.sample_forwards"].mean(), of_arm["quality.tow"].mean())
            points.append((of_arm["rate.eps"].notna().all(), *figures))
        tried = searched[(searched["setting"] == setting) & (searched["completed"] == searched["runs"])]
        zeroth = tried["eps"].notna()
        points += list(zip(zeroth, tried["sample_forwards"], tried["tow"], strict=True))
        best = sorted(
            (shown(cost, ".3g"), f"{tow:.3f}")
            for order, cost, tow in points[len(arms) :]
            if not any(o == order and c <= cost and t >= tow and (c, t) != (cost, tow) for o, c, t in points)
        )
        search = [row for row in ours if row["from"] == "search"]
        assert sorted((row["sample-forwards"], row["ToW"]) for row in search) == best
        assert len(best) > 3


def test_every_column_is_explained(quick_report: Path) -> None:
    explained = pd.read_csv(quick_report / "columns.csv")
    for name, of_file in explained.groupby("file"):
        assert list(of_file["column"]) == list(pd.read_csv(quick_report / str(name), nrows=0).columns)
    assert set(explained["file"]) == {"results.csv", "curves.csv"}
    assert explained["meaning"].notna().all()
    assert not re.search("TODO|None", explained.to_csv())
