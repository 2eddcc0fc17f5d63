"""The tables of whole erasures: verdicts, quality, cost, what came after."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from bench.record import DEPTH_MARGIN, SHOTS
from reports.data.arms import ASCENTS, FIRST, RETRAIN
from reports.data.erasures import SHARED, ArmRuns, by_arm
from reports.data.load import BACK, PROBED
from reports.data.part import Part
from reports.data.points import at_time
from reports.data.verdicts.claims import Claim
from reports.data.verdicts.interval import LEAST_SEEDS, MOST_SEEDS, t_interval
from reports.data.words.glossary import COMPLETE, LAST, RETRAIN_BATCH, SAMPLE_FORWARDS, distinct
from reports.tables.table import MISSING, Table, interval_text, number, spread

TIMES = (0.5, 1.0, 2.0, 4.0)


def verdict_table(found: Sequence[Claim]) -> Table | None:
    """Every test of every claim, with its rule and what it says."""
    rows = [
        (
            claim.title,
            test.setting,
            test.statistic.name,
            interval_text(test.interval, ".3g"),
            f"{test.interval.n} of {test.pairs}" if test.pairs else MISSING,
            _seeds_needed(test.seeds_needed),
            test.rule,
            test.verdict,
        )
        for claim in found
        for test in claim.tests
    ]
    note = (
        "Mean and 95 % t-interval over seeds, the two arms compared seed by seed; n counts the seeds for which both "
        f"have the figure. No verdict from fewer than {LEAST_SEEDS}, or where a seed lacks it. Supported if the whole "
        "interval is on the stated side of the bound, not supported if it is on the other. The bounds stood before "
        "the run, in the profile or as its defaults; the intervals are not widened for the number of tests. On an "
        "engine without autograd the first-order arm is torch's. Seeds for the margin: so many would make the "
        "interval as narrow as what counts as a difference, each way, were their spread what it is here. Every value "
        "and verdict follows from results.csv."
    )
    columns = (
        *("claim", "setting", "statistic", "mean (95 % interval)", "n", "seeds for the margin", "supported if all is"),
        "verdict",
    )
    return Table("The tests behind the verdicts", note, columns, tuple(rows)) if rows else None


def _seeds_needed(seeds: float) -> str:
    return f"more than {MOST_SEEDS}" if math.isinf(seeds) else number(seeds, ".0f")


def quality_table(part: Part) -> Table | None:
    """What unlearning did to the model, against Retrain."""
    columns = {
        "ToW": ("quality.tow", ".3f"),
        f"probe, {SHOTS} shots": (PROBED, ".1f"),
        f"relearned, {SHOTS} shots": (BACK, ".1f"),
        "UA": ("quality.ua", ".1f"),
        "RA": ("quality.ra", ".1f"),
        "TA": ("quality.ta", ".1f"),
        "TA of the class": ("quality.ta_forgotten", ".1f"),
        "MIA": ("quality.mia", ".1f"),
        "MIA AUC": ("quality.mia_auc", ".3f"),
    }
    columns = {name: figure for name, figure in columns.items() if figure[0] in part.runs}
    note = (
        f"{COMPLETE} Here at T*: the mean, and least to greatest over the seeds that completed. UA, RA, TA and MIA in "
        "percent. MIA is the share of the forget set that an attacker takes for samples the model has not seen; MIA "
        "AUC is how well the loss tells forget samples from unseen ones of their kind, 0.5 being chance. These see "
        f"the model's answers; the probe sees its features, and has a table of its own, as what {LAST} steps of "
        "fine-tuning bring back. For all of them the target is Retrain's value. ToW is 1 for Retrain itself. An arm "
        "that moved but a part of the network has that beside its name."
    )
    return _arm_table(part.arms, "Quality at completion", note, lambda arm: _spreads(arm.done, columns))


def frontier_table(part: Part) -> Table | None:
    """The arms of the figure, and of the points of their searches those that no other beats."""
    shown = part.frontier[part.frontier["measured"] | part.frontier["front"]]
    ordered = shown.sort_values(["measured", "forwards"], ascending=[False, True], kind="stable")
    rows = tuple(
        (
            str(setting),
            str(point["method"]),
            "results" if point["measured"] else "search",
            f"{point['n']}",
            number(point["batch_size"], ".0f"),
            str(point["tail"]),
            *(MISSING if pd.isna(point[name]) else f"{point[name]:g}" for name in ("lr", "eps")),
            number(point["forwards"], ".3g"),
            _ranged(*(point[name] for name in ("mean", "low", "high"))),
            number(point["depth"], ".1f"),
            "yes" if point["front"] else "no",
        )
        for setting, of_setting in ordered.groupby("setting", sort=False)
        for _, point in of_setting.iterrows()
    )
    columns = (
        *("setting", "arm", "from", "runs", "samples a step", "of the network", "learning rate", "eps"),
        *("sample-forwards", "ToW", f"probe, {SHOTS} shots", "on the line"),
    )
    note = (
        f"To T*, means over the runs; for ToW with the least and the greatest of the seeds. {SAMPLE_FORWARDS} The "
        "probe finds so many percent of a forgotten class in the features; a point where that is over "
        f"{DEPTH_MARGIN:g} points more than after {FIRST} hides the class and is on no line. On the line are the "
        "points that no other of the same kind, zeroth order or not, beats: none takes no more sample-forwards, comes "
        "to no less and is better in one of them. Of a search only those are here; its seeds are pilot ones that no "
        "result uses, and a point counts if every run of it completed."
    )
    return Table("Cost and ToW", note, columns, rows) if rows else None


def _ranged(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" if low == high else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def cost_table(part: Part) -> Table | None:
    """What it took to get to completion, and as a share of Retrain's cost with the same seed."""
    columns = {
        "steps": ("completion.step", ".0f"),
        "sample-forwards": ("completion.sample_forwards", ".0f"),
        "time, s": ("completion.seconds", ".3g"),
        "energy, J": ("completion.joules", ".3g"),
        "peak, MiB": ("mib", ".2f"),
    }
    shares = {f"{name} over Retrain's": (f"{column} share", ".2g") for name, column in SHARED.items()}
    note = (
        f"To T*: mean, and least to greatest over the seeds that completed. {SAMPLE_FORWARDS} The peak is that of live "
        f"tensors in a step. {RETRAIN_BATCH} "
        "T* is known to an evaluation, some 5 % or a step. The shares are of Retrain's figure with the same seed. "
        "Evaluations along the way count into none of it. The outcome is how the whole run ended, which goes on after "
        "completion."
    )
    return _arm_table(
        part.arms,
        "Cost to completion",
        note,
        lambda arm: (
            {"outcome": _outcomes(arm.runs)}
            | _spreads(arm.done, columns | shares)
            | {"energy is": distinct(arm.done["energy.basis"]) or MISSING}
        ),
    )


