"""What figures and tables both show: the points and curves of a figure, before anything is drawn."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from bench.record import CLOSE, DEPTH_MARGIN, SHOTS, Searched
from reports.data.arms import ASCENTS, FIRST, RETRAIN, places
from reports.data.load import CATEGORY, DEPTH, ENDS, MIB, PROBE_OF_RETRAIN, PROBED, categories

UTILITY = "quality.ra"
LIFE = "memory.process_life_bytes"
LOSSES = ("forget_loss", "retain_loss")
COLLAPSED = 1000  # nats
LEAST_MARGINS, LEAST_VARIANCE = 3, 1e-4  # seeds, and nats squared, of a distribution of margins
LEAST_LOSS = 1e-6  # nats; less is drawn here


def largest_batches(steps: pd.DataFrame) -> pd.DataFrame:
    """The steps whose peak is known by category, at the largest batch of each model, in the order of the arms."""
    steps = steps.dropna(subset=[f"{CATEGORY}{name}" for name in categories(steps)], how="all")
    if not categories(steps):
        return steps.iloc[:0]
    steps = steps[steps["batch_size"] == steps.groupby("model")["batch_size"].transform("max")]
    return steps.assign(place=steps["method"].map(places(steps["method"]))).sort_values("place", kind="stable")


def on_engines(steps: pd.DataFrame) -> pd.DataFrame:
    """The steps with a process's peak over its life, of each network that ran on more engines than one, at its smallest
    batch.

    `network` is the model without the engine, `mib` the peak; they are in the order of engine and arm.
    """
    steps = steps.dropna(subset=[LIFE])
    names = [model.removesuffix(f" {engine}") for model, engine in zip(steps["model"], steps["engine"], strict=True)]
    steps = steps.assign(network=names, mib=pd.to_numeric(steps[LIFE]) / MIB)
    by_network = steps.groupby("network")
    several = by_network["engine"].transform("nunique") > 1
    smallest = steps["batch_size"] == by_network["batch_size"].transform("min")
    found = steps[several & smallest]
    order = found.assign(place=found["method"].map(places(found["method"])))
    return order.sort_values(["engine", "place"], kind="stable")


def pareto_points(done: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and setting: `mib`, the peak; `mean`, `low` and `high` of RA at T*; `batch`, samples a step, 0 for
    Retrain, whose case has none of its own; whether it is on the `front`.

    Args:
        done: completed runs, with the peak as `mib`.
    """
    runs = done.dropna(subset=["mib", UTILITY])
    if runs.empty:
        return pd.DataFrame(columns=["setting", "method", "mib", "mean", "low", "high", "batch", "front"])
    grouped = runs.assign(kept=pd.to_numeric(runs[UTILITY])).groupby(["setting", "method"], sort=False)
    points = grouped.agg(
        mib=("mib", "max"),
        mean=("kept", "mean"),
        low=("kept", "min"),
        high=("kept", "max"),
        batch=("batch_size", "max"),
    ).reset_index()
    points["batch"] = points["batch"].where(points["method"] != RETRAIN, 0)
    return points.assign(front=_unbeaten(points, ["setting"], "mib"))


