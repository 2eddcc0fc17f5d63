"""A block for the head of a model card, as Hugging Face reads it: what unlearning has emitted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from reports.data.arms import RETRAIN, ZEROTH
from reports.data.erasures import by_setting
from reports.data.part import Part
from reports.data.words.glossary import distinct
from reports.tables.table import number

SOURCE = "zo-unlearning-bench, by CodeCarbon"


@dataclass(frozen=True)
class ModelCard:
    """The block of one setting: what it is of, and YAML."""

    title: str
    yaml: str


def model_cards(part: Part) -> Iterator[ModelCard]:
    """One a setting: of zeroth-order ascent where it completed, else of the first arm in the order of the figures."""
    for setting, of_setting in by_setting(part.arms):
        metered = {name: arm.done.dropna(subset=["co2e"]) for name, arm in of_setting.items() if name != RETRAIN}
        known = [name for name, runs in metered.items() if not runs.empty]
        if not known:
            continue
        arm = ZEROTH if ZEROTH in known else known[0]
        country = distinct(metered[arm]["energy.country"])
        yield ModelCard(
            f"{setting}, {arm}, one erasure request",
            "co2_eq_emissions:\n"
            f"  emissions: {number(metered[arm]['co2e'].mean(), '.2g').replace(',', '')}  # grams\n"
            f"  source: {json.dumps(SOURCE)}\n"
            "  training_type: fine-tuning\n"
            f"  geographical_location: {json.dumps(f'{country} (grid assumed by the profile)')}\n"
            f"  hardware_used: {json.dumps(part.hardware)}\n",
        )
