"""One request on one page: what was asked and done, what that cost beside retraining, what was shown and what not."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.record import TuningCost
from reports.data.arms import RETRAIN
from reports.data.erasures import ArmRuns, beside_one_another, by_setting, on_torch
from reports.data.load import BACK, MIB, PROBED
from reports.data.part import Part
from reports.data.words.glossary import ESTIMATED, distinct, listed
from reports.data.words.spoken import ENGINES
from reports.sustainability.asked import class_called
from reports.tables.table import MISSING, Table, number

DIGITS = 12  # of a hash that is whole in the annex
UNITS = {"completion.joules": ("energy", "J"), "completion.seconds": ("time", "s")}
NO_RETRAIN = "There is no Retrain here, so nothing says how near the models come to one that never saw the samples."
NO_GUARANTEE = (
    "This is approximate unlearning: the figures say what was measured about these models, and are no legal guarantee "
    "that an influence of the data is gone."
)
ONCE = "A second request to a model that has forgotten once was not measured."
SHALLOW = (
    "{} moved no more than the last {}: what is before it knows the samples as well as it did, and new weights behind "
    "that may bring them back."
)
COST_NOTE = (
    "Up to completion, without the evaluations that tell that it is reached; means over the runs that completed. "
    "Retrain's are of its whole training."
)
SHOWN_NOTE = (
    "In percent; means over the runs that completed. The nearer to Retrain's the better. The answers say what the "
    "model shows; the probe, what its features know; relearning, how much a few samples bring back."
)


@dataclass(frozen=True)
class Sheet:
    """One request.

    Attributes:
        title: data, network and request in words.
        technical: the same by its technical name.
        asked, done: in a sentence or two.
        cost, shown: an arm a row.
        break_even: after how many requests the search for rates has paid; empty where no search is on record.
        not_shown: sentences.
        receipt: its digest, or that there is none.
    """

    title: str
    technical: str
    asked: str
    done: str
    cost: Table
    shown: Table | None
    break_even: str
    not_shown: tuple[str, ...]
    receipt: str


def sheets(part: Part) -> Iterator[Sheet]:
    """One a request: a setting on an engine stands with that on torch. None where nothing completed."""
    settings = dict(by_setting(part.arms))
    for name, arms in settings.items():
        engine = next(iter(arms.values())).engine
        if on_torch(name, engine) != name and on_torch(name, engine) in settings:
            continue
        if shown := beside_one_another(settings, name):
            yield _sheet(part, name, shown)


def _sheet(part: Part, name: str, arms: Sequence[ArmRuns]) -> Sheet:
    leading = next((arm for arm in arms if arm.arm != RETRAIN), arms[0])
    return Sheet(
        part.spoken[name],
        name,
        _asked(part, leading),
        _done(part, leading),
        _cost(arms),
        _shown(part, name, arms),
        _break_even(part.run.tuning, arms, leading),
        tuple(_not_shown(part, arms)),
        _receipt(arms),
    )


def _asked(part: Part, arm: ArmRuns) -> str:
    """How many samples, until when, and the hash that names them."""
    known = arm.runs.dropna(subset=["erased.digest"])
    if known.empty:
        return f"{arm.runs['scenario'].iloc[0]}; which samples these are is not on record."
    first, others = known.iloc[0], known["erased.digest"].nunique() - 1
    targets = dict.fromkeys(number(value, ".1f") for value in pd.to_numeric(known["erased.target"]).dropna())
    more = f", and {_count(others, 'other draw')} of them" if others else ""
    until = f"; forgotten when the model is right on at most {' or '.join(targets)} % of them" if targets else ""
    return (
        f"{first['erased.samples']:.0f} of {first['erased.of']:.0f} training samples{class_called(part, first)}, by "
        f"their hash {str(first['erased.digest'])[:DIGITS]}...{more}{until}."
    )


def _done(part: Part, arm: ArmRuns) -> str:
    """Which method, with what, on what."""
    first, steps = arm.done.iloc[0], pd.to_numeric(arm.done["completion.step"])
    rates = {"learning rate": "rate.lr", "perturbation": "rate.eps"}
    used = [f"{words} {first[column]:g}" for words, column in rates.items() if pd.notna(first[column])]
    on = ENGINES.get(arm.engine, arm.engine)
    batch = _count(first["batch_size"], "sample") + " a step"
    return (
        f"{listed([arm.name, *used, batch])}; {steps.mean():,.0f} steps on "
        f"{on}, {part.hardware}, {_count(first['threads'], 'thread')}. {arm.complete} runs completed, a seed each."
    )


def _cost(arms: Sequence[ArmRuns]) -> Table:
    """A row an arm, beside retraining."""
    basis = distinct(pd.concat([arm.done for arm in arms])["energy.basis"])
    measures: dict[str, Callable[[pd.DataFrame], float]] = {
        "time, s": lambda done: _mean(done, "completion.seconds"),
        "times Retrain's": lambda done: _mean(done, "completion.seconds share"),
        f"energy, J ({basis})" if basis else "energy, J": lambda done: _mean(done, "completion.joules"),
        "mg CO2e": lambda done: 1000 * _mean(done, "co2e"),
        "live tensors, MiB": lambda done: _mean(done, "mib"),
        "process, MiB": lambda done: _mean(done, "memory.process_peak_bytes") / MIB,
    }
    rows = [(_called(arm), *(number(mean(arm.done), ".2g") for mean in measures.values())) for arm in arms]
    return Table("What it cost", COST_NOTE, ("arm", *measures), tuple(rows)).telling


def _shown(part: Part, setting: str, arms: Sequence[ArmRuns]) -> Table | None:
    """The original's answers first, then a row an arm; None where no quality was measured."""
    columns: dict[str, Callable[[pd.DataFrame], float]] = {
        "right on the forgotten": lambda done: 100 - _mean(done, "quality.ua"),
        "on what is kept": lambda done: _mean(done, "quality.ra"),
        "on test data": lambda done: _mean(done, "quality.ta"),
        "probe finds": lambda done: _mean(done, PROBED),
        "relearned": lambda done: _mean(done, BACK),
    }
    rows = [(_called(arm), *(number(mean(arm.done), ".1f") for mean in columns.values())) for arm in arms]
    if all(cell == MISSING for row in rows for cell in row[1:]):
        return None
    before = part.originals[part.originals.index.get_level_values("setting") == setting]
    if len(before):
        found = _mean(pd.concat([arm.done for arm in arms]), PROBED.replace(".model", ".original"))
        answers = (number(_mean(before, column), ".1f") for column in before.columns)
        rows.insert(0, ("the original", *answers, number(found, ".1f"), MISSING))
    return Table("What was shown about forgetting", SHOWN_NOTE, ("model", *columns), tuple(rows)).telling


