"""The sustainability statement: what one erasure request costs, against what, and what was shown about it.

Per request: energy E, and emissions as the Software Carbon Intensity ((E x I) + M) per R (ISO/IEC 21031:2024) with R
one erasure request, I the carbon intensity of the grid, and M, the share of making the hardware, not included.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.record import Run
from reports.budgets import smallest_budget
from reports.claims import FIRST, ZEROTH
from reports.load import MIB, Results
from reports.shares import completed, with_shares
from reports.style import arm_style
from reports.summary import times
from reports.table import MISSING, Table, number, spread

SHARES = {"cpu": "processor", "ram": "memory", "gpu": "accelerator"}
JOULES_PER_KWH = 3.6e6
REQUESTS = 1000
SOURCE = "zo-unlearning-bench, by CodeCarbon"
NO_GUARANTEE = (
    "This is approximate unlearning: the figures say what was measured about these models, and are no legal guarantee "
    "that an influence of the data is gone."
)
ESTIMATED = (
    "Energy is an estimate: processor time times a table power plus a fixed guess for the memory. It is proportional "
    "to the time and adds nothing to it."
)
NO_MAKING = "M, the emissions of making the hardware, is not included."


@dataclass(frozen=True)
class Statement:
    """What the runs of one machine and device say about an erasure request.

    Attributes:
        headline: the first sentences, one a setting: zeroth- against first-order ascent.
        tables: in the order of reading.
        notes: what holds for all figures.
        model_card: YAML for a model card's head, as Hugging Face reads it; empty where no energy is known.
        data: the figures behind it, unrounded.
    """

    headline: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    model_card: str
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
    estimated = (done["energy.basis"] == "estimated").any()
    known = pd.to_numeric(done["completion.joules"]).notna().any()
    notes = [
        *([ESTIMATED] if estimated and known else []),
        *([] if known else ["Energy was not metered in this run, so there are no figures of energy and emissions."]),
        NO_MAKING,
        NO_GUARANTEE,
    ]
    return Statement(
        tuple(_headline(done)),
        tuple(table for table in tables if table is not None),
        tuple(notes),
        _model_card(done, run),
        {"requests": list(_requests(runs)), "search": [cost.model_dump() for cost in run.tuning]},
    )


def _emissions(runs: pd.DataFrame) -> dict[str, pd.Series]:
    """`intensity`, in grams of CO2e a kWh, and `co2e`, in grams, of one request."""
    joules = pd.to_numeric(runs["energy.joules_per_step"])
    intensity = pd.to_numeric(runs["energy.co2e_g_per_step"]) / joules * JOULES_PER_KWH
    return {"intensity": intensity, "co2e": pd.to_numeric(runs["completion.joules"]) * intensity / JOULES_PER_KWH}


def _by_arm(runs: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for setting, of_setting in runs.groupby("setting", sort=False):
        for arm in arm_style(of_setting["method"]).order:
            yield str(setting), arm, of_setting[of_setting["method"] == arm]


def _headline(done: pd.DataFrame) -> Iterator[str]:
    """What zeroth-order ascent costs and buys over first-order ascent, at the same level of forgetting."""
    for setting, cases in done.groupby("setting", sort=False):
        ours, theirs = (cases[cases["method"] == arm] for arm in (ZEROTH, FIRST))
        if ours.empty or theirs.empty:
            continue
        cost = _ratio(ours, theirs, "completion.joules")
        measure = "energy" if not math.isnan(cost) else "time"
        cost = _ratio(ours, theirs, "completion.seconds") if math.isnan(cost) else cost
        peak = _ratio(ours, theirs, "mib")
        if math.isnan(cost) or math.isnan(peak):
            continue
        bought = (
            f"what that buys is a peak of {peak:.0%} of {FIRST}'s memory"
            if cost > 1 > peak
            else f"its peak is {peak:.0%} of {FIRST}'s memory"
        )
        yield (
            f"{setting}: an erasure by {ZEROTH} takes {times(cost)} {measure} than one by {FIRST} to the same level "
            f"of forgetting; {bought}."
        )


def _ratio(ours: pd.DataFrame, theirs: pd.DataFrame, column: str) -> float:
    whole = float(pd.to_numeric(theirs[column]).mean())
    return float(pd.to_numeric(ours[column]).mean()) / whole if whole else math.nan


def _request_table(runs: pd.DataFrame) -> Table:
    rows = []
    for setting, arm, cases in _by_arm(runs):
        done = completed(cases)
        peak = pd.to_numeric(cases["memory.tensor_peak_bytes"]).max()
        rows.append(
            (
                setting,
                arm,
                _rate(cases),
                f"{len(done)} of {len(cases)}",
                spread(done, "completion.joules", ".2g"),
                spread(done.assign(mg=1000 * done["co2e"]), "mg", ".2g"),
                spread(done, "completion.seconds", ".2g"),
                spread(done, "completion.joules share", ".2g"),
                spread(done, "completion.seconds share", ".2g"),
                number(peak / MIB, ".2f"),
                MISSING if math.isnan(peak) else smallest_budget(peak),
            )
        )
    columns = (
        "setting",
        "arm",
        "run with",
        "complete",
        "energy, J",
        "SCI, mg CO2e",
        "time, s",
        "energy over Retrain's",
        "time over Retrain's",
        "peak, MiB",
        "fits into",
    )
    note = (
        "Up to completion: mean, and least to greatest over the seeds that completed. SCI is (E x I) + M per R with R "
        f"= one erasure request (ISO/IEC 21031). {NO_MAKING} The peak is that of live tensors in a step; the process "
        "around it takes more."
    )
    return Table("One erasure request", note, columns, tuple(rows))


def _rate(cases: pd.DataFrame) -> str:
    """Learning rate, and size of the perturbation where there is one."""
    rates = cases[["rate.lr", "rate.eps"]].drop_duplicates().dropna(how="all").itertuples(index=False)
    words = (f"lr {lr:g}" + ("" if pd.isna(eps) else f", eps {eps:g}") for lr, eps in rates)
    return " or ".join(words) or MISSING


def _thousand_table(runs: pd.DataFrame) -> Table:
    rows = []
    for setting, arm, cases in _by_arm(runs):
        done = completed(cases)
        joules, grams, seconds = (
            pd.to_numeric(done[name]).mean() * REQUESTS for name in ("completion.joules", "co2e", "completion.seconds")
        )
        cells = (number(joules / JOULES_PER_KWH, ".2g"), number(grams, ".2g"), number(seconds / 3600, ".2g"))
        rows.append((setting, arm, *cells))
    note = "A thousand times the mean of one request, one after the other; the search for a learning rate comes once."
    columns = ("setting", "arm", "energy, kWh", "CO2e, g", "time, h")
    return Table("A thousand erasure requests", note, columns, tuple(rows))


def _basis_table(done: pd.DataFrame) -> Table | None:
    """Where the figures of energy come from."""
    known = done.dropna(subset=["energy.joules_per_step"])
    rows = []
    for setting, arm, cases in _by_arm(known):
        parts = (_share(cases, name) for name in SHARES)
        window = spread(cases, "energy.window_s", ".1f")
        grid = f"{cases['intensity'].mean():.0f} ({' and '.join(cases['energy.country'].unique())})"
        rows.append((setting, arm, " and ".join(cases["energy.basis"].unique()), *parts, window, grid))
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
    return f"{joules:.2g} ({how})"


def _search_table(run: Run) -> Table | None:
    rows = tuple(
        (
            cost.method,
            f"{cost.seconds:.3g}",
            f"{cost.forward_equivalents:.0f}",
            MISSING if cost.joules is None else f"{cost.joules:.2g}",
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
    for setting, arm, cases in _by_arm(runs):
        for _, case in cases.iterrows():
            figures = {name: _plain(case[column]) for name, column in columns.items()}
            yield {"setting": setting, "arm": arm, **figures}


def _plain(value: Any) -> Any:
    """As JSON has it: what is not known is None."""
    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _model_card(done: pd.DataFrame, run: Run) -> str:
    """The block for a model that was unlearned by zeroth-order ascent, else by whatever arm was run first."""
    known = done[done["co2e"].notna() & (done["method"] != "retrain")]
    if known.empty:
        return ""
    arm = ZEROTH if ZEROTH in set(known["method"]) else str(known["method"].iloc[0])
    blocks = []
    for setting, cases in known[known["method"] == arm].groupby("setting", sort=False):
        country = " and ".join(cases["energy.country"].unique())
        hardware = run.machine.accelerator if str(cases["device"].iloc[0]) != "cpu" else run.machine.processor
        blocks.append(
            f"# {setting}, {arm}, one erasure request\n"
            "co2_eq_emissions:\n"
            f"  emissions: {cases['co2e'].mean():.2g}  # grams\n"
            f"  source: {_quoted(SOURCE)}\n"
            "  training_type: fine-tuning\n"
            f"  geographical_location: {_quoted(country)}\n"
            f"  hardware_used: {_quoted(str(hardware))}\n"
        )
    return "\n".join(blocks)


def _quoted(text: str) -> str:
    """A YAML string: JSON's are."""
    return json.dumps(text)
