"""What figures and tables both show: the points and curves of a figure, before anything is drawn."""

import numpy as np
import pandas as pd

from reports.data.arms import ASCENTS, places
from reports.data.load import CATEGORY, categories

UTILITY = "quality.ra"
LOSSES = ("forget_loss", "retain_loss")
COLLAPSED = 1000  # nats
LEAST_LOSS = 1e-6  # nats; less is drawn here


def largest_batches(steps: pd.DataFrame) -> pd.DataFrame:
    """The steps whose peak is known by category, at the largest batch of each model, in the order of the arms."""
    steps = steps.dropna(subset=[f"{CATEGORY}{name}" for name in categories(steps)], how="all")
    if not categories(steps):
        return steps.iloc[:0]
    steps = steps[steps["batch_size"] == steps.groupby("model")["batch_size"].transform("max")]
    return steps.assign(place=steps["method"].map(places(steps["method"]))).sort_values("place", kind="stable")


def pareto_points(done: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and setting: `mib`, the peak; `mean`, `low` and `high` of RA at T*; whether it is on the `front`.

    Args:
        done: completed runs, with the peak as `mib`.
    """
    runs = done.dropna(subset=["mib", UTILITY])
    if runs.empty:
        return pd.DataFrame(columns=["setting", "method", "mib", "mean", "low", "high", "front"])
    grouped = runs.assign(kept=pd.to_numeric(runs[UTILITY])).groupby(["setting", "method"], sort=False)
    points = grouped.agg(mib=("mib", "max"), mean=("kept", "mean"), low=("kept", "min"), high=("kept", "max"))
    points = points.reset_index()
    return points.assign(front=pd.concat([_unbeaten(one) for _, one in points.groupby("setting", sort=False)]))


def _unbeaten(arms: pd.DataFrame) -> pd.Series:
    """Of each arm of a setting: that no other takes no more memory and keeps no less, and is better in one of them."""
    saved, more = (
        np.subtract.outer(figures, figures) for figures in (arms["mib"].to_numpy(), -arms["mean"].to_numpy())
    )
    beaten = (saved >= 0) & (more >= 0) & ((saved > 0) | (more > 0))  # arm by the other
    return pd.Series(~beaten.any(axis=1), index=arms.index)


def drawn(curves: pd.DataFrame, ascents: bool) -> pd.DataFrame:
    """The evaluations that are drawn: of the ascents or of the others, of runs that complete, up to a wreck."""
    of_arms = curves[curves["method"].isin(ASCENTS) == ascents]
    finite = of_arms.dropna(subset=["relative_step", *LOSSES])
    return _until_collapse(finite)


def at_time(run: pd.DataFrame, column: str, time: float | np.ndarray) -> np.ndarray:
    """A run's value at some multiples of T*.

    Between evaluations the logarithm of a loss is interpolated, as the eye does on a logarithmic axis.
    """
    known = run[column].to_numpy()
    known = np.log(known) if column in LOSSES else known
    values = np.asarray(np.interp(time, run["relative_step"].to_numpy(), known))
    return np.exp(values) if column in LOSSES else values


def _until_collapse(curves: pd.DataFrame) -> pd.DataFrame:
    """Each run up to its first loss beyond `COLLAPSED`: what a wreck does afterwards says nothing."""
    curves = curves.assign(**{name: curves[name].clip(lower=LEAST_LOSS) for name in LOSSES})
    wrecked = (curves["forget_loss"] > COLLAPSED) | (curves["retain_loss"] > COLLAPSED)
    before = wrecked.groupby([curves["setting"], curves["method"], curves["seed"]]).cumsum() == 0
    return curves[before]
