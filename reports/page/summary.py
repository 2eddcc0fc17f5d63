"""The results in a few sentences, each number from a table of the page, and as `summary.md` and `summary.json`."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bench.record import DEPTH_MARGIN
from reports.data.arms import FIRST, RETRAIN, ZEROTH
from reports.data.part import Part
from reports.data.side_by_side import (
    COLLAPSE,
    DEPTH,
    ENERGY,
    ENERGY_OF_RETRAIN,
    FORWARDS,
    KEPT,
    PEAK,
    STEPS,
    TIME,
    TOW,
    CostTest,
    Figure,
)
from reports.data.verdicts.bars import BarTest
from reports.data.verdicts.claims import Claim
from reports.data.verdicts.interval import LEAST_SEEDS
from reports.data.words.glossary import listed
from reports.tables.side_by_side import COST_BARS, TITLE, Compared, compared, not_compared
from reports.tables.steps import BARS
from reports.tables.table import anchor, range_text


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


def findings(part: Part) -> list[Finding]:
    """What the cases of one run and device say about zeroth- against first-order ascent; empty without both.

    Of many settings, the least and the greatest figures.
    """
    found = [*_steps(part.steps), *_bars(part.bars), *_cost_bars(part.cost_bars)]
    for one in compared(part.side_by_side):
        found += _erasures(one, part.apart)
        if len(one.settings) == 1:
            setting, points = one.settings[0].setting, part.pareto_points
            found += _front(setting, points[points["setting"] == setting])
    nothing = not_compared(part.side_by_side)
    return found + [Finding("completion", said, TITLE, {"setting": setting}) for setting, said in nothing]


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


def dumps(data: list[Any]) -> str:
    """As JSON of the standard, an item a line: no NaN, which becomes null."""
    items = ",\n".join(json.dumps(_without_nan(item), ensure_ascii=False) for item in data)
    return f"[\n{items}\n]\n"


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


def _bars(tests: Sequence[BarTest]) -> Iterator[Finding]:
    """How many bars are met, and which are not."""
    known = [test for test in tests if test.met is not None]
    missed = [
        f"{test.bar.method} over {test.bar.over}, {test.bar.model} batch {test.batch_size} ({test.ratio:.2f}, "
        f"{test.rule})"
        for test in known
        if not test.met
    ]
    if known:
        text = f"Of {len(known)} bars of step time {len(known) - len(missed)} are met"
        missing = f"; missed: {'; '.join(missed)}" if missed else ""
        untimed = f"; {len(tests) - len(known)} more name steps that were not timed" if len(known) < len(tests) else ""
        values = {"bars": len(tests), "timed": len(known), "missed": len(missed)}
        yield Finding("bars", f"{text}{missing}{untimed}.", BARS, values)


def _cost_bars(tests: Sequence[CostTest]) -> Iterator[Finding]:
    """How many bars are met, and what the others are missed by."""
    if not tests:
        return
    known = [test for test in tests if test.met is not None]
    missed = [_missed(test) for test in known if not test.met]
    text = f"Of {len(known)} bars of an erasure's cost {len(known) - len(missed)} are met"
    missing = f"; missed: {'; '.join(missed)}" if missed else ""
    others = len(tests) - len(known)
    unknown = f"; {others} more lack a figure, or {LEAST_SEEDS} seeds with which both arms completed" if others else ""
    values = {"bars": len(tests), "known": len(known), "missed": len(missed)}
    yield Finding("cost bars", f"{text}{missing}{unknown}.", COST_BARS, values)


def _missed(test: CostTest) -> str:
    """A bar, and each of the figures that it asks for and does not get."""
    means, bar = test.both.means, test.bar
    words = {
        "completion": f"{test.both.completed[0]} runs complete, {test.both.completed[1]} of {bar.over}",
        "sample-forwards": f"{means[FORWARDS].ratio:.2g} times the sample-forwards, at most {bar.sample_forwards:g}",
        "ToW": f"ToW {means[TOW].difference:+.3f}, at most {bar.tow_margin:g} below",
        "energy": f"{means[ENERGY].ratio:.2g} times the energy, at most {bar.joules or math.nan:g}",
        "probe": f"a probe finds {means[DEPTH].difference:+.1f} points, at most {DEPTH_MARGIN:+g}",
    }
    said = ", ".join(words[name] for name, held in test.held.items() if not held)
    return f"{' over '.join(test.both.names)}, {test.both.setting} ({said})"


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


def _erasures(found: Compared, apart: str) -> Iterator[Finding]:
    """What one setting says, or many."""
    for name, text, figures in (
        ("cost", _cost(found), (STEPS, FORWARDS, TIME, ENERGY, ENERGY_OF_RETRAIN, PEAK)),
        ("quality", _quality(found), (TOW, KEPT)),
        ("stability", _stability(found, apart), (COLLAPSE,)),
    ):
        if text:
            yield Finding(name, f"{found.where}: {text}.", TITLE, _values(found, *figures))


def _cost(found: Compared) -> str:
    dear, peak = found.taken, found.times(PEAK)
    ours, theirs = found.means(ENERGY_OF_RETRAIN)
    some = found.some(ENERGY_OF_RETRAIN)
    work = found.times(FORWARDS)
    taken = (f"{found.times(STEPS)} times the steps", f"{work} times the sample-forwards" if work else "", dear)
    return (
        f"to the same level of forgetting {ZEROTH} takes {listed(filter(None, taken))} of {FIRST}"
        + (f", with {peak} times the live tensors" if peak else "")
        + (f"; its energy is {ours} times Retrain's, {FIRST}'s {theirs} times{some}" if ours and theirs else "")
    )


def _quality(found: Compared) -> str:
    words = [
        (f"at completion {ZEROTH} is at ToW {{}}, {FIRST} at {{}}", found.means(TOW)),
        (f"{ZEROTH} keeps {{}} % retain accuracy, {FIRST} {{}} %", found.means(KEPT)),
    ]
    return "; ".join(text.format(*figures) for text, figures in words if all(figures))


def _stability(found: Compared, apart: str) -> str:
    ours, theirs = found.means(COLLAPSE)
    if not ours or not theirs:
        return ""
    ends = [[one.collapsed[place] for one in found.settings] for place in (0, 1)]
    counts = [(sum(one.runs for one in of_arm), sum(one.known for one in of_arm)) for of_arm in ends]
    runs = [
        f"{collapsed} of {known} {arm} runs" for (collapsed, known), arm in zip(counts, (ZEROTH, FIRST), strict=True)
    ]
    lasting = any(collapsed < known for collapsed, known in counts)
    horizon = "; a run that does not collapse counts with its horizon" if lasting else ""
    return (
        f"left running, {listed(runs)} collapse, on average {ours} and {theirs} T* after completion (interpolated "
        f"between evaluations {apart} apart{horizon})"
    )


def _values(found: Compared, *figures: Figure) -> dict[str, Any]:
    """The means by arm and figure, unrounded, for each setting."""
    values: dict[str, list[Any]] = {"setting": [one.setting for one in found.settings]}
    for figure in figures:
        means = [one.means[figure] for one in found.settings]
        values[f"{ZEROTH} {figure.name}"] = [one.ours for one in means]
        values[f"{FIRST} {figure.name}"] = [one.theirs for one in means]
    return values if len(found.settings) > 1 else {name: of_one[0] for name, of_one in values.items()}


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