def stability_table(part: Part) -> Table | None:
    """What happened after completion."""
    columns = {
        "time to collapse, T*": ("stability.collapse", ".2f"),
        "slope of log retain loss, 1/T*": ("stability.loss_slope", ".2f"),
        "RA lost after one more T*": ("stability.drop_at_time", ".1f"),
        "RA lost at matched displacement": ("stability.drop_at_distance", ".1f"),
        "RA lost at matched forget loss": ("stability.drop_at_forget_loss", ".1f"),
    }

    def cells(arm: ArmRuns) -> dict[str, str]:
        known = arm.done["stability.collapsed"].dropna()
        collapsed = f"{(known == True).sum()} of {len(known)}"  # noqa: E712
        intervals = {
            name: interval_text(t_interval(pd.to_numeric(arm.done[column])), form)
            for name, (column, form) in columns.items()
        }
        return {"outcome": _outcomes(arm.runs), "collapsed": collapsed, **intervals}

    note = (
        "From T* to the horizon: mean and 95 % t-interval over the seeds that have a figure. Collapse: retain "
        "accuracy (RA) 5 points under its value at T*, or a loss that is not finite; the horizon where that never "
        f"happened, 0 where RA was within 5 points of chance at T* already. Evaluations are {part.apart} apart, and "
        f"interpolated.{_followed(part)} RA lost is in points. Matched displacement: the model is farther from the "
        f"original than at T* by {part.rules.matched_distance:g} of the original's norm; matched forget loss: it is "
        f"{part.rules.matched_rise:g} nats higher than at T*. A t-interval may reach beyond what is possible."
    )
    return _arm_table([one for one in part.arms if one.arm != RETRAIN], "After completion", note, cells)


