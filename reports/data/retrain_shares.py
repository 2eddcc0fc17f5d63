"""Runs by setting and arm, which of them completed, and what they cost as a share of Retrain's cost."""

from collections.abc import Iterator

import pandas as pd

from reports.data.arms import RETRAIN, places
from reports.data.load import MIB

SHARED = {
    "forwards": "completion.forward_equivalents",
    "time": "completion.seconds",
    "energy": "completion.joules",
    "peak": "mib",
}


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that reached completion, and had something to forget."""
    return runs[(runs["completion.reached"] == True) & (runs["completion.step"] > 0)]  # noqa: E712


def by_arm(runs: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Setting, arm and its rows: settings as they come, arms in the order of every figure."""
    for setting, of_setting in runs.groupby("setting", sort=False):
        for arm in places(of_setting["method"]):
            yield str(setting), arm, of_setting[of_setting["method"] == arm]


def completed_text(runs: pd.DataFrame) -> str:
    """How many of the runs reached completion, of those that had something to forget."""
    idle = int((runs["completion.step"] == 0).sum())
    counts = f"{len(completed(runs))} of {len(runs) - idle}"
    return f"{counts} ({idle} had nothing to forget)" if idle else counts


def with_shares(runs: pd.DataFrame) -> pd.DataFrame:
    """With the columns `mib`, the peak, and "... share", a figure over Retrain's of the same setting and seed."""
    runs = runs.assign(mib=pd.to_numeric(runs["memory.tensor_peak_bytes"]) / MIB)
    retrained = retrain_of(runs)
    for column in SHARED.values():
        whole = pd.to_numeric(retrained[column])
        runs[f"{column} share"] = pd.to_numeric(runs[column]) / whole.where(whole > 0)
    return runs


def retrain_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Retrain's row of the same setting and seed for every row; NaN where it was not run."""
    retrained = runs[runs["method"] == RETRAIN].set_index(["setting", "seed"])
    keys = pd.MultiIndex.from_frame(runs[["setting", "seed"]])
    return retrained.reindex(keys).set_axis(runs.index)
