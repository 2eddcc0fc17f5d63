"""What came out, in sentences: each number follows from the JSON in reports/gallery/."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reports.data.arms import FIRST, MATCHED, ZEROTH
from reports.data.erasures import on_torch
from reports.data.load import CAPS, ENDS, caps_of, value_of
from reports.data.part import Part
from reports.data.side_by_side import ENERGY, ENERGY_OF_RETRAIN, PEAK, TOW
from reports.data.verdicts.claims import Claim, Verdict
from reports.data.words.glossary import image_sizes, listed
from reports.page.readme.galleries import Galleries
from reports.page.readme.headline import first_setting, on_engines
from reports.tables.engines import ENGINE
from reports.tables.table import number

HEAD = "fo-ga-head"
VERDICTS: tuple[Verdict, ...] = ("supported", "not supported", "not shown")


def outcome(galleries: Galleries) -> str:
    """What came out of the photographs, in one sentence."""
    both, part = galleries.images.side_by_side[0], galleries.images
    peak, energy, share, tow = (both.means[figure] for figure in (PEAK, ENERGY, ENERGY_OF_RETRAIN, TOW))
    zeroth, head = (_means(part, arm) for arm in (ZEROTH, HEAD))
    less = head / zeroth
    return (
        f"To forget a class of photographs, `{ZEROTH}` takes {number(peak.ratio, PEAK.ratio)} times the memory and "
        f"{number(energy.ratio, ENERGY.ratio)} times the energy ({both.basis}) of `{FIRST}` "
        f"({number(share.ours, '.2g')} times that of retraining), and the model is worth {number(tow.ours, '.2f')} "
        f"against {number(tow.theirs, '.2f')} (ToW; Retrain is 1); ascent on the last layer alone (`{HEAD}`) "
        f"takes {number(less['mib'], '.2f')} times the memory and {number(less['completion.joules'], '.1g')} times the "
        f"energy of `{ZEROTH}` and comes to {number(head['quality.tow'], '.2f')}{_hidden(part, both.setting)}."
    )


def _hidden(part: Part, setting: str) -> str:
    """What is left in the features; empty where nothing was probed."""
    points = part.feature_points
    known = points[points["setting"] == setting].set_index("method")
    if not {HEAD, ZEROTH} <= set(known.index):
        return ""
    head, ours = (number(known["probe"][arm], ".0f") for arm in (HEAD, ZEROTH))
    original, retrained = (number(known[end][ZEROTH], ".0f") for end in ENDS[1:])
    return (
        f", where a probe finds {head} % of the class in the features (`{ZEROTH}`: {ours}, the original: {original}, "
        f"Retrain: {retrained})"
    )


def caption(galleries: Galleries) -> str:
    """What the headline figure shows, with n and spread."""
    part = galleries.images
    setting = first_setting(part)
    runs = part.runs[part.runs["setting"] == setting]
    seeds, erased = runs["seed"].nunique(), int(runs["erased.samples"].iloc[0])
    basis = " and ".join(sorted(runs["energy.basis"].dropna().unique()))
    return (
        f"{setting}: {erased} images of {image_sizes(runs)} pixels forgotten to chance; means over {seeds} seeds, "
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
    """A sentence a claim: where it holds, where not, and where that is not shown, on torch and on an engine."""
    for place, claim in enumerate(galleries.digits.claims):
        found: defaultdict[str, defaultdict[Verdict, list[str]]] = defaultdict(lambda: defaultdict(list))
        for part in galleries.judged.values():
            own = part.claims[place] if part.claims else Claim(claim.statement, ())
            for setting in dict.fromkeys(test.setting for test in own.tests):
                tests = tuple(test for test in own.tests if test.setting == setting)
                engine = tests[0].engine
                found[engine][Claim(claim.statement, tests).verdict].append(on_torch(setting, engine))
        said = "; ".join(f"on {engine} {_where(places)}" for engine, places in found.items())
        yield f"- **{claim.title}** ({claim.rule}): {said}."


def _where(places: Mapping[Verdict, Sequence[str]]) -> str:
    """The settings in which a claim holds, and so on."""
    words = {"supported": "**holds** for", "not supported": "does **not** for", "not shown": "**not shown** for"}
    return ", ".join(f"{words[verdict]} {listed(places[verdict])}" for verdict in VERDICTS if places.get(verdict))


def clipping(galleries: Galleries) -> str:
    """What came after completion: how many clipped runs collapsed, and which arms never did, over both runs."""
    known = pd.concat([part.done.dropna(subset=["stability.collapsed"]) for part in galleries.erasures.values()])
    collapsed = known.groupby("method", sort=False)["stability.collapsed"].agg(["sum", "count"])
    clipped = collapsed[collapsed.index.str.endswith("-clipped")].sum()
    never = collapsed[collapsed["sum"] == 0]
    kept = (f"`{arm}` ({int(count)} runs)" for arm, count in never["count"].items())
    spared = f"{listed(kept)} never did." if len(never) else "Of every arm some run did."
    where = listed(galleries.erasures)
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
    done = next(one.done for one in part.arms if one.arm == arm and one.setting == first_setting(part))
    columns = ["quality.tow", "completion.joules", "mib"]
    means: pd.Series = done[columns].apply(pd.to_numeric).mean()
    return means
