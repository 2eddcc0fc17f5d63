"""The tables of the sustainability statement: one request, a thousand, where the energy comes from, search."""

from collections.abc import Iterator

import pandas as pd

from reports.data.arms import MATCHED, ZEROTH
from reports.data.device_budgets import BUDGETS, smallest_budget
from reports.data.erasures import JOULES_PER_KWH
from reports.data.load import MIB
from reports.data.part import Part
from reports.data.words.glossary import RETRAIN_BATCH, distinct
from reports.tables.table import MISSING, Table, number, spread

ACCOUNTED = {"cpu": "processor", "ram": "memory", "gpu": "accelerator"}
REQUESTS = 1000
RATES = {
    "rate.lr": "learning rate",
    "rate.eps": "size of the perturbation",
    "batch_size": "samples a step",
    "rate.tail": "of the network",
}
NO_MAKING = "M, the emissions of making the hardware, is not included."


def request_table(part: Part) -> Table:
    """What a request costs, by setting and arm, against Retrain and against a device's budget."""
    basis = distinct(part.done["energy.basis"])
    columns = {
        f"energy, J ({basis})" if basis else "energy, J": "completion.joules",
        "SCI, mg CO2e": "co2e",
        "time, s": "completion.seconds",
        "energy over Retrain's": "completion.joules share",
        "time over Retrain's": "completion.seconds share",
    }
    rows = []
    for arm in part.arms:
        figures = {column: arm.done[column] for column in columns.values()}
        figures["co2e"] = 1000 * figures["co2e"]
        cells = (spread(values, ".2g") for values in figures.values())
        rows.append((arm.setting, arm.name, arm.complete, *cells, *_peaks(arm.runs)))
    heads = (
        "setting",
        "arm",
        "complete",
        *columns,
        "live tensors, MiB",
        "tensors fit into",
        "process, MiB",
        "process fits into",
    )
    note = (
        "Up to completion: mean, and least to greatest over the seeds that completed. SCI is (E x I) + M per R with R "
        f"= one erasure request (ISO/IEC 21031). {NO_MAKING} Two ledgers of a step's peak, the greatest over all "
        f"seeds, each with the smallest of {', '.join(BUDGETS)} that holds it: live tensors, what the arm itself "
        f"needs; and the process, Python and torch included, which is what this implementation needs. {RETRAIN_BATCH}"
    )
    return Table("One erasure request", note, heads, tuple(rows))


def _peaks(cases: pd.DataFrame) -> Iterator[str]:
    """Of live tensors and of the process, each with the smallest budget that holds it."""
    for ledger, form in (("tensor", ".2f"), ("process", ".0f")):
        peak = pd.to_numeric(cases[f"memory.{ledger}_peak_bytes"]).max()
        forecast = ledger == "tensor" and (cases["memory.tensor_basis"] == "forecast").any()
        yield number(peak / MIB, form) + (" (forecast)" if forecast else "")
        yield MISSING if pd.isna(peak) else smallest_budget(peak)


def rate_table(part: Part) -> Table | None:
    """What each arm was run with; None where that is not on record."""
    known = [arm for arm in part.arms if arm.runs["rate.lr"].notna().any()]
    rows = [
        (
            arm.setting,
            arm.arm,
            *(_each(arm.runs[name]) for name in RATES),
        )
        for arm in known
    ]
    matched = f"{MATCHED} runs with {ZEROTH}'s rate times the root of the number of parameters. "
    training = "; ".join(part.quoted.training)
    trained = f"Models that are not from files are trained by the profile's [unlearning.training] ({training}). "
    note = (
        f"{trained if training else ''}{matched if any(arm.arm == MATCHED for arm in known) else ''}"
        "Everything else is in the profile, which stands in this statement as it was read, and in the options of the "
        "command, which is named with the origin. The code of a model or an arm that does not come with the suite is "
        "not on record."
    )
    columns = ("setting", "arm", *RATES.values())
    return Table("What each arm was run with", note, columns, tuple(rows)) if rows else None


def _each(values: pd.Series) -> str:
    """The different values of a column."""
    known = values.dropna().unique()
    return " or ".join(value if isinstance(value, str) else f"{value:g}" for value in known) or MISSING


def thousand_table(part: Part) -> Table:
    """A thousand times that, in the units of such figures."""
    rows = []
    for arm in part.arms:
        kwh = REQUESTS * pd.to_numeric(arm.done["completion.joules"]) / JOULES_PER_KWH
        grams = REQUESTS * arm.done["co2e"]
        hours = REQUESTS * pd.to_numeric(arm.done["completion.seconds"]) / 3600
        cells = (spread(values, ".2g") for values in (kwh, grams, hours))
        rows.append((arm.setting, arm.name, arm.complete, *cells))
    note = (
        "The figures of one request times a thousand: mean, and least to greatest over the seeds that completed. To "
        "erase again from a model that was changed already was not measured. Attempts that did not complete are in "
        "none of it, and the search for a learning rate comes once."
    )
    columns = ("setting", "arm", "complete", "energy, kWh", "CO2e, g", "time, h")
    return Table("A thousand erasure requests", note, columns, tuple(rows))


def basis_table(part: Part) -> Table | None:
    """Where the figures of energy come from; None where there are none."""
    rows = []
    for arm in part.arms:
        known = arm.done.dropna(subset=["energy.joules_per_step"])
        if known.empty:
            continue
        shares = (_share(known, name) for name in ACCOUNTED)
        window = spread(known["energy.window_s"], ".1f")
        grid = f"{number(known['intensity'].mean(), '.0f')} ({distinct(known['energy.country'])})"
        rows.append((arm.setting, arm.name, distinct(known["energy.basis"]), *shares, window, grid))
    heads = tuple(f"{name}, J" for name in ACCOUNTED.values())
    columns = ("setting", "arm", "basis", *heads, "window, s", "grid, g CO2e/kWh")
    note = (
        "Of one request: mean over the seeds, with basis and boundary (process: what this process used; machine: all "
        "of it). The window is how long was metered, the erasure repeated to fill it."
    )
    return Table("Where the energy figures come from", note, columns, tuple(rows)) if rows else None


def _share(cases: pd.DataFrame, name: str) -> str:
    per_step, basis, boundary = (
        cases[f"energy.{name}.{figure}"] for figure in ("joules_per_step", "basis", "boundary")
    )
    if per_step.isna().all():
        return MISSING
    joules = (pd.to_numeric(per_step) * pd.to_numeric(cases["completion.step"])).mean()
    how = ", ".join(dict.fromkeys([*basis.dropna(), *boundary.dropna()]))
    return f"{number(joules, '.2g')} ({how})"


def search_table(part: Part) -> Table | None:
    """What finding the learning rates took; None where nothing is on record."""
    arms = {arm.arm for arm in part.arms}
    rows = tuple(
        (
            cost.method,
            number(cost.seconds, ".3g"),
            f"{cost.sample_forwards:,.0f}",
            MISSING if cost.joules is None else number(cost.joules, ".2g"),
            cost.basis or MISSING,
        )
        for cost in part.run.tuning
        if cost.method in arms
    )
    note = (
        "What finding the learning rates took, all scenarios together: once for a kind of model and data, and in none "
        "of the figures above. It includes the evaluations of the pilot runs."
    )
    columns = ("arm", "time, s", "sample-forwards", "energy, J", "basis")
    return Table("The search for learning rates", note, columns, rows) if rows else None
