"""The tables of engines: a process's peak on each, the bars of it, and the limits that processes got through under."""

import math

import pandas as pd

from reports.data.arms import places
from reports.data.load import CAPS, MIB, caps_of, ratio, value_of
from reports.data.part import Part
from reports.data.points import LIFE
from reports.tables.table import MISSING, Table, number

ENGINE = "onnxruntime"
PEAK_BARS = "The bars of a process's peak"
LIMITS = (
    "Whether a fresh process got through twenty of the arm's steps. Under cgroup the kernel counts what is resident, "
    "and kills; it drops pages of files, which can be read again, so that less than the peak may do. Under RLIMIT_DATA "
    "it counts all private memory that may be written to, resident or not, and lets allocations fail. The least limit "
    "that suffices is found by halving."
)


def engine_table(part: Part) -> Table | None:
    """A process's peak and a step's time on each engine, a row a network and arm."""
    steps = part.on_engines
    engines = sorted(steps["engine"].unique())
    cells = {(row["network"], row["method"], row["engine"]): row for _, row in steps.iterrows()}
    rows = tuple(
        (str(network), str(arm), *(cell for engine in engines for cell in _figures(cells.get((network, arm, engine)))))
        for network, arm in _in_order(steps)[["network", "method"]].drop_duplicates().itertuples(index=False)
    )
    columns = [f"{what} on {engine}" for engine in engines for what in ("peak, MiB,", "step, ms,")]
    note = (
        "The peak is that of a process over its life, imports included, that does nothing but the arm's steps, at the "
        "smallest batch; the time is the median of a step's."
    )
    return Table("What a process takes, on each engine", note, ("network", "arm", *columns), rows) if rows else None


def cap_table(part: Part) -> Table | None:
    """Whether each step got through under each limit."""
    limits = caps_of(part.steps)
    steps = part.steps.dropna(subset=[f"{CAPS}{limit}" for limit in limits], how="all") if limits else part.steps[:0]
    rows = tuple(
        (row["model"], f"{row['batch_size']}", row["method"], *(_said(row[f"{CAPS}{limit}"]) for limit in limits))
        for _, row in _in_order(steps.assign(network=steps["model"])).iterrows()
    )
    columns = ("model", "batch", "arm", *(f"{limit} MiB" for limit in limits))
    return Table("Who gets through with how much memory", LIMITS, columns, rows) if rows else None


def _in_order(steps: pd.DataFrame) -> pd.DataFrame:
    """By network, and then in the order of the arms."""
    place = steps["method"].map(places(steps["method"]))
    return steps.assign(place=place).sort_values(["network", "place"], kind="stable")


def _figures(row: pd.Series | None) -> tuple[str, str]:
    if row is None:
        return MISSING, MISSING
    return number(row["mib"], ".1f"), number(1000 * value_of(row, "time.step_s"), ".2f")


def _said(completed: bool | None) -> str:
    return MISSING if completed is None else "yes" if completed else "no"


def peak_bar_table(part: Part) -> Table | None:
    """The bars of a process's peak, and whether they are met; None where the profile has none."""
    peaks = {
        (
            str(row["model"]).removesuffix(f" {row['engine']}"),
            row["method"],
            row["engine"],
            row["batch_size"],
        ): value_of(row, LIFE)
        for _, row in part.steps.iterrows()
    }
    rows = []
    for bar in part.rules.process_peak:
        for batch, bound in zip(bar.batch_sizes, bar.at_most, strict=True):
            peak = peaks.get((bar.model, bar.method, ENGINE, batch), math.nan)
            whole = MIB if bar.over is None else peaks.get((bar.model, bar.over, bar.over_engine, batch), math.nan)
            found, form = ratio(peak, whole), ".1f" if bar.over is None else ".3f"
            over = "MiB" if bar.over is None else f"over {bar.over} on {bar.over_engine}"
            met = MISSING if math.isnan(found) else "met" if found <= bound else "missed"
            rows.append((bar.model, str(batch), bar.method, over, number(found, form), f"at most {bound:g}", met))
    note = f"Peaks of processes on {ENGINE} over their life; the bars stood in the profile before the run."
    return Table(PEAK_BARS, note, ("model", "batch", "peak of", "in", "", "bar", ""), tuple(rows)) if rows else None
