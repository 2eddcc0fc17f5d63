"""A block for the head of a model card, as Hugging Face reads it: what unlearning has emitted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.record import Run
from reports.data.arms import RETRAIN, ZEROTH, places
from reports.tables.machine import hardware
from reports.tables.table import distinct, number

SOURCE = "zo-unlearning-bench, by CodeCarbon"


@dataclass(frozen=True)
class ModelCard:
    """The block of one setting: what it is of, and YAML."""

    title: str
    yaml: str


def model_cards(done: pd.DataFrame, run: Run) -> Iterator[ModelCard]:
    """One a setting: of zeroth-order ascent where it was run, else of the first arm in the order of the figures.

    Args:
        done: completed runs, with their emissions as `co2e` in grams.
    """
    known = done[done["co2e"].notna() & (done["method"] != RETRAIN)]
    for setting, cases in known.groupby("setting", sort=False):
        order = list(places(cases["method"]))
        arm = ZEROTH if ZEROTH in order else order[0]
        of_arm = cases[cases["method"] == arm]
        country = distinct(of_arm["energy.country"])
        yield ModelCard(
            f"{setting}, {arm}, one erasure request",
            "co2_eq_emissions:\n"
            f"  emissions: {number(of_arm['co2e'].mean(), '.2g').replace(',', '')}  # grams\n"
            f"  source: {json.dumps(SOURCE)}\n"
            "  training_type: fine-tuning\n"
            f"  geographical_location: {json.dumps(f'{country} (grid assumed by the profile)')}\n"
            f"  hardware_used: {json.dumps(hardware(run, str(of_arm['device'].iloc[0])))}\n",
        )
