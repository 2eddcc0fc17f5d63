"""The sustainability statement: what one erasure request costs, against what, and what was shown about it.

Per request: energy E, and emissions as the Software Carbon Intensity ((E x I) + M) per R (ISO/IEC 21031:2024) with R
one erasure request, I the carbon intensity of the grid, and M, the share of making the hardware, not included.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bench.record import Inventory, Sample, TuningCost
from reports.data.arms import MATCHED, RETRAIN, places
from reports.data.load import printable_lines
from reports.data.part import Part
from reports.data.words.glossary import ARMS, COMPLETE, ESTIMATED, SETTING
from reports.sustainability.asked import answers, erased_table, models_table, receipt_table, samples_table
from reports.sustainability.model_card import ModelCard, model_cards
from reports.sustainability.request import Request, requests
from reports.sustainability.sentences import evidence, headline
from reports.sustainability.sheet import NO_GUARANTEE, NO_RETRAIN, Sheet, sheets
from reports.sustainability.tables import (
    ACCOUNTED,
    NO_MAKING,
    basis_table,
    rate_table,
    request_table,
    search_table,
    thousand_table,
)
from reports.tables.table import Table

COUNTED = (
    "Costs are counted up to T*, without the evaluations that tell that it is reached; Retrain's are those of its "
    "whole training."
)
OF_A_STUDY = (
    "Where the profile does not give the accuracy to reach on random and named samples, it is that of Retrain, which a "
    "request outside of a study does not have."
)
UNSEEN = (
    "Test data stand for what a model never saw. That a model from a file did not learn from them, and did learn from "
    "what was to be forgotten, is for those to know who trained it."
)
ONE_HOUR = "Seconds and joules are those of one machine and hour, with whatever else ran on it then."
TWO_PASSES = "Where energy and time differ as shares of Retrain's, that is the noise of two passes."
NOT_METERED = "Energy was not metered in this run, so there are no figures of energy and emissions."
NOTHING_COMPLETED = "No run came to completion with something to forget, so there is nothing that an erasure cost."
ASSUMED_GRID = (
    "Emissions are computed for the grid of the country that the profile names; the machine need not have been there."
)
MISSING = "No statement: this run has no whole erasures."
SCI = {
    "formula": "((E x I) + M) per R, ISO/IEC 21031",
    "E": "energy_j",
    "I": "grid_gco2e_per_kwh",
    "M": "not included",
    "R": "one erasure request",
}


@dataclass(frozen=True)
class Statement:
    """What the runs of one machine and device say about an erasure request.

    Attributes:
        sheets: one request a page.
        headline: the annex' first sentences: what became of named samples, then zeroth- against first-order ascent.
        evidence: sentences on what was shown about forgetting.
        tables: in the order of reading.
        notes: what holds for all figures.
        model_cards: one a setting; empty where no energy is known.
        requests: the figures behind it, unrounded.
        samples: of each request, by its hash.
        data: what the data sets held.
        search: what finding the learning rates took.
        profile: the text of the profile, as it was read.
    """

    sheets: tuple[Sheet, ...]
    headline: tuple[str, ...]
    evidence: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    model_cards: tuple[ModelCard, ...]
    requests: tuple[Request, ...]
    samples: dict[str, tuple[Sample, ...]]
    data: tuple[Inventory, ...]
    search: tuple[TuningCost, ...]
    profile: str

    @property
    def against_retrain(self) -> bool:
        """Whether there is a Retrain that the models can be held against."""
        return any(request.arm == RETRAIN for request in self.requests)


TABLES: tuple[Callable[[Part], Table | None], ...] = (
    request_table,
    thousand_table,
    basis_table,
    search_table,
    erased_table,
    samples_table,
    models_table,
    receipt_table,
    rate_table,
)


def statement(part: Part) -> Statement | None:
    """The statement of one run and device; None where no erasure was run."""
    if part.runs.empty:
        return None
    return Statement(
        tuple(sheets(part)),
        (*answers(part), *headline(part)),
        tuple(evidence(part)),
        tuple(table.telling for tabulate in TABLES if (table := tabulate(part)) is not None),
        tuple(_notes(part)),
        tuple(model_cards(part)),
        tuple(requests(part)),
        part.run.requests,
        part.run.data,
        part.run.tuning,
        printable_lines(part.run.profile_text),
    )


def as_data(said: Statement | None) -> dict[str, Any]:
    """The statement for `sustainability.json`."""
    if said is None:
        return {"missing": MISSING}
    return {
        "unit": "one erasure request",
        "headline": said.headline,
        "evidence": said.evidence,
        "notes": said.notes,
        "software_carbon_intensity": SCI,
        "requests": [asdict(request) for request in said.requests],
        "samples": {digest: [one.model_dump() for one in found] for digest, found in said.samples.items()},
        "data": [found.model_dump(mode="json") for found in said.data],
        "search": [cost.model_dump() for cost in said.search],
        "profile": said.profile,
        "model_cards": [asdict(card) for card in said.model_cards],
    }


def _notes(part: Part) -> Iterator[str]:
    done = part.done
    yield from (ARMS, SETTING, COMPLETE, COUNTED)
    if part.runs["quality.ua"].notna().any() and part.runs["quality.tow"].isna().all():
        yield NO_RETRAIN
    elif not part.runs["scenario"].str.startswith("class:").all():
        yield OF_A_STUDY
    if part.runs["origins.original.name"].notna().any():
        yield UNSEEN
    if done.empty:
        yield NOTHING_COMPLETED
    elif pd.to_numeric(done["completion.joules"]).isna().all():
        yield NOT_METERED
    else:
        shares = [f"energy.{name}.basis" for name in ACCOUNTED]
        if (done["energy.basis"] == "estimated").any() and not (done[shares] == "measured").any(axis=None):
            yield f"{ESTIMATED} {TWO_PASSES}"
        yield ASSUMED_GRID
        yield ONE_HOUR
    tuned = {cost.method for cost in part.run.tuning}
    unsearched = [arm for arm in places(part.runs.dropna(subset=["rate.lr"])["method"]) if arm not in tuned]
    unsearched = [arm for arm in unsearched if arm != MATCHED]  # takes zo-ga's
    if unsearched:
        yield f"No search for the learning rates of {', '.join(unsearched)} is on record."
    yield NO_MAKING
    yield NO_GUARANTEE
