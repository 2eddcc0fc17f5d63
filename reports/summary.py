"""The results in a few sentences, each number from a table of the page, and as `summary.md` and `summary.json`."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from reports.claims import FIRST, ZEROTH, Claim
from reports.load import Results
from reports.shares import SHARED, pairs, scope, unpaired, with_shares
from reports.table import anchor, distinct, number

AFTER = "After completion"
COST = "Cost to completion"
QUALITY = "Quality at completion"


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
    return [*_steps(steps), *(found for _, cases in runs.groupby("setting", sort=False) for found in _erasure(cases))]


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


def _erasure(cases: pd.DataFrame) -> Iterator[Finding]:
    """What one setting says."""
    setting = str(cases["setting"].iloc[0])
    ours, theirs = pairs(with_shares(cases))
    if ours.empty:
        why = unpaired(cases)
        if why is not None:
            yield Finding("completion", why, COST, {"setting": setting})
        return
    where = f"{setting}{scope(cases, ours)}"
    for describe in (_cost, _quality, _stability):
        yield from describe(setting, where, ours, theirs)


def _cost(setting: str, where: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    values: dict[str, Any] = {"setting": setting}
    words = []
    for arm, runs in ((ZEROTH, ours), (FIRST, theirs)):
        steps, joules = (_mean(runs, f"completion.{name}") for name in ("step", "joules"))
        basis = distinct(runs["energy.basis"])
        energy = "" if math.isnan(joules) else f" and {number(joules, '.3g')} J ({basis})"
        words.append(f"{arm} takes {steps:.0f} steps{energy}")
        values |= {f"{arm} steps": steps, f"{arm} energy, J": joules}
    share = _mean(ours, f"{SHARED['energy']} share")
    values[f"{ZEROTH} energy over Retrain's"] = share
    retrain = "" if math.isnan(share) else f", {number(share, '.2g')} times Retrain's energy"
    text = f"{where}: to the same level of forgetting {words[0]}{retrain}; {words[1]}."
    yield Finding("cost", text, COST, values)


def _quality(setting: str, where: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    tow, kept = ([_mean(arm, f"quality.{name}") for arm in (ours, theirs)] for name in ("tow", "ra"))
    yield Finding(
        "quality",
        f"{where}: at completion {ZEROTH} is at ToW {tow[0]:.3f} and keeps {kept[0]:.1f} % retain accuracy, {FIRST} "
        f"{tow[1]:.3f} and {kept[1]:.1f} %.",
        QUALITY,
        {"setting": setting, f"{ZEROTH} ToW": tow[0], f"{FIRST} ToW": tow[1]}
        | {f"{ZEROTH} RA, %": kept[0], f"{FIRST} RA, %": kept[1]},
    )


def _stability(setting: str, where: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    known = [arm.dropna(subset=["stability.collapse"]) for arm in (ours, theirs)]
    if min(map(len, known)) == 0:
        return
    counts = [f"{(arm['stability.collapsed'] == True).sum()} of {len(arm)}" for arm in known]  # noqa: E712
    collapse = [_mean(arm, "stability.collapse") for arm in known]
    yield Finding(
        "stability",
        f"{where}: left running, {counts[0]} {ZEROTH} runs and {counts[1]} {FIRST} runs collapse, on average "
        f"{collapse[0]:.2f} and {collapse[1]:.2f} T* after completion (one that does not counts as the horizon).",
        AFTER,
        {"setting": setting, f"{ZEROTH} collapse, T*": collapse[0], f"{FIRST} collapse, T*": collapse[1]},
    )


def _mean(runs: pd.DataFrame, column: str) -> float:
    return float(pd.to_numeric(runs[column]).mean())


def _range(values: pd.Series, form: str) -> str:
    return " to ".join(dict.fromkeys(number(value, form) for value in (values.min(), values.max())))


def _without_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
