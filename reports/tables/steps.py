"""The tables of single steps."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd

from reports.data.arms import FIRST, ZEROTH, places
from reports.data.load import CATEGORY, MIB, categories, ratio, value_of
from reports.data.part import Part
from reports.data.words.glossary import LEDGER_WORDS, distinct, image_sizes
from reports.tables.table import MISSING, Table, number

THREE_LEDGERS = (
    "Three ledgers of peak memory, never to be divided by one another: live tensors, exact; what torch's allocator "
    "handed out, kernel scratch included; what the operating system saw of a process, Python and torch included."
)
BARS = "The bars of step time"
AGAINST_FLOAT32 = {
    "memory.tensor_peak_bytes": "peak of live tensors",
    "memory.allocator_peak_bytes": "of the allocator",
    "memory.process_peak_bytes": "of the process",
    "time.step_s": "time",
    "energy.joules_per_step": "energy",
}
FORECAST = "A peak marked as a forecast was not measured: it follows from the shapes of the tensors alone."


def step_table(part: Part) -> Table | None:
    """Memory, time and energy of one step, a row a case."""
    if part.steps.empty:
        return None
    arm = places(part.steps["method"])
    steps = part.steps.assign(arm=part.steps["method"].map(arm)).sort_values(["model", "batch_size", "arm"])
    columns: dict[str, Callable[[pd.Series], str]] = {
        "model": lambda row: row["model"],
        "batch": lambda row: f"{row['batch_size']}",
        "arm": lambda row: row["method"],
        "outcome": lambda row: row["outcome"],
        "peak of live tensors, MiB": _tensor_peak,
        "of the allocator, MiB": lambda row: _peak(row, "allocator"),
        "of the process, MiB": lambda row: _peak(row, "process"),
        "time, ms": lambda row: number(1000 * value_of(row, "time.step_s"), ".2f"),
        "times two forwards": _times_two_forwards,
        "energy, J": lambda row: number(value_of(row, "energy.joules_per_step"), ".3g"),
        "basis": lambda row: MISSING if math.isnan(value_of(row, "energy.joules_per_step")) else row["energy.basis"],
        "CO2e, mg": lambda row: number(1000 * value_of(row, "energy.co2e_g_per_step"), ".3g"),
    }
    country = distinct(steps["energy.country"])
    emissions = f"Emissions for the grid of {country}." if country else ""
    note = f"{_images(part)} {THREE_LEDGERS} Times two forwards: median and quartiles of the paired ratios. {emissions}"
    rows = tuple(tuple(cell(row) for cell in columns.values()) for _, row in steps.iterrows())
    return Table("One step", note, tuple(columns), rows)


def time_comparison(part: Part) -> Table | None:
    """The time of each arm's step as a multiple of zo-ga's, a row a model and batch size."""
    steps = part.steps.dropna(subset=["time.times_two_forwards"])
    if ZEROTH not in set(steps["method"]):
        return None
    arms = [name for name in places(steps["method"]) if name != ZEROTH]
    rows = []
    for where, by_arm in _by_model_and_batch(steps):
        if ZEROTH in by_arm:
            taken = {arm: value_of(row, "time.times_two_forwards") for arm, row in by_arm.items()}
            ratios = (ratio(taken.get(arm, math.nan), taken[ZEROTH]) for arm in arms)
            rows.append((*where, _times_two_forwards(by_arm[ZEROTH]), *(number(each, ".2f") for each in ratios)))
    note = (
        f"{_images(part)} Over two forwards: median and quartiles of the paired ratios of {ZEROTH}. The "
        f"other columns: the arm's median over two forwards, divided by {ZEROTH}'s; above 1 it takes longer."
    )
    columns = ("model", "batch", f"{ZEROTH} over two forwards", *(f"{arm} over {ZEROTH}" for arm in arms))
    return Table(f"Time of a step, against {ZEROTH}", note, columns, tuple(rows))


def bar_table(part: Part) -> Table | None:
    """The bars of step time, and whether they are met; None where the profile has none."""
    rows = tuple(
        (
            test.bar.model,
            str(test.batch_size),
            f"{test.bar.method} over {test.bar.over}",
            number(test.ratio, ".2f"),
            MISSING if test.quartiles is None else "{:.2f} to {:.2f}".format(*test.quartiles),
            test.rule,
            {True: "met", False: "missed", None: MISSING}[test.met],
        )
        for test in part.bars
    )
    note = "Ratios as in the table of times; the bars stood in the profile before the run."
    return Table(BARS, note, ("model", "batch", "time of", "ratio", "quartiles", "bar", ""), rows) if rows else None


def dtype_table(part: Part) -> Table | None:
    """What half precision does to a step, a row a case that was run in float32, too; None where none was."""
    cases = {(row["model"], row["batch_size"], row["method"]): row for _, row in part.steps.iterrows()}
    rows = []
    for (model, batch, arm), row in cases.items():
        exact = cases.get((model.removesuffix(f" {row['dtype']}"), batch, arm))
        if exact is not None and row["dtype"] != "float32":
            shares = (ratio(value_of(row, column), value_of(exact, column)) for column in AGAINST_FLOAT32)
            rows.append((model, str(batch), arm, *(number(share, ".2f") for share in shares)))
    note = (
        f"{_images(part)} The figure in half precision, divided by the same in float32. Passes run in half precision "
        "by torch's autocast; parameters, gradients and noise are float32, and weights are cast anew in each pass."
    )
    columns = ("model", "batch", "arm", *AGAINST_FLOAT32.values())
    return Table("Half precision against float32", note, columns, tuple(rows)) if rows else None


def memory_comparison(part: Part, ledger: str = "tensor") -> Table | None:
    """Each arm's peak in one ledger, a row a model and batch size."""
    peak = _tensor_peak if ledger == "tensor" else partial(_peak, ledger=ledger)
    steps = part.steps.dropna(subset=[f"memory.{ledger}_peak_bytes"])
    forecast = ledger == "tensor" and (steps["memory.tensor_basis"] == "forecast").any()
    note = f"{_images(part)} {FORECAST}" if forecast else _images(part)
    return _comparison(
        steps, f"memory.{ledger}_peak_bytes", f"Peak of {LEDGER_WORDS[ledger][0]} in a step, MiB", note, peak
    )


