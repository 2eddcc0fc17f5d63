"""The results in a few sentences, each number from a table of the page, and as `summary.md` and `summary.json`."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from reports.claims import FIRST, ZEROTH, Claim
from reports.erasure_figures import pareto_points
from reports.load import Results
from reports.side_by_side import (
    COLLAPSE,
    ENERGY,
    ENERGY_OF_RETRAIN,
    KEPT,
    PEAK,
    STEPS,
    TIME,
    TITLE,
    TOW,
    Figure,
    SideBySide,
    side_by_side,
)
from reports.table import MISSING, anchor, number


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
    """What the cases of one run and device say about zeroth- against first-order ascent; empty without both."""
    steps, runs = results.of_kind("step"), results.of_kind("unlearning")
    points = pareto_points(results)
    found = list(_steps(steps))
    for both in side_by_side(runs):
        found += [*_erasure(both), *_front(both.setting, points[points["setting"] == both.setting])]
    return found


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
            f"The live tensors of a {ZEROTH} step{forecast} peak at {_range(ratios, '.2f')} times those of {FIRST} "
            f"({_scope(ratios)}).",
            "Peak of live tensors in a step, MiB",
            {"least ratio": ratios.min(), "greatest ratio": ratios.max(), "cases": len(ratios)},
        )
    ratios = _ratios(steps, "time.times_two_forwards", FIRST, ZEROTH)
    if not ratios.empty:
        yield Finding(
            "time",
            f"A {FIRST} step takes {_range(ratios, '.2f')} times as long as one of {ZEROTH} ({_scope(ratios)}).",
            f"Time of a step, against {ZEROTH}",
            {"least ratio": ratios.min(), "greatest ratio": ratios.max(), "cases": len(ratios)},
        )


def _ratios(steps: pd.DataFrame, column: str, arm: str, other: str) -> pd.Series:
    """One arm's figure over another's, by model and batch size."""
    known = steps.dropna(subset=[column]).set_index(["model", "batch_size", "method"])[column].astype(float)
    wide = known.unstack()
    return (wide[arm] / wide[other]).dropna() if {arm, other} <= set(wide.columns) else pd.Series(dtype=float)


def _scope(ratios: pd.Series) -> str:
    models, batches = (ratios.index.get_level_values(name) for name in ("model", "batch_size"))
    count = models.nunique()
    return f"{count} model{'s' if count > 1 else ''}, batch {batches.min()} to {batches.max()}"


def _erasure(both: SideBySide) -> Iterator[Finding]:
    """What one setting says."""
    if both.nothing:
        yield Finding("completion", both.nothing, TITLE, {"setting": both.setting})
        return
    for describe in (_cost, _quality, _stability):
        yield from describe(both)


def _cost(both: SideBySide) -> Iterator[Finding]:
    dear = TIME if math.isnan(both.ratio(ENERGY)) else ENERGY
    steps, spent, peak = (number(both.ratio(figure), figure.ratio) for figure in (STEPS, dear, PEAK))
    what = "time" if dear is TIME else f"energy ({both.basis})"
    shares = [number(share, ENERGY_OF_RETRAIN.form) for share in both.means(ENERGY_OF_RETRAIN)]
    retrain = "" if MISSING in shares else f"; that is {shares[0]} times Retrain's energy, against {shares[1]} times"
    yield Finding(
        "cost",
        f"{both.where}: to the same level of forgetting {ZEROTH} takes {steps} times the steps and {spent} times the "
        f"{what} of {FIRST}, with {peak} times the live tensors{retrain}.",
        TITLE,
        _values(both, STEPS, TIME, ENERGY, ENERGY_OF_RETRAIN, PEAK),
    )


def _quality(both: SideBySide) -> Iterator[Finding]:
    tow, kept = ([number(mean, figure.form) for mean in both.means(figure)] for figure in (TOW, KEPT))
    yield Finding(
        "quality",
        f"{both.where}: at completion {ZEROTH} is at ToW {tow[0]} and keeps {kept[0]} % retain accuracy, {FIRST} "
        f"{tow[1]} and {kept[1]} %.",
        TITLE,
        _values(both, TOW, KEPT),
    )


def _stability(both: SideBySide) -> Iterator[Finding]:
    collapse = [number(mean, COLLAPSE.form) for mean in both.means(COLLAPSE)]
    if MISSING in collapse:
        return
    counts = both.collapsed()
    yield Finding(
        "stability",
        f"{both.where}: left running, {counts[0]} {ZEROTH} runs and {counts[1]} {FIRST} runs collapse, on average "
        f"{collapse[0]} and {collapse[1]} T* after completion (one that does not counts as the horizon).",
        TITLE,
        _values(both, COLLAPSE),
    )


def _front(setting: str, points: pd.DataFrame) -> Iterator[Finding]:
    """Which arms are worth their memory, where there are more than the two and Retrain."""
    if len(points) <= len((ZEROTH, FIRST, "retrain")):
        return
    best = points[points["front"]].sort_values("mib").set_index("method")[["mib", "mean"]]
    described = ", ".join(f"{arm} ({mib:.2f} MiB, {kept:.1f} %)" for arm, mib, kept in best.itertuples())
    among = "is" if ZEROTH in best.index else "is not"
    yield Finding(
        "front",
        f"{setting}: of {len(points)} arms no other beats these in both peak memory and retain accuracy at completion: "
        f"{described}. {ZEROTH} {among} among them.",
        "Memory and utility",
        {"setting": setting}
        | {f"{arm} {PEAK.name}": mib for arm, mib in best["mib"].items()}
        | {f"{arm} {KEPT.name}": kept for arm, kept in best["mean"].items()},
    )


def _values(both: SideBySide, *figures: Figure) -> dict[str, Any]:
    """The means, unrounded, by arm and figure."""
    named = {figure.name: both.means(figure) for figure in figures}
    return {"setting": both.setting} | {
        f"{arm} {name}": means[place] for name, means in named.items() for place, arm in enumerate((ZEROTH, FIRST))
    }


def _range(values: pd.Series, form: str) -> str:
    return " to ".join(dict.fromkeys(number(value, form) for value in (values.min(), values.max())))


def _without_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
