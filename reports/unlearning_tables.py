"""The tables of whole erasures: verdicts, quality, cost, what came after."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from reports.claims import LEAST_SEEDS, Claim, t_interval
from reports.load import MIB, Results
from reports.style import arm_style
from reports.table import MISSING, Table, interval_text, spread


def verdict_table(found: Sequence[Claim]) -> Table | None:
    """Every test of every claim, with its rule and what it says."""
    rows = [
        (
            claim.statement.partition(":")[0],
            test.setting,
            test.statistic.name,
            interval_text(test.interval, ".3g"),
            f"{test.interval.n} of {test.pairs}",
            test.rule,
            test.verdict,
        )
        for claim in found
        for test in claim.tests
    ]
    note = (
        "Mean and 95 % t-interval over seeds, the two arms compared seed by seed; n counts the seeds for which both "
        f"have the figure. No verdict from fewer than {LEAST_SEEDS}, or where a seed lacks it. Supported if the whole "
        "interval is on the stated side of the bound, not supported if it is on the other. The bounds were written "
        "into the profile before the run; the intervals are not widened for the number of tests. Every value and "
        "verdict follows from results.csv."
    )
    columns = ("claim", "setting", "statistic", "mean (95 % interval)", "n", "supported if all is", "verdict")
    return Table("The tests behind the verdicts", note, columns, tuple(rows)) if rows else None


def quality_table(results: Results) -> Table | None:
    """What unlearning did to the model, against Retrain."""
    columns = {
        "UA": ("quality.ua", ".1f"),
        "RA": ("quality.ra", ".1f"),
        "TA": ("quality.ta", ".1f"),
        "TA of the class": ("quality.ta_forgotten", ".1f"),
        "MIA": ("quality.mia", ".1f"),
        "MIA AUC": ("quality.mia_auc", ".3f"),
        "ToW": ("quality.tow", ".3f"),
        "relearn steps": ("quality.relearn_steps", ".0f"),
    }
    note = (
        "At T*, the first evaluation at which forget accuracy is at or below chance (class) or Retrain's (random): the "
        "mean, and least to greatest over the seeds that completed. UA, RA, TA and MIA in percent. MIA is the share of "
        "the forget set that an attacker takes for samples the model has not seen; MIA AUC is how well the loss tells "
        "forget samples from unseen ones of their kind, 0.5 being chance; relearn steps are what fine-tuning needs to "
        "bring the forget accuracy back. For all of them the target is Retrain's value. ToW is 1 for Retrain itself."
    )
    return _by_arm(results, "Quality at completion", note, lambda runs: _spreads(_completed(runs), columns))


def cost_table(results: Results) -> Table | None:
    """What it took to get to completion, and as a share of Retrain's cost with the same seed."""
    columns = {
        "steps": ("completion.step", ".0f"),
        "forwards": ("completion.forward_equivalents", ".0f"),
        "time, s": ("completion.seconds", ".3g"),
        "energy, J": ("completion.joules", ".3g"),
        "peak, MiB": ("mib", ".2f"),
    }
    shares = {
        f"{name} over Retrain's": (f"{column} share", ".2g")
        for name, column in {
            "forwards": "completion.forward_equivalents",
            "time": "completion.seconds",
            "energy": "completion.joules",
            "peak": "mib",
        }.items()
    }
    note = (
        "To T*: mean, and least to greatest over the seeds that completed. Forwards are forward-equivalents: a forward "
        "pass of one batch counts 1, a backward pass 2. The peak is that of live tensors in a step. The shares are of "
        "Retrain's figure with the same seed. Evaluations along the way count into none of it."
    )
    return _by_arm(
        _with_shares(results),
        "Cost to completion",
        note,
        lambda runs: _spreads(_completed(runs), columns | shares) | {"energy is": _basis(_completed(runs))},
    )


def stability_table(results: Results) -> Table | None:
    """What happened after completion."""
    columns = {
        "time to collapse, T*": ("stability.collapse", ".2f"),
        "slope of log retain loss, 1/T*": ("stability.loss_slope", ".2f"),
        "RA lost after one more T*": ("stability.drop_at_time", ".1f"),
        "RA lost at matched displacement": ("stability.drop_at_distance", ".1f"),
        "RA lost at matched forget loss": ("stability.drop_at_forget_loss", ".1f"),
    }

    def cells(runs: pd.DataFrame) -> dict[str, str]:
        done = _completed(runs)
        known = done["stability.collapsed"].dropna()
        collapsed = f"{(known == True).sum()} of {len(known)}"  # noqa: E712
        intervals = {
            name: interval_text(t_interval(pd.to_numeric(done[column])), form)
            for name, (column, form) in columns.items()
        }
        return {"collapsed": collapsed, **intervals}

    rules = results.rules
    note = (
        "From T* to the horizon: mean and 95 % t-interval over the seeds that have a figure. Collapse: retain accuracy "
        "(RA) 5 points under its value at T*, or a loss that is not finite; the horizon where that never happened, 0 "
        "where RA was within 5 points of chance at T* already. "
        "RA lost is in points. Matched displacement: the model is farther from the original than at T* by "
        f"{rules.matched_distance:g} of the original's norm; matched forget loss: it is {rules.matched_rise:g} nats "
        "higher than at T*."
    )
    return _by_arm(results, "After completion", note, cells, without=("retrain",))


def _by_arm(
    results: Results,
    title: str,
    note: str,
    cells: Callable[[pd.DataFrame], dict[str, str]],
    without: Collection[str] = (),
) -> Table | None:
    """A row for every arm in every setting: how many runs were complete, how they ended, and `cells` of them."""
    runs = results.of_kind("unlearning")
    runs = runs[~runs["method"].isin(without)]
    rows = []
    for setting, of_setting in runs.groupby("setting", sort=False):
        for method in arm_style(of_setting["method"]).order:
            of_arm = of_setting[of_setting["method"] == method]
            outcomes = ", ".join(f"{count} {outcome}" for outcome, count in of_arm["outcome"].value_counts().items())
            completed = f"{len(_completed(of_arm))} of {len(of_arm)}"
            head = {"setting": str(setting), "arm": method, "complete": completed, "outcome": outcomes}
            rows.append(head | cells(of_arm))
    return Table(title, note, tuple(rows[0]), tuple(tuple(row.values()) for row in rows)) if rows else None


def _completed(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["completion.reached"] == True]  # noqa: E712


def _with_shares(results: Results) -> Results:
    """With the columns `mib`, the peak, and "... share", a figure over Retrain's of the same setting and seed."""
    cases = results.cases.assign(mib=pd.to_numeric(results.cases["memory.tensor_peak_bytes"]) / MIB)
    retrained = cases[cases["method"] == "retrain"].set_index(["setting", "seed"])
    for column in ("completion.forward_equivalents", "completion.seconds", "completion.joules", "mib"):
        own = pd.to_numeric(cases[column])
        whole = [retrained[column].get(key, math.nan) for key in zip(cases["setting"], cases["seed"], strict=True)]
        cases[f"{column} share"] = own / pd.to_numeric(pd.Series(whole, index=cases.index))
    return replace(results, cases=cases)


def _basis(runs: pd.DataFrame) -> str:
    return " and ".join(runs["energy.basis"].dropna().unique()) or MISSING


def _spreads(frame: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {name: spread(frame, column, form) for name, (column, form) in columns.items()}