def _mean(done: pd.DataFrame, column: str) -> float:
    return float(pd.to_numeric(done[column]).mean()) if column in done else math.nan


def _count(number: float, what: str) -> str:
    return f"{number:.0f} {what}" if number == 1 else f"{number:.0f} {what}s"


def _called(arm: ArmRuns) -> str:
    """Its name, and the engine that it ran on if that is not torch."""
    return arm.name if arm.engine == "torch" else f"{arm.name}, on {ENGINES.get(arm.engine, arm.engine)}"


def _break_even(searches: Sequence[TuningCost], arms: Sequence[ArmRuns], arm: ArmRuns) -> str:
    """After how many requests the search for the arm's rates has paid, in energy, or in time where that is unknown."""
    search = next((cost for cost in searches if cost.method == arm.arm), None)
    retrain = next((one for one in arms if one.arm == RETRAIN), None)
    if search is None or retrain is None:
        return ""
    spent: Mapping[str, float | None] = {"completion.joules": search.joules, "completion.seconds": search.seconds}
    for column, taken in spent.items():
        each, whole = _mean(arm.done, column), _mean(retrain.done, column)
        if taken is None or math.isnan(each) or math.isnan(whole):
            continue
        what, unit = UNITS[column]
        said = f"The search for {arm.arm}'s rates took {number(taken, '.2g')} {unit}, all settings together; "
        if each >= whole:
            return f"{said}it never pays in {what}: an erasure takes no less than retraining."
        after = math.ceil(taken / (whole - each))
        return f"{said}an erasure saves {number(whole - each, '.2g')} {unit}, so it has paid after {after:,} requests."
    return ""


def _not_shown(part: Part, arms: Sequence[ArmRuns]) -> Iterator[str]:
    yield NO_GUARANTEE
    if all(arm.arm != RETRAIN for arm in arms):
        yield NO_RETRAIN
    runs = pd.concat([arm.runs for arm in arms])
    some = runs[(runs["method"] != RETRAIN) & (runs["rate.tail"] != "all")].dropna(subset=["rate.tail"])
    for tail, of_tail in some.groupby("rate.tail"):
        yield SHALLOW.format(listed(of_tail["method"].unique()), tail)
    yield ONCE
    if (pd.concat([arm.done for arm in arms])["energy.basis"] == "estimated").any():
        yield ESTIMATED


def _receipt(arms: Sequence[ArmRuns]) -> str:
    """Of the first arm that has one, the first run's."""
    for arm in arms:
        known = arm.done.dropna(subset=["receipt_sha256"])
        if len(known):
            first = known.iloc[0]
            more = f"; {len(known) - 1} more in the annex" if len(known) > 1 else ""
            return f"{_called(arm)}, seed {first['seed']}: {first['receipt_sha256']}{more}."
    return "No arm here writes one, so nobody can take the steps again without the data."
