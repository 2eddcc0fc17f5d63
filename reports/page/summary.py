"""The results in a few sentences, each number from a table of the page, and as `summary.md` and `summary.json`."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from reports.data.arms import FIRST, RETRAIN, ZEROTH
from reports.data.claims import Claim
from reports.data.glossary import listed
from reports.data.load import Results
from reports.data.points import pareto_points
from reports.tables.side_by_side import (
    COLLAPSE,
    ENERGY,
    ENERGY_OF_RETRAIN,
    KEPT,
    MOST_SETTINGS,
    PEAK,
    STEPS,
    TIME,
    TITLE,
    TOW,
    Figure,
    SideBySide,
    side_by_side,
)
from reports.tables.table import anchor, distinct, range_text


@dataclass(frozen=True)
class Finding:
    """One sentence.

    Attributes:
        name: what it is about, in a word.
        text: for a reader.
        table: title of the table that its numbers stand in.
        values: the numbers, unrounded, each under its name with the unit.
    """

    name: str
    text: str
    table: str
    values: dict[str, Any]

    @property
    def anchor(self) -> str:
        """Where its table is."""
        return anchor(self.table)


def findings(results: Results) -> list[Finding]:
    """What the cases of one run and device say about zeroth- against first-order ascent; empty without both.

    Of many settings, the least and the greatest figures.
    """
    steps, runs = results.of_kind("step"), results.of_kind("unlearning")
    both = side_by_side(runs)
    compared = [one for one in both if not one.nothing]
    found = list(_steps(steps))
    if len(compared) > MOST_SETTINGS:
        found += _erasures(compared, f"In {len(compared)} settings")
    else:
        points = pareto_points(results)
        for one in compared:
            found += [*_erasures([one], one.where), *_front(one.setting, points[points["setting"] == one.setting])]
    nothing = [Finding("completion", one.nothing, TITLE, {"setting": one.setting}) for one in both if one.nothing]
    return found + nothing[:MOST_SETTINGS]


def as_data(claims: Sequence[Claim], found: Sequence[Finding]) -> dict[str, Any]:
    """Verdicts with their tests, and the sentences with their numbers; what is not known is null."""
    tests = {
        claim.statement: {
            "verdict": claim.verdict,
            "tests": [
                {
                    "setting": test.setting,
                    "statistic": test.statistic.name,
                    **asdict(test.interval),
                    "pairs": test.pairs,
                    "rule": test.rule,
                    "verdict": test.verdict,
                }
                for test in claim.tests
            ],
        }
        for claim in claims
    }
    return {"claims": tests, "findings": [asdict(finding) for finding in found]}


def dumps(data: Any) -> str:
    """As JSON of this standard: no NaN, which becomes null."""
    return json.dumps(_without_nan(data), indent=1, ensure_ascii=False) + "\n"


def _steps(steps: pd.DataFrame) -> Iterator[Finding]:
    ratios = _ratios(steps, "memory.tensor_peak_bytes", ZEROTH, FIRST)
    if not ratios.empty:
        forecast = " or a forecast of them" if (steps["memory.tensor_basis"] == "forecast").any() else ""
        yield Finding(
            "memory",
            f"The live tensors of a {ZEROTH} step{forecast} peak at {range_text(ratios, '.2f')} times those of {FIRST} "
            f"({_scope(ratios)}).",
            "Peak of live tensors in a step, MiB",
            {"least ratio": ratios.min(), "greatest ratio": ratios.max(), "cases": len(ratios)},
        )
    ratios = _ratios(steps, "time.times_two_forwards", FIRST, ZEROTH)
    if not ratios.empty:
        yield Finding(
            "time",
            f"A {FIRST} step takes {range_text(ratios, '.2f')} times as long as one of {ZEROTH} ({_scope(ratios)}).",
            f"Time of a step, against {ZEROTH}",
            {"least ratio": ratios.min(), "greatest ratio": ratios.max(), "cases": len(ratios)},
        )


def _ratios(steps: pd.DataFrame, column: str, arm: str, other: str) -> pd.Series:
    """One arm's figure over another's, by model and batch size."""
    known = steps.dropna(subset=[column]).set_index(["model", "batch_size", "method"])[column].astype(float)
    wide = known.unstack()
    if not {arm, other} <= set(wide.columns):
        return pd.Series(dtype=float)
    return (wide[arm] / wide[other].where(wide[other] > 0)).dropna()


def _scope(ratios: pd.Series) -> str:
    models, batches = (ratios.index.get_level_values(name) for name in ("model", "batch_size"))
    count = models.nunique()
    return f"{count} model{'s' if count > 1 else ''}, batch {batches.min()} to {batches.max()}"


def _erasures(compared: Sequence[SideBySide], where: str) -> Iterator[Finding]:
    """What one setting says, or many."""
    for name, text, figures in (
        ("cost", _cost(compared), (STEPS, TIME, ENERGY, ENERGY_OF_RETRAIN, PEAK)),
        ("quality", _quality(compared), (TOW, KEPT)),
        ("stability", _stability(compared), (COLLAPSE,)),
    ):
        if text:
            yield Finding(name, f"{where}: {text}.", TITLE, _values(compared, *figures))


def _cost(compared: Sequence[SideBySide]) -> str:
    ratios = {figure: _span([one.ratio(figure) for one in compared], figure.ratio) for figure in (STEPS, ENERGY, TIME)}
    basis = distinct(pd.Series([one.basis for one in compared]))
    dear = f" and {ratios[ENERGY]} times the energy ({basis})" if ratios[ENERGY] else ""
    dear = dear or (f" and {ratios[TIME]} times the time" if ratios[TIME] else "")
    peak = _span([one.ratio(PEAK) for one in compared], PEAK.ratio)
    ours, theirs = _spans(compared, ENERGY_OF_RETRAIN)
    some = compared[0].some(ENERGY_OF_RETRAIN) if len(compared) == 1 else ""
    return (
        f"to the same level of forgetting {ZEROTH} takes {ratios[STEPS]} times the steps{dear} of {FIRST}"
        + (f", with {peak} times the live tensors" if peak else "")
        + (f"; its energy is {ours} times Retrain's, {FIRST}'s {theirs} times{some}" if ours and theirs else "")
    )


def _quality(compared: Sequence[SideBySide]) -> str:
    words = [
        (f"at completion {ZEROTH} is at ToW {{}}, {FIRST} at {{}}", _spans(compared, TOW)),
        (f"{ZEROTH} keeps {{}} % retain accuracy, {FIRST} {{}} %", _spans(compared, KEPT)),
    ]
    return "; ".join(text.format(*figures) for text, figures in words if all(figures))


def _stability(compared: Sequence[SideBySide]) -> str:
    ours, theirs = _spans(compared, COLLAPSE)
    if not ours or not theirs:
        return ""
    counts = [tuple(map(sum, zip(*(one.collapsed()[place] for one in compared), strict=True))) for place in (0, 1)]
    runs = [
        f"{collapsed} of {known} {arm} runs" for (collapsed, known), arm in zip(counts, (ZEROTH, FIRST), strict=True)
    ]
    lasting = any(collapsed < known for collapsed, known in counts)
    horizon = "; a run that does not collapse counts with its horizon" if lasting else ""
    return (
        f"left running, {listed(runs)} collapse, on average {ours} and {theirs} T* after completion (evaluations are "
        f"some 0.05 T* or a step apart{horizon})"
    )


def _spans(compared: Sequence[SideBySide], figure: Figure) -> tuple[str, str]:
    """Least to greatest of the settings' means, of zeroth- and of first-order ascent."""
    ours, theirs = zip(*(one.means(figure) for one in compared), strict=True)
    return _span(ours, figure.form), _span(theirs, figure.form)


