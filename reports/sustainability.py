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
from reports.budgets import smallest_budget
from reports.claims import FIRST, MATCHED, ZEROTH
from reports.load import MIB, Results
from reports.model_card import ModelCard, model_cards
from reports.shares import by_arm, completed, completed_text, pairs, scope, unpaired, with_shares
from reports.style import arm_style
from reports.table import MISSING, Table, distinct, number, spread

SHARES = {"cpu": "processor", "ram": "memory", "gpu": "accelerator"}
JOULES_PER_KWH = 3.6e6
REQUESTS = 1000
NO_GUARANTEE = (
    "This is approximate unlearning: the figures say what was measured about these models, and are no legal guarantee "
    "that an influence of the data is gone."
)
ESTIMATED = (
    "Energy is an estimate: processor time times a table power plus a fixed guess for the memory. It is proportional "
    "to the time and adds nothing to it; where the two differ as shares of Retrain's, that is the noise of two passes."
)
NO_MAKING = "M, the emissions of making the hardware, is not included."
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
        tables: in the order of reading.
        notes: what holds for all figures.
        model_cards: one a setting; empty where no energy is known.
        data: the figures behind it, unrounded.
    """

    headline: tuple[str, ...]
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
    tables = (_request_table(runs), _thousand_table(runs), _basis_table(done), _search_table(run), _erased_table(runs))
    return Statement(
        tuple(_headline(runs)),
        tuple(table for table in tables if table is not None),
        tuple(_notes(runs, done, run)),
        tuple(model_cards(done, run)),
        {"requests": list(_requests(runs)), "search": [cost.model_dump() for cost in run.tuning]},
    )


def _notes(runs: pd.DataFrame, done: pd.DataFrame, run: Run) -> Iterator[str]:
    if done.empty:
        yield NOTHING_COMPLETED
    elif pd.to_numeric(done["completion.joules"]).isna().all():
        yield NOT_METERED
    else:
        shares = [f"energy.{part}.basis" for part in SHARES]
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
    for setting, cases in runs.groupby("setting", sort=False):
        ours, theirs = pairs(cases)
        if ours.empty:
            why = unpaired(cases)
            if why is not None:
                yield why
            continue
        energy, time, peak = (_ratio(ours, theirs, name) for name in ("completion.joules", "completion.seconds", "mib"))
        basis = distinct(ours["energy.basis"])
        words = f"energy ({basis})" if not math.isnan(energy) else "time"
        cost = time if math.isnan(energy) else energy
        peaks = f"at {number(100 * peak, '.0f')} % of {FIRST}'s live tensors"
        bought = f"what that buys is a step that peaks {peaks}" if cost > 1 > peak else f"its step peaks {peaks}"
        taken = f"{number(cost, '.2g')} times the {words} of one by {FIRST}"
        where = f"{setting}{scope(cases, ours)}"
        yield f"{where}: an erasure by {ZEROTH} takes {taken} to the same level of forgetting; {bought}."


def _ratio(ours: pd.DataFrame, theirs: pd.DataFrame, column: str) -> float:
    whole = float(pd.to_numeric(theirs[column]).mean())
    return float(pd.to_numeric(ours[column]).mean()) / whole if whole > 0 else math.nan


def _request_table(runs: pd.DataFrame) -> Table:
    rows = []
    for setting, arm, cases in by_arm(runs):
        done = completed(cases)
        tensors, process = (pd.to_numeric(cases[f"memory.{name}_peak_bytes"]).max() for name in ("tensor", "process"))
        forecast = " (forecast)" if (cases["memory.tensor_basis"] == "forecast").any() else ""
        rows.append(
            (
                setting,
                arm,
                _rate(cases),
                completed_text(cases),
                spread(done, "completion.joules", ".2g"),
                distinct(done["energy.basis"]) or MISSING,
                spread(done.assign(mg=1000 * done["co2e"]), "mg", ".2g"),
                spread(done, "completion.seconds", ".2g"),
                spread(done, "completion.joules share", ".2g"),
                spread(done, "completion.seconds share", ".2g"),
                number(tensors / MIB, ".2f") + forecast,
                number(process / MIB, ".0f"),
                MISSING if math.isnan(tensors) else smallest_budget(tensors),
            )
        )
    columns = (
        "setting",
        "arm",
        "run with",
        "complete",
        "energy, J",
        "basis",
        "SCI, mg CO2e",
        "time, s",
        "energy over Retrain's",
        "time over Retrain's",
        "live tensors, MiB",
        "process, MiB",
        "live tensors fit into",
    )
    note = (
        "Up to completion: mean, and least to greatest over the seeds that completed. SCI is (E x I) + M per R with R "
        f"= one erasure request (ISO/IEC 21031). {NO_MAKING} fo-ga-matched runs with zo-ga's rate times the root of "
        "the number of parameters. Two ledgers of a step's peak: live tensors, what the arm itself needs; and the "
        "process, Python and torch included, which is what this implementation needs."
    )
    return Table("One erasure request", note, columns, tuple(rows))


def _rate(cases: pd.DataFrame) -> str:
    """Learning rate, and size of the perturbation where there is one."""
    rates = cases[["rate.lr", "rate.eps"]].drop_duplicates().dropna(how="all").itertuples(index=False)
    words = (f"lr {lr:g}" + ("" if pd.isna(eps) else f", eps {eps:g}") for lr, eps in rates)
    return " or ".join(words) or MISSING


def _thousand_table(runs: pd.DataFrame) -> Table:
    rows = []
    for setting, arm, cases in by_arm(runs):
        done = completed(cases)
        scaled = {
            "kwh": REQUESTS * pd.to_numeric(done["completion.joules"]) / JOULES_PER_KWH,
            "grams": REQUESTS * done["co2e"],
            "hours": REQUESTS * pd.to_numeric(done["completion.seconds"]) / 3600,
        }
        cells = (spread(done.assign(**scaled), name, ".2g") for name in scaled)
        rows.append((setting, arm, completed_text(cases), *cells))
    note = (
        "A thousand times one request, one after the other: mean, and least to greatest over the seeds that completed. "
        "Attempts that did not complete are in none of it, and the search for a learning rate comes once."
    )
    columns = ("setting", "arm", "complete", "energy, kWh", "CO2e, g", "time, h")
    return Table("A thousand erasure requests", note, columns, tuple(rows))


def _basis_table(done: pd.DataFrame) -> Table | None:
    """Where the figures of energy come from."""
    known = done.dropna(subset=["energy.joules_per_step"])
    rows = []
    for setting, arm, cases in by_arm(known):
        parts = (_share(cases, name) for name in SHARES)
        window = spread(cases, "energy.window_s", ".1f")
        grid = f"{cases['intensity'].mean():.0f} ({distinct(cases['energy.country'])})"
        rows.append((setting, arm, distinct(cases["energy.basis"]), *parts, window, grid))
    heads = tuple(f"{name}, J" for name in SHARES.values())
    columns = ("setting", "arm", "basis", *heads, "window, s", "grid, g CO2e/kWh")
    note = (
        "Of one request: mean over the seeds, with basis and boundary (process: what this process used; machine: all "
        "of it). The window is how long was metered, the erasure repeated to fill it."
    )
    return Table("Where the energy figures come from", note, columns, tuple(rows)) if rows else None


def _share(cases: pd.DataFrame, name: str) -> str:
    column = f"energy.{name}"
    known = cases.dropna(subset=[f"{column}.joules_per_step"])
    if known.empty:
        return MISSING
    joules = (pd.to_numeric(known[f"{column}.joules_per_step"]) * pd.to_numeric(known["completion.step"])).mean()
    how = ", ".join(dict.fromkeys([*known[f"{column}.basis"].unique(), *known[f"{column}.boundary"].unique()]))
    return f"{number(joules, '.2g')} ({how})"


def _search_table(run: Run) -> Table | None:
    rows = tuple(
        (
            cost.method,
            number(cost.seconds, ".3g"),
            f"{cost.forward_equivalents:.0f}",
            MISSING if cost.joules is None else number(cost.joules, ".2g"),
            cost.basis or MISSING,
        )
        for cost in run.tuning
    )
    note = (
        "What finding the learning rates took, all scenarios together: once for a kind of model and data, and in none "
        "of the figures above. It includes the evaluations of the pilot runs."
    )
    columns = ("arm", "time, s", "forward-equivalents", "energy, J", "basis")
    return Table("The search for learning rates", note, columns, rows) if rows else None


def _erased_table(runs: pd.DataFrame) -> Table | None:
    """Which samples were to be forgotten, by seed."""
    known = runs.dropna(subset=["erased.samples"]).drop_duplicates(["setting", "seed"])
    rows = tuple(
        (
            str(case["setting"]),
            str(case["seed"]),
            f"{case['erased.samples']:.0f} of {case['erased.of']:.0f}",
            str(case["erased.digest"]),
        )
        for _, case in known.iterrows()
    )
    note = (
        "The hash is SHA-256 over the fingerprint of the data and the samples' indices in the training data, "
        "ascending, joined by line feeds."
    )
    return Table("What was to be forgotten", note, ("setting", "seed", "samples", "hash"), rows) if rows else None


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
