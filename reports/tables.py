"""The tables beside the figures: numbers as text, rounded once, here."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from reports.load import MIB, Results
from reports.style import arm_style

MISSING = "n/a"
LEDGERS = (
    "Three ledgers of peak memory, never to be divided by one another: live tensors, exact; what torch's allocator "
    "handed out, kernel scratch included; what the operating system saw of a process, Python and torch included."
)
FORECAST = "A peak marked as a forecast was not measured: it follows from the shapes of the tensors alone."
YARDSTICK = "zo-ga"


@dataclass(frozen=True)
class Table:
    """A table ready to be shown: `rows` are text, as many cells as `columns`."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def step_table(results: Results) -> Table | None:
    """Memory, time and energy of one step, a row a case."""
    steps = results.of_kind("step")
    if steps.empty:
        return None
    arm = {name: place for place, name in enumerate(arm_style(steps["method"]).order)}
    steps = steps.assign(arm=steps["method"].map(arm)).sort_values(["model", "batch_size", "arm"])
    columns: dict[str, Callable[[pd.Series], str]] = {
        "model": lambda row: row["model"],
        "batch": lambda row: f"{row['batch_size']}",
        "arm": lambda row: row["method"],
        "outcome": lambda row: row["outcome"],
        "peak of live tensors, MiB": _tensor_peak,
        "of the allocator, MiB": lambda row: _peak(row, "allocator"),
        "of the process, MiB": lambda row: _peak(row, "process"),
        "time, ms": lambda row: _number(1000 * _value(row, "time.step_s"), ".2f"),
        "times two forwards": _times_two_forwards,
        "energy, J": lambda row: _number(_value(row, "energy.joules_per_step"), ".3g"),
        "basis": lambda row: row["energy.basis"] if isinstance(row["energy.basis"], str) else MISSING,
        "CO2e, mg": lambda row: _number(1000 * _value(row, "energy.co2e_g_per_step"), ".3g"),
    }
    country = " and ".join(steps["energy.country"].dropna().unique())
    emissions = f"Emissions for the grid of {country}." if country else ""
    note = f"{LEDGERS} Times two forwards: median and quartiles of the paired ratios. {emissions}"
    rows = tuple(tuple(cell(row) for cell in columns.values()) for _, row in steps.iterrows())
    return Table("One step", note, tuple(columns), rows)


def time_comparison(results: Results) -> Table | None:
    """The time of each arm's step as a multiple of zo-ga's, a row a model and batch size."""
    steps = results.of_kind("step").dropna(subset=["time.times_two_forwards"])
    if YARDSTICK not in set(steps["method"]):
        return None
    arms = [name for name in arm_style(steps["method"]).order if name != YARDSTICK]
    rows = []
    for where, by_arm in _by_model_and_batch(steps):
        if YARDSTICK in by_arm:
            taken = {arm: _value(row, "time.times_two_forwards") for arm, row in by_arm.items()}
            ratios = (taken.get(arm, math.nan) / taken[YARDSTICK] for arm in arms)
            rows.append((*where, _times_two_forwards(by_arm[YARDSTICK]), *(_number(ratio, ".2f") for ratio in ratios)))
    note = (
        f"Over two forwards: median and quartiles of the paired ratios of {YARDSTICK}. The other columns: the arm's "
        f"median over two forwards, divided by {YARDSTICK}'s; above 1 it takes longer."
    )
    columns = ("model", "batch", f"{YARDSTICK} over two forwards", *(f"{arm} over {YARDSTICK}" for arm in arms))
    return Table(f"Time of a step, against {YARDSTICK}", note, columns, tuple(rows))


def memory_comparison(results: Results) -> Table | None:
    """Each arm's peak, a row a model and batch size."""
    steps = results.of_kind("step").dropna(subset=["memory.tensor_peak_bytes"])
    if steps.empty:
        return None
    arms = arm_style(steps["method"]).order
    rows = []
    for where, by_arm in _by_model_and_batch(steps):
        peaks = {arm: _tensor_peak(row) for arm, row in by_arm.items()}
        rows.append((*where, *(peaks.get(arm, MISSING) for arm in arms)))
    note = FORECAST if (steps["memory.tensor_basis"] == "forecast").any() else ""
    return Table("Peak of live tensors in a step, MiB", note, ("model", "batch", *arms), tuple(rows))


def quality_table(results: Results) -> Table | None:
    """What unlearning did and cost, mean and range over seeds, against Retrain."""
    runs = results.of_kind("unlearning")
    if runs.empty:
        return None
    order = arm_style(runs["method"]).order
    summaries = [
        _summary(scenario, method, runs[(runs["scenario"] == scenario) & (runs["method"] == method)])
        for scenario in runs["scenario"].unique()
        for method in order
    ]
    rows = [row for row in summaries if row is not None]
    note = (
        "At T*, the first evaluation at which forget accuracy is at or below chance (class) or Retrain's (random): "
        "mean, and least to greatest over the seeds that completed (memory: over all). UA, RA, TA and MIA in "
        "percent. MIA is the share of the forget set that an attacker takes for samples the model has never seen; for "
        "UA and MIA, too, the target is Retrain's value. ToW is 1 for Retrain itself."
    )
    return Table(
        "Quality and cost at completion, against Retrain",
        note,
        tuple(rows[0]),
        tuple(tuple(row.values()) for row in rows),
    )