def feature_points(done: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and setting: means over its seeds, with `low` and `high`, the least and the greatest.

    Columns are `tow`, and `probe`, what one of `SHOTS` samples a class finds of the forgotten in the features, in
    percent; and `original` and `retrained`, what it finds in theirs.
    """
    columns = ["setting", "method", "n", "tow", "tow low", "tow high", "probe", "probe low", "probe high"]
    rows = []
    if PROBED in done:
        known = done[done["method"] != RETRAIN].dropna(subset=["quality.tow", PROBED, PROBE_OF_RETRAIN])
        for (setting, method), of_arm in known.groupby(["setting", "method"], sort=False):
            row = {"setting": setting, "method": method, "n": len(of_arm)}
            for name, column in (("tow", "quality.tow"), ("probe", PROBED)):
                values = pd.to_numeric(of_arm[column])
                row |= {name: values.mean(), f"{name} low": values.min(), f"{name} high": values.max()}
            ends = {end: pd.to_numeric(of_arm[f"{DEPTH}{SHOTS}.{end}"]).mean() for end in ENDS[1:]}
            rows.append(row | ends)
    return pd.DataFrame(rows, columns=[*columns, *ENDS[1:]])


def relearning_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean accuracy over the seeds by `setting`, `shots`, `whose` and `step`: after each arm, and of the original
    and Retrain, whatever arm they stood beside.
    """
    keys = ["setting", "shots", "step"]
    models = rows[rows["method"] != RETRAIN].assign(whose=rows["method"], accuracy=rows["model"])
    ends = rows.drop_duplicates([*keys, "seed"])
    both = [ends.assign(whose=name, accuracy=ends[end]) for name, end in (("original", ENDS[1]), (RETRAIN, ENDS[2]))]
    every = pd.concat([*both, models])[[*keys, "whose", "seed", "accuracy"]].astype({"accuracy": float})
    means = every.dropna().groupby([*keys, "whose"], sort=False)["accuracy"].agg(["mean", "count"]).reset_index()
    in_order = means.assign(
        place=means["setting"].map({name: place for place, name in enumerate(rows["setting"].unique())})
    )
    named = in_order.sort_values(["place", "shots"], kind="stable").drop(columns="place")
    return named.rename(columns={"mean": "accuracy", "count": "n"})


def margin_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """How far forgotten samples are from where Retrain has them, a row a setting and model, the original first.

    Columns are `whose`; `n` seeds and `samples`; `shift`, by how much surer than Retrain it is of the mean sample, and
    `apart`, the mean distance of a sample, in nats, seed by seed; and `klom`, the median over the samples of the
    divergence of its margin's normal distribution over seeds from that after retraining (Georgiev et al. 2024), in
    nats; not a number where the request is not the same with every seed, or there are fewer than `LEAST_MARGINS` seeds.
    """
    known = rows.dropna(subset=["retrained"])
    found = []
    for setting, of_setting in known.groupby("setting", sort=False):
        arms = of_setting[of_setting["method"] != RETRAIN]
        ends = of_setting.drop_duplicates(["seed", "sample"])
        models = [("original", ends["original"], ends)]
        models += [
            (arm, arms.loc[arms["method"] == arm, "model"], arms[arms["method"] == arm])
            for arm in places(arms["method"])
        ]
        for whose, margins, beside in models:
            gap = pd.to_numeric(margins) - pd.to_numeric(beside["retrained"])
            found.append(
                {
                    "setting": setting,
                    "whose": whose,
                    "n": beside["seed"].nunique(),
                    "samples": beside["sample"].nunique(),
                    "shift": gap.mean(),
                    "apart": gap.abs().mean(),
                    "klom": _klom(beside.assign(margin=pd.to_numeric(margins))),
                }
            )
    return pd.DataFrame(found, columns=["setting", "whose", "n", "samples", "shift", "apart", "klom"])


def _klom(rows: pd.DataFrame) -> float:
    if rows["digest"].nunique() > 1 or rows["seed"].nunique() < LEAST_MARGINS:
        return math.nan
    moments = rows.astype({"retrained": float}).groupby("sample")[["margin", "retrained"]].agg(["mean", "var"])
    means, variances = (moments.xs(what, axis=1, level=1) for what in ("mean", "var"))
    variances = variances.clip(lower=LEAST_VARIANCE)
    ratio = variances["margin"] / variances["retrained"]
    apart = (means["margin"] - means["retrained"]) ** 2 / variances["retrained"]
    return float(((ratio + apart - 1 - np.log(ratio)) / 2).median())


def frontier_points(done: pd.DataFrame, searched: Iterable[Searched]) -> pd.DataFrame:
    """A row an arm and setting, over its seeds, and one for each point of its search that completed in every pilot run.

    Columns are `measured`, whether it is the former; `zeroth`, whether the arm is of zeroth order; `batch_size`,
    `tail`, `lr` and `eps`, what it was run with; `forwards`, mean sample-forwards to completion; `mean`, `low` and
    `high` of ToW; `depth`, what a probe of `SHOTS` samples a class finds, in percent; `n` runs; `shallow`, that this is
    more than `DEPTH_MARGIN` above what it finds after first-order ascent; and `front`, that it is not so and no other
    such point of its order in the setting beats it.
    """
    columns = ["setting", "method", "batch_size", "tail", "lr", "eps", "zeroth", "forwards", "mean", "low", "high"]
    points = pd.DataFrame([*_measured(done), *_searched(searched)], columns=[*columns, "depth", "n", "measured"])
    points = points[points["forwards"] > 0].reset_index(drop=True).astype({"depth": float})
    points = points.assign(shallow=_shallow(points))
    front = _unbeaten(points[~points["shallow"]], ["setting", "zeroth"], "forwards")
    return points.assign(front=front.reindex(points.index, fill_value=False))


def _shallow(points: pd.DataFrame) -> pd.Series:
    """Against first-order ascent on the whole network: results against its own, points of a search against the one that
    the search chooses there, the cheapest of those within `CLOSE` of the best.
    """
    shallow = pd.Series(False, index=points.index)
    for _, alike in points.groupby(["setting", "measured"]):
        ascent = alike[(alike["method"] == FIRST) & (alike["tail"] == "all")].dropna(subset=["depth"])
        if not ascent.empty:
            best = ascent[ascent["mean"] >= ascent["mean"].max() - CLOSE].sort_values("forwards").iloc[0]
            shallow[alike.index] = alike["depth"] > best["depth"] + DEPTH_MARGIN
    return shallow


def _measured(done: pd.DataFrame) -> Iterator[dict[str, Any]]:
    runs = done[done["method"] != RETRAIN].dropna(subset=["completion.sample_forwards", "quality.tow"])
    for (setting, method), of_arm in runs.groupby(["setting", "method"], sort=False):
        first, tow = of_arm.iloc[0], pd.to_numeric(of_arm["quality.tow"])
        yield {
            "setting": setting,
            "method": method,
            "batch_size": first["batch_size"],
            "zeroth": pd.notna(first["rate.eps"]),
            **{name: first[f"rate.{name}"] for name in ("tail", "lr", "eps")},
            "forwards": pd.to_numeric(of_arm["completion.sample_forwards"]).mean(),
            "mean": tow.mean(),
            "low": tow.min(),
            "high": tow.max(),
            "depth": pd.to_numeric(of_arm[PROBED]).mean() if PROBED in of_arm else math.nan,
            "n": len(tow),
            "measured": True,
        }


def _searched(searched: Iterable[Searched]) -> Iterator[dict[str, Any]]:
    for point in searched:
        if point.completed == point.runs:
            yield {
                **point.model_dump(include={"setting", "method", "batch_size", "tail", "lr", "eps"}),
                "zeroth": point.eps is not None,
                "forwards": point.sample_forwards,
                "n": point.runs,
                **dict.fromkeys(("mean", "low", "high"), point.tow),
                "depth": point.depth,
                "measured": False,
            }


def _unbeaten(points: pd.DataFrame, among: list[str], cost: str) -> pd.Series:
    """Of each point: that no other `among` those alike costs no more and has no less `mean`, and is better in one."""
    front = pd.Series(False, index=points.index)
    for _, alike in points.groupby(among):
        saved, more = (np.subtract.outer(one, one) for one in (alike[cost].to_numpy(), -alike["mean"].to_numpy()))
        beaten = (saved >= 0) & (more >= 0) & ((saved > 0) | (more > 0))  # one by the other
        front[alike.index] = ~beaten.any(axis=1)
    return front


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
