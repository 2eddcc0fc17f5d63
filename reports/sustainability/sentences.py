"""The sentences of the sustainability statement: what an erasure costs against what, and what was shown about it."""

import math
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from bench.record import SHOTS
from reports.data.arms import FIRST, RETRAIN, ZEROTH
from reports.data.erasures import ArmRuns, by_setting
from reports.data.load import BACK, DEPTH, shots_of
from reports.data.part import Part
from reports.data.side_by_side import ENERGY, ENERGY_OF_RETRAIN, PEAK, TIME_OF_RETRAIN
from reports.data.words.glossary import LAST, distinct, listed
from reports.tables.side_by_side import MOST_SETTINGS, Compared, compared, not_compared
from reports.tables.table import number, range_text


def headline(part: Part) -> Iterator[str]:
    """What zeroth-order ascent costs and buys over first-order ascent, at the same level of forgetting, by setting.

    Of many settings, the least and the greatest figures; where only one of the two was run, what that one takes.
    """
    for one in compared(part.side_by_side):
        done = part.done[part.done["setting"] == one.settings[0].setting]
        yield f"{_comparison(one)}{_cheapest(done) if len(one.settings) == 1 else ''}"
    yield from (sentence for _, sentence in not_compared(part.side_by_side))
    both = {one.setting for one in part.side_by_side}
    alone = (_first(arms.values()) for setting, arms in by_setting(part.arms) if setting not in both)
    yield from [_alone(arm) for arm in alone if arm is not None][:MOST_SETTINGS]


def evidence(part: Part) -> Iterator[str]:
    """What was shown about forgetting, by setting: the ascents beside Retrain, at completion.

    Of the first `MOST_SETTINGS` settings.
    """
    settings = [
        (setting, arms) for setting, arms in by_setting(part.arms) if any(len(arm.done) for arm in arms.values())
    ]
    for setting, arms in settings[:MOST_SETTINGS]:
        done = {name: arms[name].done for name in (ZEROTH, FIRST, RETRAIN) if name in arms}
        original = part.originals["retain_accuracy"].get(setting)
        said = [*_accuracies(done, original), *_attack(done), *_leak(done), *_relearning(done), *_depth(done)]
        if said:
            yield f"{setting}: {'; '.join(said)}."
    if len(settings) > MOST_SETTINGS:
        yield f"These are the first {MOST_SETTINGS} of {len(settings)} settings; the table has all."


def _comparison(found: Compared) -> str:
    if found.spent is None:
        return f"{found.where}: neither energy nor time are known of both {ZEROTH} and {FIRST}."
    cost = f"an erasure by {ZEROTH} takes {found.taken} of one by {FIRST} to the same level of forgetting"
    bought = _bought(found.ratios(found.spent), found.ratios(PEAK))
    return f"{found.where}: {cost}{bought}.{_against_retrain(found)}"


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


def _against_retrain(found: Compared) -> str:
    share, what = (ENERGY_OF_RETRAIN, "energy") if found.spent is ENERGY else (TIME_OF_RETRAIN, "time")
    shares = [one.means[share].ours for one in found.settings]
    return "" if any(map(math.isnan, shares)) else f" {_retraining(shares, what)}{found.some(share)}."


def _retraining(shares: Sequence[float], what: str) -> str:
    text = range_text(shares, ".2g")
    if text == "1.0":
        return f"Retraining from scratch takes as much {what}"
    low, high = min(shares) >= 1, max(shares) <= 1
    takes = f"takes less {what}" if low else f"takes more {what}" if high else f"takes less {what} or more"
    exact = ", which is exact," if low else ""
    return f"Retraining from scratch{exact} {takes}: an erasure by {ZEROTH} takes {text} times as much"


def _first(arms: Iterable[ArmRuns]) -> ArmRuns | None:
    """The first arm that completed, but for Retrain."""
    return next((one for one in arms if one.arm != RETRAIN and not one.done.empty), None)


def _alone(arm: ArmRuns) -> str:
    """What an arm takes where there is nothing to compare it with but Retrain."""
    taken = []
    for what, unit, column in (("time", "s", "completion.seconds"), ("energy", "J", "completion.joules")):
        mean, share = (float(pd.to_numeric(arm.done[name]).mean()) for name in (column, f"{column} share"))
        basis = f" ({distinct(arm.done['energy.basis'])})" if what == "energy" else ""
        retrain = "" if math.isnan(share) else f", {number(share, '.2g')} times the {what} of retraining from scratch"
        taken += [] if math.isnan(mean) else [f"{number(mean, '.2g')} {unit}{basis}{retrain}"]
    joint = "; and " if any(", " in one for one in taken) else " and "
    return f"{arm.setting}: an erasure by {arm.arm} takes {joint.join(taken) or 'an unknown time'}."


def _accuracies(runs: dict[str, pd.DataFrame], original: pd.Series | None) -> Iterator[str]:
    """`original` has the accuracy on the rest before anything was forgotten, by seed; None if that is not on record."""
    wrong, right = _means(runs, "quality.ua", ".1f", " %"), _means(runs, "quality.ra", ".1f", " %")
    if wrong and right:
        seeds = pd.concat(list(runs.values()))["seed"].unique()
        mean = math.nan if original is None else original.reindex(seeds).mean()
        before = "" if math.isnan(mean) else f", {number(mean, '.1f')} % in the original,"
        yield f"the error on the forget set is {wrong}"
        yield f"the accuracy on the rest{before} is {right}"


def _attack(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    taken = _means(runs, "quality.mia", ".1f", " %")
    if taken:
        yield f"the share of the forget set that an attacker takes for unseen is {taken}"


def _leak(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    told = _means(runs, "quality.mia_auc", ".3f", "")
    if told:
        yield f"the loss tells the forgotten samples from unseen ones with an AUC of {told}, 0.5 being chance"


def _relearning(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    first = next(iter(runs.values()))
    back = _means(runs, BACK, ".1f", " %") if BACK in first else ""
    if back:
        of_class = str(first["scenario"].iloc[0]).startswith("class:")
        taught = f"{SHOTS} samples of every class" if of_class else f"{SHOTS} of the forgotten samples"
        asked = "unseen samples of the forgotten class" if of_class else "others of them"
        yield f"after {LAST} steps of fine-tuning on {taught} the accuracy on {asked} is {back}"


def _depth(runs: dict[str, pd.DataFrame]) -> Iterator[str]:
    """From the middle number of shots; few scatter, and many find what is hardly there."""
    shots = shots_of(next(iter(runs.values())))
    if not shots:
        return
    columns = f"{DEPTH}{shots[len(shots) // 2]}"
    found = _means(runs, f"{columns}.model", ".1f", " %")
    before = pd.to_numeric(pd.concat([of_arm[f"{columns}.original"] for of_arm in runs.values()])).mean()
    if found:
        yield (
            f"a linear probe from {shots[len(shots) // 2]} samples a class, which finds {number(before, '.1f')} % of "
            f"the forgotten in the original's features, finds {found}"
        )


def _means(runs: dict[str, pd.DataFrame], column: str, form: str, unit: str) -> str:
    """By arm, where there is one; empty if there is none but Retrain's."""
    means = {arm: float(pd.to_numeric(of_arm[column]).mean()) for arm, of_arm in runs.items()}
    known = {arm: f"{number(mean, form)}{unit} after {arm}" for arm, mean in means.items() if not math.isnan(mean)}
    return listed(known.values()) if set(known) - {RETRAIN} else ""
