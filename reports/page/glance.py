"""What a reader learns in ten seconds: one sentence, a few arms beside one another, the verdicts, five lines.

For whole erasures it is about one setting, the first in which both ascents completed; else about single steps of the
largest network.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pandas as pd

from reports.data.arms import FIRST, HEAD, RETRAIN, ZEROTH, family
from reports.data.erasures import SHARED, ArmRuns, beside_one_another, by_setting
from reports.data.load import MIB, PROBED, ratio
from reports.data.part import Part
from reports.data.side_by_side import FORWARDS, PEAK, TOW, SideBySide
from reports.data.verdicts.claims import Claim
from reports.data.words import spoken
from reports.data.words.glossary import listed
from reports.page.summary import Finding
from reports.tables.depth import STILL_KNOWN
from reports.tables.table import MISSING, anchor, number, range_text

STEPS = ("forward", ZEROTH, FIRST, HEAD, "zo-ga-prefix", "fo-ga-checkpoint")
MOST_LINES = 5


@dataclass(frozen=True)
class Cell:
    """A number with its bar.

    Attributes:
        text: the mean.
        span: least to greatest over the seeds, where it is told and they differ.
        bar, low, high: their places along the bar, in percent of its greatest length.
    """

    text: str
    span: str = ""
    bar: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Row:
    """An arm: what it is called, and where it ran if not on torch; its family; a cell a measure."""

    name: str
    where: str
    family: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Badge:
    """A verdict with the one number that it rests on.

    Attributes:
        claim: its title.
        verdict: in words.
        number: the mean that decides it.
        meaning: what that is, and what it is held against.
        place: the setting.
    """

    claim: str
    verdict: str
    number: str
    meaning: str
    place: str


@dataclass(frozen=True)
class Line:
    """A sentence of at most 25 words, and the anchor of the table that has its arithmetic."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Glance:
    """The first screen.

    Attributes:
        result: one sentence.
        where: what the rows are of, in words.
        technical: the same by its technical name.
        measures: names of the columns.
        rows: the arms.
        badges: the claims' verdicts.
        lines: the rest in short.
    """

    result: str
    where: str
    technical: str
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    badges: tuple[Badge, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Measure:
    """A figure of the rows, in MiB where its column is in bytes; whether its range over the seeds is told."""

    name: str
    column: str
    form: str
    ranged: bool = False


def glance(part: Part, found: Sequence[Finding]) -> Glance:
    """The first screen of a run on a device; without rows where nothing can stand beside anything.

    Args:
        found: the part's findings.
    """
    by_name = {finding.name: finding for finding in reversed(found)}
    leading = _leading(part)
    badges = tuple(_badge(part, claim) for claim in part.claims)
    lines = tuple(_lines(part, by_name, leading[1] if leading else ()))
    if leading is not None:
        setting, arms, both = leading
        measures = [_memory(arms), _work(arms), _Measure("ToW", TOW.column, ".2f", ranged=True)]
        rows = _rows([(one.arm, _where(one.engine), one.done) for one in arms], measures)
        said = part.spoken[setting]
        names = tuple(measure.name for measure in measures)
        result = _erasure(both, arms, measures[0]) if both else ""
        return Glance(result, said, setting, names, rows, badges, lines)
    steps = _of_largest(part.steps)
    if steps.empty:
        return Glance("", "", "", (), (), badges, lines)
    measures = [
        _Measure(PEAK.name, "memory.tensor_peak_bytes", ".3g"),
        _Measure("times two forward passes", "time.times_two_forwards", ".2f"),
        _Measure("energy, J", "energy.joules_per_step", ".3g"),
    ]
    measures = [measure for measure in measures if pd.to_numeric(steps[measure.column]).notna().any()]
    arms_there = [(arm, "", steps[steps["method"] == arm]) for arm in STEPS if arm in set(steps["method"])]
    first = steps.iloc[0]
    where = f"one step of {spoken.network(first['model'])}, {first['image_size']} pixels, batch {first['batch_size']}"
    rows = _rows(arms_there, measures)
    names = tuple(measure.name for measure in measures)
    return Glance(_step(by_name), where, str(first["model"]), names, rows, badges, lines)


def _leading(part: Part) -> tuple[str, list[ArmRuns], SideBySide | None] | None:
    """The setting that stands for the run, its arms that do, and the two ascents there."""
    settings = dict(by_setting(part.arms))
    both = {one.setting: one for one in part.side_by_side if one.both}
    first = [name for name in both if settings[name][ZEROTH].engine == "torch"]
    for name in [*first, *both, *settings]:
        if arms := beside_one_another(settings, name):
            return name, arms, both.get(name)
    return None


def _memory(arms: Sequence[ArmRuns]) -> _Measure:
    """Of the whole process, where it is known of all arms."""
    process = "memory.process_peak_bytes"
    if all(one.done[process].notna().any() for one in arms):
        return _Measure("peak of the process, MiB", process, ".0f")
    return _Measure(PEAK.name, SHARED["peak"], ".3g")


def _work(arms: Sequence[ArmRuns]) -> _Measure:
    """Sample-forwards, which are exact; energy where an arm has none."""
    if all(one.done[FORWARDS.column].notna().any() for one in arms):
        return _Measure("sample-forwards", FORWARDS.column, ".3g")
    return _Measure("energy, J", SHARED["energy"], ".3g")


def _where(engine: str) -> str:
    return "" if engine == "torch" else f"on {spoken.ENGINES.get(engine, engine)}"


def _of_largest(steps: pd.DataFrame) -> pd.DataFrame:
    """The steps of the largest network at its largest batch with both ascents."""
    both = steps[steps["method"].isin((ZEROTH, FIRST))].groupby(["model", "batch_size"])["method"].nunique()
    places = both[both == 2].index
    if not len(places):
        return steps.iloc[:0]
    sizes = steps.groupby("model")["model_bytes"].max()
    model, batch = max(places, key=lambda place: (sizes[place[0]], place[1]))
    found: pd.DataFrame = steps[(steps["model"] == model) & (steps["batch_size"] == batch)]
    return found


def _rows(arms: Sequence[tuple[str, str, pd.DataFrame]], measures: Sequence[_Measure]) -> tuple[Row, ...]:
    values = [[_values(runs, measure) for measure in measures] for _, _, runs in arms]
    most = [max([0.0, *chain.from_iterable(of_measure)]) for of_measure in zip(*values, strict=True)]
    return tuple(
        Row(
            "Retrain" if arm == RETRAIN else arm,
            where,
            family(arm).replace(" ", "-"),
            tuple(map(_cell, of_arm, measures, most)),
        )
        for (arm, where, _), of_arm in zip(arms, values, strict=True)
    )


def _values(runs: pd.DataFrame, measure: _Measure) -> list[float]:
    known = pd.to_numeric(runs[measure.column]).dropna().astype(float)
    return list(known / MIB if measure.column.endswith("_bytes") else known)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _cell(values: Sequence[float], measure: _Measure, most: float) -> Cell:
    if not values:
        return Cell(MISSING)
    mean = _mean(values)
    span = range_text(values, measure.form) if measure.ranged else ""
    low, bar, high = (100 * max(0.0, value) / most if most else 0.0 for value in (min(values), mean, max(values)))
    return Cell(number(mean, measure.form), span if " to " in span else "", bar, low, high)


def _erasure(both: SideBySide, arms: Sequence[ArmRuns], memory: _Measure) -> str:
    """The result of one setting, in one sentence: memory as the rows have it, here and on an engine; work; ToW."""
    work, tow = both.means[FORWARDS], both.means[TOW]
    peaks = {(one.arm, one.engine): _mean(_values(one.done, memory)) for one in arms}
    first = peaks.get((FIRST, "torch"), math.nan)
    times = {
        engine: text
        for (arm, engine), peak in peaks.items()
        if arm == ZEROTH and (text := number(ratio(peak, first), ".2g")) != MISSING
    }
    elsewhere = "".join(f" ({text} {_where(engine)})" for engine, text in times.items() if engine != "torch")
    taken = [f"{times['torch']} times the memory{elsewhere}"] if "torch" in times else []
    taken += [f"{text} times the work" for text in [number(work.ratio, ".2g")] if text != MISSING]
    ours, theirs = (number(mean, ".2f") for mean in (tow.ours, tow.theirs))
    said = [f"takes {listed(taken)} of forgetting with it ({FIRST})"] if taken else []
    said += [] if MISSING in (ours, theirs) else [f"leaves a model worth {ours} against {theirs} (retrained: 1)"]
    return f"Forgetting without backpropagation ({ZEROTH}) {' and '.join(said)}." if said else ""


def _step(found: Mapping[str, Finding]) -> str:
    """The result of single steps, in one sentence."""
    said = []
    if "memory" in found:
        said.append(f"{_span(found['memory'].values, invert=False)} times the memory")
    if "time" in found:
        said.append(f"{_span(found['time'].values, invert=True)} times the time")
    return f"A step without backpropagation ({ZEROTH}) takes {' and '.join(said)} of {FIRST}'s." if said else ""


def _span(values: dict[str, float], invert: bool) -> str:
    ends = [values["least ratio"], values["greatest ratio"]]
    return range_text([1 / end for end in ends] if invert else ends, ".2f")


def _badge(part: Part, claim: Claim) -> Badge:
    """With the first of the tests that the verdict follows from."""
    test = next((test for test in claim.tests if test.verdict == claim.verdict), claim.tests[0])
    return Badge(
        claim.title,
        claim.verdict,
        number(test.interval.mean, ".2g"),
        f"{test.statistic.name}; claimed: {test.rule}",
        part.spoken.get(test.setting, test.setting),
    )


def _lines(part: Part, found: Mapping[str, Finding], arms: Sequence[ArmRuns]) -> Iterator[Line]:
    """The rest in short, the most telling first; not more than `MOST_LINES`."""
    every = [one for one in part.side_by_side if one.both]
    lines = [*_of_depth(arms), *_of_steps(found), *_of_stability(every, found), *_of_bars(found)]
    yield from lines[:MOST_LINES]


def _of_steps(found: Mapping[str, Finding]) -> Iterator[Line]:
    if "memory" in found:
        ratio = _span(found["memory"].values, invert=False)
        yield Line(f"Live tensors of a {ZEROTH} step peak at {ratio} times {FIRST}'s.", found["memory"].anchor)
    if "time" in found:
        ratio = _span(found["time"].values, invert=True)
        yield Line(f"A {ZEROTH} step takes {ratio} times as long as one of {FIRST}.", found["time"].anchor)


def _of_depth(arms: Sequence[ArmRuns]) -> Iterator[Line]:
    """What a probe finds of the forgotten, where there is one."""
    whose = {ZEROTH: ZEROTH, FIRST: FIRST, RETRAIN: "retraining"}
    known = [(whose[one.arm], one.done) for one in arms if one.arm in whose and one.engine == "torch"]
    means = {name: pd.to_numeric(done[PROBED]).mean() for name, done in known if PROBED in done}
    if not math.isnan(means.get(ZEROTH, math.nan)):
        finds = listed(f"{number(mean, '.1f')} % after {name}" for name, mean in means.items() if not math.isnan(mean))
        yield Line(f"Of what was forgotten, a probe of the features is right on {finds}.", anchor(STILL_KNOWN))


def _of_stability(every: Sequence[SideBySide], found: Mapping[str, Finding]) -> Iterator[Line]:
    if "stability" in found:
        ends = [[one.collapsed[place] for one in every] for place in (0, 1)]
        (ours, ours_known), (theirs, theirs_known) = (
            (sum(one.runs for one in of_arm), sum(one.known for one in of_arm)) for of_arm in ends
        )
        yield Line(
            f"Left running, {ours} of {ours_known} {ZEROTH} runs and {theirs} of {theirs_known} {FIRST} runs collapse.",
            found["stability"].anchor,
        )


def _of_bars(found: Mapping[str, Finding]) -> Iterator[Line]:
    for name, what, known in (("bars", "of step time", "timed"), ("cost bars", "of an erasure's cost", "known")):
        if name in found:
            values = found[name].values
            met = values[known] - values["missed"]
            yield Line(f"Bars {what}, set beforehand: {met} of {values[known]} met.", found[name].anchor)
