"""What came out, in sentences: each number follows from the JSON in reports/gallery/."""

from collections.abc import Iterator

import pandas as pd

from reports.data.arms import FIRST, MATCHED, RETRAIN, ZEROTH
from reports.data.claims import Claim, Test
from reports.data.glossary import image_sizes, listed
from reports.data.load import CAPS, caps_of, value_of
from reports.data.part import Part
from reports.data.side_by_side import ENERGY, ENERGY_OF_RETRAIN, PEAK, TOW
from reports.page.readme.galleries import Galleries
from reports.page.readme.headline import on_engines
from reports.tables.engines import ENGINE
from reports.tables.table import interval_text, number

HEAD = "fo-ga-head"
VERDICTS = ("supported", "not supported", "not shown")


def outcome(galleries: Galleries) -> str:
    """What came out of the photographs, in one sentence."""
    (both,) = galleries.images.side_by_side
    peak, energy, share, tow = (both.means[figure] for figure in (PEAK, ENERGY, ENERGY_OF_RETRAIN, TOW))
    zeroth, head, retrain = (_means(galleries.images, arm) for arm in (ZEROTH, HEAD, RETRAIN))
    less = head / zeroth
    return (
        f"To forget a class of photographs, `{ZEROTH}` takes {number(peak.ratio, PEAK.ratio)} times the memory and "
        f"{number(energy.ratio, ENERGY.ratio)} times the energy ({both.basis}) of `{FIRST}` "
        f"({number(share.ours, '.2g')} times that of retraining), and the model is worth {number(tow.ours, '.2f')} "
        f"against {number(tow.theirs, '.2f')} (ToW; Retrain is 1); ascent on the last layer alone (`{HEAD}`) "
        f"takes {number(less['mib'], '.2f')} times the memory and {number(less['completion.joules'], '.1g')} times the "
        f"energy of `{ZEROTH}` and comes to {number(head['quality.tow'], '.2f')}, but what it forgot is back in "
        f"{number(head['quality.relearn_steps'], '.0f')} steps of fine-tuning, where a retrained model needs "
        f"{number(retrain['quality.relearn_steps'], '.0f')}."
    )


def caption(galleries: Galleries) -> str:
    """What the headline figure shows, with n and spread."""
    part = galleries.images
    (setting,) = part.runs["setting"].unique()
    seeds, erased = part.runs["seed"].nunique(), int(part.runs["erased.samples"].iloc[0])
    basis = " and ".join(sorted(part.done["energy.basis"].dropna().unique()))
    return (
        f"{setting}: {erased} images of {image_sizes(part.runs)} pixels forgotten to chance; means over {seeds} seeds, "
        f"for ToW with their range. Energy is {basis}; Retrain's peak is that of its training. Below, hatched: torch."
    )


def device(galleries: Galleries) -> str:
    """What a step takes on an inference engine, in one sentence."""
    steps, caps = on_engines(galleries.edge), caps_of(galleries.edge.steps)
    rows = {(row["method"], row["engine"]): row for _, row in steps.iterrows()}
    three = [rows[place] for place in ((ZEROTH, ENGINE), ("forward", ENGINE), (FIRST, "torch"))]
    ours, inference, theirs = (number(value_of(row, "mib"), ".0f") for row in three)
    return (
        f"On {ENGINE}, without torch, a `{ZEROTH}` step of {three[0]['network']} is a process of {ours} MiB (plain "
        f"inference there: {inference}, `{FIRST}` on torch: {theirs}); under a limit of the kernel's they need "
        f"{listed(_least(row, caps) for row in three)}."
    )


def _least(step: pd.Series, caps: list[int]) -> str:
    """The least limit that sufficed, in words."""
    return next((f"{cap} MiB" for cap in caps if step[f"{CAPS}{cap}"] is True), f"more than {caps[-1]} MiB")


def verdicts(galleries: Galleries) -> Iterator[str]:
    """A line a claim: the verdict on each run, and what it rests on."""
    first = next(iter(galleries.erasures.values()))
    for place, claim in enumerate(first.claims):
        said = (f"{what} {_verdict(part.claims[place])}" for what, part in galleries.erasures.items())
        yield f"- **{claim.title}** ({claim.rule}): {'; '.join(said)}."


def _verdict(claim: Claim) -> str:
    """The verdict, with the intervals where there is one statistic, else how many tests said what."""
    if len({test.statistic.name for test in claim.tests}) == 1:
        return f"**{claim.verdict}**, {listed(_interval(test) for test in claim.tests)}"
    counts = (f"{sum(test.verdict == verdict for test in claim.tests)} {verdict}" for verdict in VERDICTS)
    return f"**{claim.verdict}**, of {len(claim.tests)} tests {', '.join(counts)}"


def _interval(test: Test) -> str:
    interval = test.interval
    exact = interval.low == interval.high
    text = number(interval.mean, ".2f") if exact else interval_text(interval, ".2f")
    return f"{text} for {test.scenario} (n = {interval.n})"


def clipping(galleries: Galleries) -> str:
    """What came after completion: how many clipped runs collapsed, and which arms never did, over both runs."""
    known = pd.concat([part.done.dropna(subset=["stability.collapsed"]) for part in galleries.erasures.values()])
    collapsed = known.groupby("method", sort=False)["stability.collapsed"].agg(["sum", "count"])
    clipped = collapsed[collapsed.index.str.endswith("-clipped")].sum()
    never = collapsed[collapsed["sum"] == 0]
    kept = (f"`{arm}` ({int(count)} runs)" for arm, count in never["count"].items())
    spared = f"{listed(kept)} never did." if len(never) else "Of every arm some run did."
    where = " and ".join(galleries.erasures)
    return (
        f"Left running, over {where}: {int(clipped['sum'])} of {int(clipped['count'])} clipped runs collapsed. {spared}"
    )


def edges(part: Part) -> str:
    """Which arms' learning rates came out at an end of the grid that was searched."""
    rates = part.quoted.learning_rates
    if not rates:
        return ""
    used = part.runs.dropna(subset=["rate.lr"]).groupby("method", sort=False)["rate.lr"].unique()
    at_ends = {
        end: [f"`{arm}`" for arm, found in used.items() if rate in found and arm != MATCHED]
        for end, rate in (("lowest", rates[0]), ("highest", rates[-1]))
    }
    said = [f"at the {end} rate of the grid {listed(arms)}" for end, arms in at_ends.items() if arms]
    return f"{'; '.join(said).capitalize()}; the search tried none beyond." if said else ""


def _means(part: Part, arm: str) -> pd.Series:
    done = next(one.done for one in part.arms if one.arm == arm)
    columns = ["quality.tow", "quality.relearn_steps", "completion.joules", "mib"]
    means: pd.Series = done[columns].apply(pd.to_numeric).mean()
    return means
