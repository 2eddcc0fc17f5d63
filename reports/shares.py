"""Runs that completed, and what they cost as a share of Retrain's cost with the same seed."""

import math

import pandas as pd

from reports.load import MIB

SHARED = {
    "forwards": "completion.forward_equivalents",
    "time": "completion.seconds",
    "energy": "completion.joules",
    "peak": "mib",
}


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that reached completion."""
    return runs[runs["completion.reached"] == True]  # noqa: E712


def with_shares(runs: pd.DataFrame) -> pd.DataFrame:
    """With the columns `mib`, the peak, and "... share", a figure over Retrain's of the same setting and seed."""
    runs = runs.assign(mib=pd.to_numeric(runs["memory.tensor_peak_bytes"]) / MIB)
    retrained = runs[runs["method"] == "retrain"].set_index(["setting", "seed"])
    keys = list(zip(runs["setting"], runs["seed"], strict=True))
    for column in SHARED.values():
        whole = pd.Series([retrained[column].get(key, math.nan) for key in keys], index=runs.index)
        runs[f"{column} share"] = pd.to_numeric(runs[column]) / pd.to_numeric(whole)
    return runs
