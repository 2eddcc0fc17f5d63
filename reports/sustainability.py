"""The sustainability statement: what one erasure request costs, against what, and what was shown about it.

Per request: energy E, and emissions as the Software Carbon Intensity ((E x I) + M) per R (ISO/IEC 21031:2024) with R
one erasure request, I the carbon intensity of the grid, and M, the share of making the hardware, not included.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.record import Run
from reports.claims import FIRST, MATCHED, ZEROTH
from reports.load import SETTING, Results
from reports.model_card import ModelCard, model_cards
from reports.shares import by_arm, completed, with_shares
from reports.side_by_side import ENERGY, ENERGY_OF_RETRAIN, PEAK, TIME, TIME_OF_RETRAIN, side_by_side
from reports.style import arm_style
from reports.sustainability_tables import (
    ACCOUNTED,
    JOULES_PER_KWH,
    NO_MAKING,
    basis_table,
    erased_table,
    rate_table,
    request_table,
    search_table,
    thousand_table,
)
from reports.table import Table, number

RETRAIN = "retrain"
COMPLETE = (
    "An erasure is complete at the first evaluation at which the accuracy on what is to be forgotten is at or below "
    "chance (a class) or that of a model that never saw it (a random share). Its cost is counted up to there."
)
NO_GUARANTEE = (
    "This is approximate unlearning: the figures say what was measured about these models, and are no legal guarantee "
    "that an influence of the data is gone."
)
ESTIMATED = (
    "Energy is an estimate: processor time times a table power plus a fixed guess for the memory. It is proportional "
    "to the time and adds nothing to it; where the two differ as shares of Retrain's, that is the noise of two passes."
)
NOT_METERED = "Energy was not metered in this run, so there are no figures of energy and emissions."
NOTHING_COMPLETED = "No run came to completion, so there is nothing that an erasure cost."
ASSUMED_GRID = (
    "Emissions are computed for the grid of the country that the profile names; the machine need not have been there."
)


@dataclass(frozen=True)
class Statement:
    """What the runs of one machine and device say about an erasure request.

    Attributes:
        headline: the first sentences, one a setting: zeroth- against first-order ascent.
        evidence: what was shown about forgetting, a sentence a setting.
        tables: in the order of reading.
        notes: what holds for all figures.
        model_cards: one a setting; empty where no energy is known.
        data: the figures behind it, unrounded.
    """

    headline: tuple[str, ...]
    evidence: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    model_cards: tuple[ModelCard, ...]
    data: dict[str, Any]


def statement(results: Results) -> Statement | None:
    """The statement of the cases of one run and device; None where no erasure was run."""
    runs = results.of_kind("unlearning")
    if runs.empty:
        return None
    runs = with_shares(runs).assign(**_emissions(runs))
    done = completed(runs)
    run = results.runs[int(runs["run"].iloc[0]) - 1]
    tables = (
        request_table(runs),
        thousand_table(runs),
        basis_table(done),
        search_table(run),
        erased_table(runs),
        rate_table(runs),
    )
    return Statement(
        tuple(_headline(runs)),
        tuple(_evidence(done)),
        tuple(table for table in tables if table is not None),
        tuple(_notes(runs, done, run)),
        tuple(model_cards(done, run)),
        {"requests": list(_requests(runs)), "search": [cost.model_dump() for cost in run.tuning]},
    )


def _notes(runs: pd.DataFrame, done: pd.DataFrame, run: Run) -> Iterator[str]:
    yield SETTING
    yield COMPLETE
    if done.empty:
        yield NOTHING_COMPLETED
    elif pd.to_numeric(done["completion.joules"]).isna().all():
        yield NOT_METERED
    else:
        shares = [f"energy.{part}.basis" for part in ACCOUNTED]
        if (done["energy.basis"] == "estimated").any() and not (done[shares] == "measured").any(axis=None):
            yield ESTIMATED
        yield ASSUMED_GRID
    tuned = {cost.method for cost in run.tuning}
    unsearched = [arm for arm in arm_style(runs.dropna(subset=["rate.lr"])["method"]).order if arm not in tuned]
    unsearched = [arm for arm in unsearched if arm != MATCHED]  # takes zo-ga's
    if unsearched:
        yield f"No search for the learning rates of {', '.join(unsearched)} is on record."
    yield NO_MAKING
    yield NO_GUARANTEE


def _emissions(runs: pd.DataFrame) -> dict[str, pd.Series]:
    """`intensity`, in grams of CO2e a kWh, and `co2e`, in grams, of one request."""
    joules = pd.to_numeric(runs["energy.joules_per_step"])
    intensity = pd.to_numeric(runs["energy.co2e_g_per_step"]) / joules * JOULES_PER_KWH
    spent = pd.to_numeric(runs["completion.joules"])
    return {"intensity": intensity, "co2e": (spent * intensity / JOULES_PER_KWH).mask(spent == 0, 0.0)}


def _headline(runs: pd.DataFrame) -> Iterator[str]:
    """What zeroth-order ascent costs and buys over first-order ascent, at the same level of forgetting."""
    for both in side_by_side(runs):
        if both.nothing:
            yield both.nothing
            continue
        metered = not math.isnan(both.ratio(ENERGY))
        what = "energy" if metered else "time"
        cost, peak = both.ratio(ENERGY if metered else TIME), both.ratio(PEAK)
        peaks = f"at {number(peak, PEAK.ratio)} times {FIRST}'s live tensors"
        bought = f"what that buys is a step that peaks {peaks}" if cost > 1 > peak else f"its step peaks {peaks}"
        basis = f" ({both.basis})" if metered else ""
        taken = f"{number(cost, ENERGY.ratio)} times the {what}{basis} of one by {FIRST}"
        share, _ = both.means(ENERGY_OF_RETRAIN if metered else TIME_OF_RETRAIN)
        yield (
            f"{both.where}: an erasure by {ZEROTH} takes {taken} to the same level of forgetting; {bought}."
            f"{_against_retrain(share, what)}"
        )


def _against_retrain(share: float, what: str) -> str:
    if math.isnan(share):
        return ""
    than = "less" if share > 1 else "more"
    return f" Retraining from scratch takes {than}: {ZEROTH} takes {number(share, '.2g')} times its {what}."


def _evidence(done: pd.DataFrame) -> Iterator[str]:
    """What was shown about forgetting, by setting: the ascents beside Retrain, at completion."""
    for setting, cases in done.groupby("setting", sort=False):
        runs = {arm: cases[cases["method"] == arm] for arm in (ZEROTH, FIRST, RETRAIN)}
        said = [*_attack(runs), *_relearning(runs)]
        if said:
            yield f"{setting}: {'; '.join(said)}."


def _attack(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    taken = _means(runs, "quality.mia")
    shares = ", ".join(f"{number(mean, '.1f')} % after {arm}" for arm, mean in taken.items())
    if shares:
        yield f"of the forget set, an attacker takes {shares} for samples that the model has not seen"


def _relearning(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    back = _means(runs, "quality.relearn_steps")
    if back.get(RETRAIN) == 0:
        yield "relearning shows nothing here, as a model that never saw the samples knows nearly all of them"
    elif back:
        steps = ", ".join(f"{number(mean, '.0f')} after {arm}" for arm, mean in back.items())
        yield f"as many steps of fine-tuning bring the forget set back: {steps}"


def _means(runs: dict[str, pd.DataFrame], column: str) -> dict[str, float]:
    """By arm, where there is one."""
    means = {arm: float(pd.to_numeric(of_arm[column]).mean()) for arm, of_arm in runs.items()}
    return {arm: mean for arm, mean in means.items() if not math.isnan(mean)}


def _requests(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The figures of every run, unrounded."""
    columns = {
        "seed": "seed",
        "outcome": "outcome",
        "complete": "completion.reached",
        "learning_rate": "rate.lr",
        "eps": "rate.eps",
        "samples": "erased.samples",
        "samples_digest": "erased.digest",
        "energy_j": "completion.joules",
        "energy_basis": "energy.basis",
        "energy_window_s": "energy.window_s",
        "grid_gco2e_per_kwh": "intensity",
        "country": "energy.country",
        "sci_gco2e": "co2e",
        "time_s": "completion.seconds",
        "energy_over_retrain": "completion.joules share",
        "time_over_retrain": "completion.seconds share",
        "peak_bytes": "memory.tensor_peak_bytes",
        "forget_error_percent": "quality.ua",
        "membership_inference_percent": "quality.mia",
        "membership_inference_auc": "quality.mia_auc",
        "relearn_steps": "quality.relearn_steps",
        "retain_accuracy_percent": "quality.ra",
        "test_accuracy_percent": "quality.ta",
    }
    for setting, arm, cases in by_arm(runs):
        for _, case in cases.iterrows():
            figures = {name: _plain(case[column]) for name, column in columns.items()}
            yield {"setting": setting, "arm": arm, **figures}


def _plain(value: Any) -> Any:
    """As JSON has it: what is not known is None."""
    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
