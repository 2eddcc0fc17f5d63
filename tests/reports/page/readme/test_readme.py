"""The documents' numbers against the rows of the galleries, as CSV; the figure against them."""

import json
import re
from functools import cache
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

from reports.data.load import load
from reports.figures import style
from reports.page.readme.galleries import Galleries, read_galleries
from reports.page.readme.headline import headline
from reports.page.readme.sentences import clipping, device, edges, outcome, verdicts
from reports.page.readme.tables import Count, overview, pool_alone
from reports.page.readme.write import PICTURE, filled
from tests.reports.conftest import GALLERY, shown
from tests.reports.figures.test_pictures import TOLERANCE


@pytest.fixture(scope="module")
def galleries() -> Galleries:
    return read_galleries()


@cache
def csv(name: str) -> pd.DataFrame:
    """The rows of a gallery's erasures or steps, as anybody would read them from the report's results.csv."""
    written = load([GALLERY / name / "benchmark.json"]).cases.to_csv(index=False)
    return pd.read_csv(StringIO(written))


def means(rows: pd.DataFrame, column: str) -> pd.Series:
    """By arm, over the runs that completed with something to forget."""
    done = rows[(rows["completion.reached"] == True) & (rows["completion.step"] > 0)]  # noqa: E712
    return done.groupby("method")[column].mean()


def test_the_sentence_of_the_readme_has_the_numbers_of_the_csv(galleries: Galleries) -> None:
    said, rows = outcome(galleries), csv("images")
    joules, peaks = means(rows, "completion.joules"), means(rows, "memory.tensor_peak_bytes")
    retrain = rows[rows["method"] == "retrain"].set_index("seed")["completion.joules"]
    ours = rows[rows["method"] == "zo-ga"].set_index("seed")["completion.joules"]
    tow = means(rows, "quality.tow")
    assert f"`zo-ga` takes {peaks['zo-ga'] / peaks['fo-ga']:.2f} times the memory" in said
    assert f"{shown(joules['zo-ga'] / joules['fo-ga'], '.2g')} times the energy (estimated) of `fo-ga`" in said
    assert f"({shown((ours / retrain).mean(), '.2g')} times that of retraining)" in said
    assert f"takes {peaks['fo-ga-head'] / peaks['zo-ga']:.2f} times the memory and" in said
    assert f"and {shown(joules['fo-ga-head'] / joules['zo-ga'], '.1g')} times the energy of `zo-ga`" in said
    assert f"worth {tow['zo-ga']:.2f} against {tow['fo-ga']:.2f}" in said
    assert f"comes to {tow['fo-ga-head']:.2f}" in said
    if "quality.depth.20.model" in rows:
        probe, head = (
            rows[rows["method"] == arm].filter(like="quality.depth.20").mean() for arm in ("zo-ga", "fo-ga-head")
        )
        now, before, aim = (probe[f"quality.depth.20.{end}"] for end in ("model", "original", "retrained"))
        assert f"finds {head['quality.depth.20.model']:.0f} % of the class in the features" in said
        assert f"(`zo-ga`: {now:.0f}, the original: {before:.0f}, Retrain: {aim:.0f})" in said


def test_every_arm_of_a_run_is_in_its_overview(galleries: Galleries) -> None:
    for name, part in galleries.everything.items():
        rows = csv(name).dropna(subset=["scenario"])
        found = {(row[0], row[1].partition(",")[0]) for row in overview(part).rows}
        assert found == set(zip(rows["setting"], rows["method"], strict=True))


def test_the_bars_of_the_figure_are_the_means_of_the_csv(galleries: Galleries) -> None:
    style.use()
    figure, rows = headline(galleries.images, galleries.edge), csv("images")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    tow = means(rows, "quality.tow").drop(["zo-ga", "fo-ga", "fo-ga-head", "retrain"])
    assert names == ["zo-ga", "fo-ga", "fo-ga-head", tow.idxmax(), "Retrain"]
    share = rows.assign(
        share=rows["completion.joules"]
        / rows["seed"].map(rows[rows["method"] == "retrain"].set_index("seed")["completion.joules"]),
        mib=rows["memory.tensor_peak_bytes"] / 2**20,
    )
    for axes, column in zip(figure.axes[:3], ("mib", "share", "quality.tow"), strict=True):
        expected = means(share, column)
        assert bars(figure, figure.axes.index(axes)) == pytest.approx([expected[name.lower()] for name in names])


def test_the_lower_bars_are_the_peaks_of_processes(galleries: Galleries) -> None:
    style.use()
    figure, rows = headline(galleries.images, galleries.edge), csv("edge")
    steps = rows[(rows["batch_size"] == 1) & rows["model"].str.startswith("resnet18")].set_index(["method", "engine"])
    names = [label.get_text() for label in figure.axes[3].get_yticklabels()]
    peaks = [steps.loc[tuple(name.split(", ")), "memory.process_life_bytes"] / 2**20 for name in names]
    assert names[0] == "zo-ga, onnxruntime"
    assert bars(figure, 3) == pytest.approx(peaks)