def machine_table(results: Results) -> Table:
    """Machine, versions, commit and command, a column a run."""
    facts: dict[str, list[str]] = {}
    for run in results.runs:
        machine = run.machine
        entries = {
            "profile": run.profile,
            "command": run.command,
            "started": run.started,
            "commit": _commit(run.commit, run.dirty),
            "processor": f"{machine.processor}, {machine.cores} cores",
            "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
            "accelerator": " with driver ".join(filter(None, (machine.accelerator, machine.driver))) or "none",
            "system": ", ".join(filter(None, (machine.system, machine.libc))),
            "virtual machine": _yes_or_no(machine.virtual_machine),
            "container": _yes_or_no(machine.container),
            "energy counter (RAPL)": machine.rapl or "not recorded",
            "Python": machine.python,
            **machine.versions,
        }
        for name, value in entries.items():
            facts.setdefault(name, []).append(value)
    rows = tuple((name, *values) for name, values in facts.items())
    return Table("Where it comes from", "", ("", *(f"run {index + 1}" for index in range(len(results.runs)))), rows)


def _summary(scenario: str, method: str, runs: pd.DataFrame) -> dict[str, str] | None:
    if runs.empty:
        return None
    done = runs[runs["completion.reached"] == True]  # noqa: E712
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in runs["outcome"].value_counts().items())
    return {
        "scenario": scenario,
        "arm": method,
        "completed": f"{len(done)} of {len(runs)}",
        "outcome": outcomes,
        "UA": _spread(done, "quality.ua", ".1f"),
        "RA": _spread(done, "quality.ra", ".1f"),
        "TA": _spread(done, "quality.ta", ".1f"),
        "MIA": _spread(done, "quality.mia", ".1f"),
        "ToW": _spread(done, "quality.tow", ".3f"),
        "steps to T*": _spread(done, "completion.step", ".0f"),
        "time, s": _spread(done, "completion.seconds", ".3g"),
        "forwards": _spread(done, "completion.forward_equivalents", ".0f"),
        "energy, J": _spread(done, "completion.joules", ".3g"),
        "basis": " and ".join(done["energy.basis"].dropna().unique()) or MISSING,
        "peak of live tensors, MiB": _spread(runs.assign(mib=runs["memory.tensor_peak_bytes"] / MIB), "mib", ".2f"),
    }


def _spread(frame: pd.DataFrame, column: str, form: str) -> str:
    """Mean and range over the rows that have a value."""
    values = frame[column].dropna().astype(float)
    if values.empty:
        return MISSING
    mean, low, high = (format(value, form) for value in (values.mean(), values.min(), values.max()))
    return mean if low == high else f"{mean} ({low} to {high})"


def _by_model_and_batch(steps: pd.DataFrame) -> Iterator[tuple[tuple[str, str], dict[str, pd.Series]]]:
    """(model, batch size) and the case of each arm there."""
    for (model, batch), cases in steps.groupby(["model", "batch_size"]):
        yield (str(model), str(batch)), {case["method"]: case for _, case in cases.iterrows()}


def _tensor_peak(row: pd.Series) -> str:
    """The peak of live tensors in MiB, and whether it is a forecast."""
    return _peak(row, "tensor") + (" (forecast)" if row["memory.tensor_basis"] == "forecast" else "")


def _peak(row: pd.Series, ledger: str) -> str:
    """A ledger's peak in MiB, and whether it was only sampled."""
    sampled = ledger == "allocator" and row["memory.allocator_basis"] == "sampled"
    peak = _number(_value(row, f"memory.{ledger}_peak_bytes") / MIB, ".2f")
    return f"{peak} (sampled)" if sampled and peak != MISSING else peak


def _times_two_forwards(row: pd.Series) -> str:
    median, low, high = (_value(row, f"time.times_two_forwards{suffix}") for suffix in ("", "_q1", "_q3"))
    return MISSING if math.isnan(median) else f"{median:.2f} ({low:.2f} to {high:.2f})"


def _value(row: pd.Series, column: str) -> float:
    value = row[column]
    return float("nan") if value is None else float(value)


def _number(value: float, form: str) -> str:
    return MISSING if pd.isna(value) else format(value, form)


def _yes_or_no(answer: bool | None) -> str:
    return {True: "yes", False: "no", None: "not known"}[answer]


def _commit(commit: str | None, dirty: bool | None) -> str:
    if commit is None:
        return "not a git checkout"
    return commit[:12] + (" with uncommitted changes" if dirty else "")
