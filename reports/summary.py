"""The results in a few sentences, each number from a table of the page, and as `summary.md` and `summary.json`."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from reports.claims import FIRST, ZEROTH, Claim
from reports.load import Results
from reports.shares import SHARED, completed, with_shares
from reports.table import anchor

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
                    "mean": test.interval.mean,
                    "low": test.interval.low,
                    "high": test.interval.high,
                    "n": test.interval.n,
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


def times(ratio: float, more: str = "more", less: str = "less") -> str:
    """A ratio in words: 3.4 times more, 2 times less."""
    return f"{ratio:.2g} times {more}" if ratio >= 1 else f"{1 / ratio:.2g} times {less}"


def _steps(steps: pd.DataFrame) -> Iterator[Finding]:
    pairs = _pairs(steps, "memory.tensor_peak_bytes")
    if not pairs.empty:
        low, high = pairs.min(), pairs.max()
        yield Finding(
            "memory",
            f"A {ZEROTH} step takes {_range(1 / high, 1 / low)} of the memory of {FIRST}'s (live tensors; "
            f"{_scope(steps, pairs)}).",
            "Peak of live tensors in a step, MiB",
            {"least share": 1 / high, "greatest share": 1 / low, "cases": len(pairs)},
        )
    pairs = _pairs(steps, "time.times_two_forwards")
    if not pairs.empty:
        low, high = 1 / pairs.max(), 1 / pairs.min()
        yield Finding(
            "time",
            f"It takes {_range(low, high)} of its time ({_scope(steps, pairs)}).",
            f"Time of a step, against {ZEROTH}",
            {"least share": low, "greatest share": high, "cases": len(pairs)},
        )


def _pairs(steps: pd.DataFrame, column: str) -> pd.Series:
    """First- over zeroth-order, by model and batch size."""
    known = steps.dropna(subset=[column]).set_index(["model", "batch_size", "method"])[column].astype(float)
    wide = known[~known.index.duplicated()].unstack()
    if not {FIRST, ZEROTH} <= set(wide.columns):
        return pd.Series(dtype=float)
    return (wide[FIRST] / wide[ZEROTH]).dropna()


def _scope(steps: pd.DataFrame, pairs: pd.Series) -> str:
    batches = pairs.index.get_level_values("batch_size")
    models = pairs.index.get_level_values("model").nunique()
    return f"{models} model{'s' if models > 1 else ''}, batch {batches.min()} to {batches.max()}"


def _erasure(cases: pd.DataFrame) -> Iterator[Finding]:
    """What one setting says."""
    setting = str(cases["setting"].iloc[0])
    runs = completed(with_shares(cases))
    ours, theirs = (runs[runs["method"] == arm] for arm in (ZEROTH, FIRST))
    if not ours.empty and not theirs.empty:
        for describe in (_cost, _quality, _stability):
            yield from describe(setting, ours, theirs)
    elif set(cases["method"]) >= {ZEROTH, FIRST}:
        never = " and ".join(arm for arm, done in ((FIRST, theirs), (ZEROTH, ours)) if done.empty)
        yield Finding("completion", f"{setting}: {never} never completed.", COST, {"setting": setting})


def _cost(setting: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    steps = [_mean(arm, "completion.step") for arm in (ours, theirs)]
    if not steps[1]:
        return
    joules = _mean(ours, "completion.joules") / _mean(theirs, "completion.joules")
    share = _mean(ours, f"{SHARED['energy']} share")
    words = [
        f"{setting}: to the same level of forgetting {ZEROTH} takes {steps[0]:.0f} steps and {FIRST} {steps[1]:.0f}"
    ]
    if not math.isnan(joules):
        words.append(f"{times(joules)} energy ({' and '.join(ours['energy.basis'].dropna().unique())})")
    if not math.isnan(share):
        words.append(f"{share:.2g} times Retrain's")
    values = {f"{ZEROTH} steps": steps[0], f"{FIRST} steps": steps[1]}
    shares = {f"{ZEROTH} energy over {FIRST}'s": joules, f"{ZEROTH} energy over Retrain's": share}
    yield Finding("cost", ", ".join(words) + ".", COST, {"setting": setting} | values | shares)


def _quality(setting: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    tow, kept = ([_mean(arm, f"quality.{name}") for arm in (ours, theirs)] for name in ("tow", "ra"))
    yield Finding(
        "quality",
        f"{setting}: at completion {ZEROTH} is at ToW {tow[0]:.3f} and keeps {kept[0]:.1f} % retain accuracy, {FIRST} "
        f"{tow[1]:.3f} and {kept[1]:.1f} %.",
        QUALITY,
        {"setting": setting, f"{ZEROTH} ToW": tow[0], f"{FIRST} ToW": tow[1]}
        | {f"{ZEROTH} RA, %": kept[0], f"{FIRST} RA, %": kept[1]},
    )


def _stability(setting: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Finding]:
    collapse = [_mean(arm, "stability.collapse") for arm in (ours, theirs)]
    if any(map(math.isnan, collapse)):
        return
    counts = [f"{(arm['stability.collapsed'] == True).sum()} of {len(arm)}" for arm in (ours, theirs)]  # noqa: E712
    yield Finding(
        "stability",
        f"{setting}: left running, {counts[0]} {ZEROTH} runs and {counts[1]} {FIRST} runs collapse, on average "
        f"{collapse[0]:.2f} and {collapse[1]:.2f} T* after completion.",
        AFTER,
        {"setting": setting, f"{ZEROTH} collapse, T*": collapse[0], f"{FIRST} collapse, T*": collapse[1]},
    )


def _mean(runs: pd.DataFrame, column: str) -> float:
    return float(pd.to_numeric(runs[column]).mean())


def _range(low: float, high: float) -> str:
    texts = [f"{100 * low:.0f}", f"{100 * high:.0f}"]
    return " to ".join(dict.fromkeys(texts)) + " %"


def _without_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
