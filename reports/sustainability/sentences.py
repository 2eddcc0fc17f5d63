"""The sentences of the sustainability statement: what an erasure costs against what, and what was shown about it."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from reports.data.arms import FIRST, RETRAIN, ZEROTH, places
from reports.data.glossary import listed
from reports.data.retrain_shares import completed
from reports.tables.side_by_side import (
    ENERGY,
    ENERGY_OF_RETRAIN,
    MOST_SETTINGS,
    PEAK,
    TIME,
    TIME_OF_RETRAIN,
    Figure,
    SideBySide,
    side_by_side,
)
from reports.tables.table import distinct, number, range_text


def headline(runs: pd.DataFrame) -> Iterator[str]:
    """What zeroth-order ascent costs and buys over first-order ascent, at the same level of forgetting, by setting.

    Of many settings, the least and the greatest figures; where only one of the two was run, what that one takes.
    """
    both = side_by_side(runs)
    compared = [one for one in both if not one.nothing]
    if len(compared) > MOST_SETTINGS:
        yield _comparison(compared, f"In {len(compared)} settings")
    else:
        for one in compared:
            yield f"{_comparison([one], one.where)}{_cheapest(completed(runs[runs['setting'] == one.setting]))}"
    yield from [one.nothing for one in both if one.nothing][:MOST_SETTINGS]
    alone = completed(runs[~runs["setting"].isin([one.setting for one in both]) & (runs["method"] != RETRAIN)])
    for setting, cases in [*alone.groupby("setting", sort=False)][:MOST_SETTINGS]:
        arm = min(cases["method"], key=list(places([ZEROTH, *cases["method"]])).index)
        yield _alone(str(setting), arm, cases[cases["method"] == arm])


def evidence(runs: pd.DataFrame) -> Iterator[str]:
    """What was shown about forgetting, by setting: the ascents beside Retrain, at completion.

    Of the first `MOST_SETTINGS` settings.
    """
    settings = [*completed(runs).groupby("setting", sort=False)]
    for setting, cases in settings[:MOST_SETTINGS]:
        by_arm = {arm: cases[cases["method"] == arm] for arm in (ZEROTH, FIRST, RETRAIN)}
        said = [*_accuracies(by_arm), *_attack(by_arm), *_leak(by_arm), *_relearning(by_arm)]
        if said:
            yield f"{setting}: {'; '.join(said)}."
    if len(settings) > MOST_SETTINGS:
        yield f"These are the first {MOST_SETTINGS} of {len(settings)} settings; the table has all."


def _comparison(compared: Sequence[SideBySide], where: str) -> str:
    metered = not any(math.isnan(both.ratio(ENERGY)) for both in compared)
    what, dear, share = ("energy", ENERGY, ENERGY_OF_RETRAIN) if metered else ("time", TIME, TIME_OF_RETRAIN)
    basis = f" ({distinct(pd.Series([both.basis for both in compared]))})" if metered else ""
    costs, peaks = ([both.ratio(figure) for both in compared] for figure in (dear, PEAK))
    if any(map(math.isnan, costs)):
        return f"{where}: neither energy nor time are known of both {ZEROTH} and {FIRST}."
    taken = f"{range_text(costs, dear.ratio)} times the {what}{basis} of one by {FIRST} to the same level of forgetting"
    cost = f"an erasure by {ZEROTH} takes {taken}{_bought(costs, peaks)}."
    return f"{where}: {cost}{_against_retrain(compared, share, what)}"


def _cheapest(runs: pd.DataFrame) -> str:
    """Which arm takes the least energy of those that take no more memory than zeroth-order ascent, if another does."""
    figures = {"joules": "completion.joules", "mib": "mib", "kept": "quality.ra"}
    numbers = pd.DataFrame({name: pd.to_numeric(runs[column]) for name, column in figures.items()})
    means = numbers.groupby(runs["method"]).mean()
    within = means[(means["mib"] <= means["mib"][ZEROTH]) & ~means.index.isin([FIRST, RETRAIN])].dropna()
    best = within["joules"].idxmin() if len(within) else ZEROTH
    if best == ZEROTH:
        return ""
    joules, mib, kept = within.loc[best]
    return (
        f" Of the arms that take no more memory, {best} takes the least energy: {number(joules, '.2g')} J, with a peak "
        f"of {number(mib, '.2f')} MiB and {number(kept, '.1f')} % retain accuracy."
    )


def _bought(costs: Sequence[float], peaks: Sequence[float]) -> str:
    """What the step's memory has to do with it."""
    if any(map(math.isnan, peaks)):
        return ""
    at = f"a step that peaks at {range_text(peaks, PEAK.ratio)} times {FIRST}'s live tensors"
    if min(costs) > 1 and max(peaks) < 1:
        return f"; what that buys is {at}"
    return f"; it buys nothing: it has {at}" if min(costs) > 1 and min(peaks) >= 1 else f"; it has {at}"