def _followed(part: Part) -> str:
    """How many samples they look at, where that is said."""
    some = " or ".join(map(str, part.quoted.followed_on))
    return f" Along the way they look at {some} samples of a set, from T* on at more of the retain set." if some else ""


def displacement_table(part: Part) -> Table | None:
    """How far the model has moved, and what it has lost where arms have moved equally far."""
    at_completion = part.curves[part.curves["relative_step"] == 1]
    distances = at_completion.set_index(["setting", "method", "seed"])["distance"].to_dict()

    def cells(arm: ArmRuns) -> dict[str, str]:
        moved = [distances.get((arm.setting, arm.arm, seed), math.nan) for seed in arm.done["seed"]]
        columns = {
            "RA at T*": ("quality.ra", ".1f"),
            "RA lost at matched displacement": ("stability.drop_at_distance", ".1f"),
        }
        return {"distance at T*": spread(pd.Series(moved, dtype=float), ".3g")} | _spreads(arm.done, columns)

    note = (
        "Mean, and least to greatest over the seeds that have a figure. The distance is the L2 norm of the parameters' "
        f"change; matched displacement is {part.rules.matched_distance:g} of the original's norm farther than at T*."
    )
    return _arm_table([one for one in part.arms if one.arm in ASCENTS], "Displacement", note, cells)


def pareto_table(part: Part) -> Table | None:
    """The points of the figure, and which of them no other beats."""
    rows = tuple(
        (
            setting,
            part.names[setting, arm],
            f"{point['mib']:.2f}",
            f"{point['mean']:.1f} ({point['low']:.1f} to {point['high']:.1f})",
            "yes" if point["front"] else "no",
        )
        for setting, arm, points in by_arm(part.pareto_points)
        for _, point in points.iterrows()
    )
    columns = ("setting", "arm", "peak, MiB", "RA at T*", "on the line")
    note = (
        "The peak of live tensors in a step; on the line are the arms that no other beats: none takes no more memory, "
        f"keeps no less and is better in one of them. {RETRAIN_BATCH}"
    )
    return Table("Memory and utility", note, columns, rows) if rows else None


def curve_table(part: Part, columns: Sequence[str], ascents: bool = True) -> Table | None:
    """Medians of the curves at some multiples of T*, of all seeds that last so long."""
    rows = []
    for setting, arm, of_arm in by_arm(part.ascents if ascents else part.others):
        runs = [run for _, run in of_arm.groupby("seed")]
        cells = [cell for column in columns for cell in _medians(runs, column)]
        rows.append((setting, part.names[setting, arm], f"{len(runs)}", *cells))
    heads = [f"{column.replace('_', ' ')} at {time:g} T*" for column in columns for time in TIMES]
    note = "Medians over the seeds; in brackets how many of them last so long, if not all do."
    what = " and ".join(column.replace("_", " ") for column in columns).capitalize()
    title = what if ascents else f"{what} of the other arms"
    return Table(title, note, ("setting", "arm", "seeds", *heads), tuple(rows)) if rows else None


def _medians(runs: Sequence[pd.DataFrame], column: str) -> Iterator[str]:
    """At each of `TIMES`."""
    values = np.array([at_time(run, column, np.array(TIMES)) for run in runs])
    ends = np.array([run["relative_step"].iloc[-1] for run in runs])
    for time, at_that_time in zip(TIMES, values.T, strict=True):
        lasting = at_that_time[ends >= time]
        few = "" if len(lasting) == len(runs) else f" ({len(lasting)})"
        yield number(float(np.median(lasting)), ".3g") + few if len(lasting) else MISSING


def _arm_table(
    arms: Sequence[ArmRuns], title: str, note: str, cells: Callable[[ArmRuns], dict[str, str]]
) -> Table | None:
    """A row for every arm in every setting: how many runs were complete, and `cells` of them."""
    rows = [{"setting": one.setting, "arm": one.name, "complete": one.complete} | cells(one) for one in arms]
    return Table(title, note, tuple(rows[0]), tuple(tuple(row.values()) for row in rows)) if rows else None


def _outcomes(runs: pd.DataFrame) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in runs["outcome"].value_counts().items())


def _spreads(frame: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {name: spread(frame[column], form) for name, (column, form) in columns.items()}