def test_the_sentence_of_the_device_has_the_numbers_of_the_csv(galleries: Galleries) -> None:
    rows = csv("edge")
    steps = rows[(rows["batch_size"] == 1) & rows["model"].str.startswith("resnet18")].set_index(["method", "engine"])
    said = device(galleries)
    for place in (("zo-ga", "onnxruntime"), ("forward", "onnxruntime"), ("fo-ga", "torch")):
        step = steps.loc[place]
        assert f"{step['memory.process_life_bytes'] / 2**20:,.0f}" in said
        limits = sorted(int(name.removeprefix("caps.")) for name in rows.columns if name.startswith("caps."))
        assert f"{next(limit for limit in limits if step[f'caps.{limit}'] == True)} MiB" in said  # noqa: E712


def bars(figure: Figure, panel: int) -> list[float]:
    """The lengths of a panel's bars, from above."""
    return [bar.get_width() for bar in sorted(figure.axes[panel].patches, key=lambda bar: bar.get_y())]


def test_the_committed_picture_is_the_figure(galleries: Galleries, tmp_path: Path) -> None:
    style.use()
    headline(galleries.images, galleries.edge).savefig(tmp_path / "actual.png")
    (tmp_path / "expected.png").write_bytes(PICTURE.read_bytes())
    assert compare_images(str(tmp_path / "expected.png"), str(tmp_path / "actual.png"), TOLERANCE) is None


def test_the_verdicts_are_those_of_the_pages(galleries: Galleries) -> None:
    """Each setting of each run stands in the sentence of a claim once, behind what `summary.json` has its tests say."""
    lines = list(verdicts(galleries))
    assert len(lines) == 3
    for name in ("images", "digits", "edge"):
        claims = json.loads((GALLERY / name / "summary.json").read_text())[0]["claims"]
        for line, claim in zip(lines, claims.values(), strict=True):
            by_setting: dict[str, set[str]] = {}
            for test in claim["tests"]:
                by_setting.setdefault(test["setting"], set()).add(test["verdict"])
            for setting, said in by_setting.items():
                engine = "onnxruntime" if " onnxruntime " in setting else "torch"
                of_engine = re.search(rf"on {engine} ([^;]*)[;.]( |$)", line)
                assert of_engine is not None
                words = re.split(r"(\*\*holds\*\*|does \*\*not\*\*|\*\*not shown\*\*)", of_engine[1])
                before = next(
                    word
                    for word, places in zip(words[1::2], words[2::2], strict=True)
                    if setting.replace(" onnxruntime", "") in places
                )
                against, every = "not supported" in said, said == {"supported"}
                assert before == ("does **not**" if against else "**holds**" if every else "**not shown**")


def test_clipped_runs_are_counted_as_the_csv_has_them(galleries: Galleries) -> None:
    rows = pd.concat([csv("digits"), csv("images")]).dropna(subset=["stability.collapsed"])
    rows = rows[(rows["completion.step"] > 0)]
    clipped = rows[rows["method"].str.endswith("-clipped")]
    said = clipping(galleries)
    assert f"{(clipped['stability.collapsed'] == True).sum()} of {len(clipped)} clipped runs collapsed" in said  # noqa: E712
    never = rows.groupby("method").filter(lambda of_arm: not (of_arm["stability.collapsed"] == True).any())  # noqa: E712
    assert set(re.findall(r"`([a-z0-9-]+)` \(", said)) == set(never["method"])


def test_arms_at_an_end_of_the_grid_are_named(galleries: Galleries) -> None:
    rates = csv("images").groupby("method")["rate.lr"].first()
    lowest = sorted(set(rates[rates == 3e-5].index) - {"fo-ga-matched"})  # which takes zo-ga's
    said = edges(galleries.images)
    assert lowest
    assert all(f"`{arm}`" in said for arm in lowest)


def test_the_count_of_steps_in_the_memory_of_inference_and_the_pool(galleries: Galleries) -> None:
    rows = csv("step-cost").set_index(["model", "batch_size", "method"])
    peaks, noise = rows["memory.tensor_peak_bytes"].unstack(), rows["memory.tensor_by_category.noise"].unstack()
    equal = peaks["zo-ga"] == peaks["forward"] + noise["zo-ga"]
    assert pool_alone(galleries.step_cost) == Count(equal.sum(), len(equal))


def test_blocks_are_filled_and_an_unknown_one_is_refused() -> None:
    text = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n"
    new = filled(text, {"one": "1", "two": "2"})
    assert new == "a\n<!-- one -->\n1\n<!-- end -->\nb\n<!-- two -->\n2\n<!-- end -->\n"
    assert filled(new, {"one": "1", "two": "2"}) == new
    with pytest.raises(KeyError, match="two"):
        filled(text, {"one": "1"})


def test_a_missing_gallery_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step-cost"):
        read_galleries(tmp_path)