def _against_retrain(compared: Sequence[SideBySide], share: Figure, what: str) -> str:
    shares = [both.means(share)[0] for both in compared]
    if any(map(math.isnan, shares)):
        return ""
    some = "".join(both.some(share) for both in compared) if len(compared) == 1 else ""
    return f" {_retraining(shares, what)}{some}."


def _retraining(shares: Sequence[float], what: str) -> str:
    text = range_text(shares, ".2g")
    if text == "1.0":
        return f"Retraining from scratch takes as much {what}"
    low, high = min(shares) >= 1, max(shares) <= 1
    takes = f"takes less {what}" if low else f"takes more {what}" if high else f"takes less {what} or more"
    exact = ", which is exact," if low else ""
    return f"Retraining from scratch{exact} {takes}: an erasure by {ZEROTH} takes {text} times as much"


def _alone(setting: str, arm: str, runs: pd.DataFrame) -> str:
    """What an arm takes where there is nothing to compare it with but Retrain."""
    taken = []
    for what, unit, column in (("time", "s", "completion.seconds"), ("energy", "J", "completion.joules")):
        mean, share = (float(pd.to_numeric(runs[name]).mean()) for name in (column, f"{column} share"))
        basis = f" ({distinct(runs['energy.basis'])})" if what == "energy" else ""
        retrain = "" if math.isnan(share) else f", {number(share, '.2g')} times the {what} of retraining from scratch"
        taken += [] if math.isnan(mean) else [f"{number(mean, '.2g')} {unit}{basis}{retrain}"]
    return f"{setting}: an erasure by {arm} takes {'; and '.join(taken) or 'an unknown time'}."


def _accuracies(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    wrong, right = _means(runs, "quality.ua", ".1f", " %"), _means(runs, "quality.ra", ".1f", " %")
    if wrong and right:
        yield f"the error on the forget set is {wrong}"
        yield f"the accuracy on the rest is {right}"


def _attack(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    taken = _means(runs, "quality.mia", ".1f", " %")
    if taken:
        yield f"the share of the forget set that an attacker takes for unseen is {taken}"


def _leak(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    told = _means(runs, "quality.mia_auc", ".3f", "")
    if told:
        yield f"the loss tells the forgotten samples from unseen ones with an AUC of {told}, 0.5 being chance"


def _relearning(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    back = _means(runs, "quality.relearn_steps", ".0f", "")
    if back and pd.to_numeric(runs[RETRAIN]["quality.relearn_steps"]).mean() == 0:
        yield "relearning shows nothing here, as a model that never saw the samples knows nearly all of them"
    elif back:
        yield f"the number of steps in which fine-tuning brings the forget set back is {back}"


def _means(runs: dict[str, pd.DataFrame], column: str, form: str, unit: str) -> str:
    """By arm, where there is one; empty if there is none but Retrain's."""
    means = {arm: float(pd.to_numeric(of_arm[column]).mean()) for arm, of_arm in runs.items()}
    known = {arm: f"{number(mean, form)}{unit} after {arm}" for arm, mean in means.items() if not math.isnan(mean)}
    return listed(known.values()) if set(known) - {RETRAIN} else ""