def _span(values: Sequence[float], form: str) -> str:
    """Empty where one is not known."""
    return "" if any(map(math.isnan, values)) else range_text(values, form)


def _values(compared: Sequence[SideBySide], *figures: Figure) -> dict[str, Any]:
    """The means by arm and figure, unrounded, for each setting."""
    values: dict[str, list[Any]] = {"setting": [one.setting for one in compared]}
    for figure in figures:
        for place, arm in enumerate((ZEROTH, FIRST)):
            values[f"{arm} {figure.name}"] = [one.means(figure)[place] for one in compared]
    return values if len(compared) > 1 else {name: of_one[0] for name, of_one in values.items()}


def _front(setting: str, points: pd.DataFrame) -> Iterator[Finding]:
    """Which arms are worth their memory, where there are more than the two and Retrain."""
    if len(points) <= len((ZEROTH, FIRST, RETRAIN)):
        return
    best = points[points["front"]].sort_values("mib").set_index("method")[["mib", "mean"]]
    described = ", ".join(f"{arm} ({mib:.2f} MiB, {kept:.1f} %)" for arm, mib, kept in best.itertuples())
    among = "is" if ZEROTH in best.index else "is not"
    yield Finding(
        "front",
        f"{setting}: of {len(points)} arms these are beaten by no other, which would take no more memory, keep no less "
        f"retain accuracy and be better in one of them: {described}. {ZEROTH} {among} among them.",
        "Memory and utility",
        {"setting": setting}
        | {f"{arm} {PEAK.name}": mib for arm, mib in best["mib"].items()}
        | {f"{arm} {KEPT.name}": kept for arm, kept in best["mean"].items()},
    )


def _without_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