def energy_comparison(part: Part) -> Table | None:
    """The energy of each arm's step, a row a model and batch size."""
    steps = part.steps.dropna(subset=["energy.joules_per_step"])
    basis = distinct(steps["energy.basis"])
    column = "energy.joules_per_step"
    return _comparison(
        steps, column, f"Energy of a step, J ({basis})", "", lambda row: number(value_of(row, column), ".3g")
    )


def composition_table(part: Part) -> Table | None:
    """What the peak is made of at each model's largest batch, in MiB."""
    steps = part.largest_batches.sort_values("model", kind="stable")
    names = categories(steps)
    rows = tuple(
        (
            str(row["model"]),
            str(row["batch_size"]),
            str(row["method"]),
            *(number(value_of(row, f"{CATEGORY}{name}") / MIB, ".2f") for name in names),
        )
        for _, row in steps.iterrows()
    )
    return Table("What the peak is made of, MiB", "", ("model", "batch", "arm", *names), rows) if rows else None


def _comparison(
    steps: pd.DataFrame, column: str, title: str, note: str, cell: Callable[[pd.Series], str]
) -> Table | None:
    """A row a model and batch size, a column an arm, and the ratio of the two ascents in `column`."""
    arms = list(places(steps["method"]))
    rows = []
    for where, by_arm in _by_model_and_batch(steps):
        cells = {arm: cell(row) for arm, row in by_arm.items()}
        values = {arm: value_of(row, column) for arm, row in by_arm.items()}
        share = ratio(values.get(ZEROTH, math.nan), values.get(FIRST, math.nan))
        rows.append((*where, *(cells.get(arm, MISSING) for arm in arms), number(share, ".2f")))
    columns = ("model", "batch", *arms, f"{ZEROTH} over {FIRST}")
    return Table(title, note, columns, tuple(rows)) if rows else None


def _images(part: Part) -> str:
    """What networks made for larger images must be read with."""
    return f"Images of {image_sizes(part.steps)} pixels."


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
    peak = number(value_of(row, f"memory.{ledger}_peak_bytes") / MIB, ".2f")
    return f"{peak} (sampled)" if sampled and peak != MISSING else peak


def _times_two_forwards(row: pd.Series) -> str:
    median, low, high = (value_of(row, f"time.times_two_forwards{suffix}") for suffix in ("", "_q1", "_q3"))
    return MISSING if math.isnan(median) else f"{median:.2f} ({low:.2f} to {high:.2f})"
