"""One erasure request as `sustainability.json` has it: every figure of a run, unrounded."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.data.device_budgets import smallest_budget
from reports.data.load import BACK, PROBED
from reports.data.part import Part
from reports.sustainability.tables import ACCOUNTED


@dataclass(frozen=True)
class Request:
    """What is not known is None.

    Attributes:
        setting, arm, seed: which run it is of.
        data, samples, samples_of, samples_digest: the data set; how many of how many training samples were to be
            forgotten, and the hash that names them, under which "samples" has their names.
        target_accuracy_percent: the accuracy on them at or below which the erasure is complete.
        receipt_sha256: of the receipt of the steps, from which they can be taken again without the data.
        original, original_sha256: the file of the model that was to forget, if the suite did not train it.
        learning_rate, eps, batch_size, tail: what the arm was run with; how much of the network it moved.
        complete, outcome: whether it was forgotten, and how the whole run ended, which goes on after that.
        energy_j, energy_basis, energy_boundaries, energy_window_s: to completion, in joules; measured or estimated; by
            kind of hardware, whether it is the process's or the machine's; how many seconds were metered.
        grid_gco2e_per_kwh, country: carbon intensity of the grid, in grams, and whose it is.
        sci_gco2e: energy times intensity, in grams; emissions of making the hardware are not included.
        time_s: to completion, without evaluations, in seconds.
        energy_over_retrain, time_over_retrain: over Retrain's with the same seed.
        tensor_peak_bytes, process_peak_bytes: of a step, live tensors and the whole process.
        tensors_fit_into, process_fits_into: the smallest of the budgets that holds them.
        forget_error_percent, retain_accuracy_percent, test_accuracy_percent: at completion.
        original_retain_accuracy_percent, retain_accuracy_lost_points: what the model was right on of what is to be kept
            before it forgot, and how much of that it lost.
        membership_inference_percent, membership_inference_auc, probe_percent, relearned_percent: the evidence of
            forgetting; what a probe of 20 samples a class finds, and what fine-tuning on as many brings back.
    """

    setting: str
    arm: str
    seed: int
    data: str
    samples: int | None
    samples_of: int | None
    samples_digest: str | None
    target_accuracy_percent: float | None
    receipt_sha256: str | None
    original: str | None
    original_sha256: str | None
    learning_rate: float | None
    eps: float | None
    batch_size: int
    tail: str | None
    complete: bool | None
    outcome: str
    energy_j: float | None
    energy_basis: str | None
    energy_boundaries: dict[str, str]
    energy_window_s: float | None
    grid_gco2e_per_kwh: float | None
    country: str | None
    sci_gco2e: float | None
    time_s: float | None
    energy_over_retrain: float | None
    time_over_retrain: float | None
    tensor_peak_bytes: int | None
    process_peak_bytes: int | None
    tensors_fit_into: str | None
    process_fits_into: str | None
    forget_error_percent: float | None
    original_retain_accuracy_percent: float | None
    retain_accuracy_percent: float | None
    retain_accuracy_lost_points: float | None
    test_accuracy_percent: float | None
    membership_inference_percent: float | None
    membership_inference_auc: float | None
    probe_percent: float | None
    relearned_percent: float | None


COLUMNS = {
    "data": "dataset",
    "samples": "erased.samples",
    "samples_of": "erased.of",
    "samples_digest": "erased.digest",
    "target_accuracy_percent": "erased.target",
    "receipt_sha256": "receipt_sha256",
    "original": "origins.original.name",
    "original_sha256": "origins.original.sha256",
    "learning_rate": "rate.lr",
    "eps": "rate.eps",
    "batch_size": "batch_size",
    "tail": "rate.tail",
    "complete": "completion.reached",
    "outcome": "outcome",
    "energy_j": "completion.joules",
    "energy_basis": "energy.basis",
    "energy_window_s": "energy.window_s",
    "grid_gco2e_per_kwh": "intensity",
    "country": "energy.country",
    "sci_gco2e": "co2e",
    "time_s": "completion.seconds",
    "energy_over_retrain": "completion.joules share",
    "time_over_retrain": "completion.seconds share",
    "tensor_peak_bytes": "memory.tensor_peak_bytes",
    "process_peak_bytes": "memory.process_peak_bytes",
    "forget_error_percent": "quality.ua",
    "retain_accuracy_percent": "quality.ra",
    "test_accuracy_percent": "quality.ta",
    "membership_inference_percent": "quality.mia",
    "membership_inference_auc": "quality.mia_auc",
    "probe_percent": PROBED,
    "relearned_percent": BACK,
    "seed": "seed",
}


def requests(part: Part) -> Iterator[Request]:
    """One a run, by setting and arm."""
    for arm in part.arms:
        for _, case in arm.runs.iterrows():
            figures = {name: _plain(case.get(column)) for name, column in COLUMNS.items()}
            before = _plain(part.originals["retain_accuracy"].get((arm.setting, case["seed"])))
            after = figures["retain_accuracy_percent"]
            yield Request(
                setting=arm.setting,
                arm=arm.arm,
                energy_boundaries={
                    word: case[f"energy.{part}.boundary"]
                    for part, word in ACCOUNTED.items()
                    if _plain(case[f"energy.{part}.boundary"]) is not None
                },
                tensors_fit_into=_budget(figures["tensor_peak_bytes"]),
                process_fits_into=_budget(figures["process_peak_bytes"]),
                original_retain_accuracy_percent=before,
                retain_accuracy_lost_points=None if before is None or after is None else before - after,
                **figures,
            )


def _budget(peak: float | None) -> str | None:
    return None if peak is None else smallest_budget(peak)


def _plain(value: Any) -> Any:
    """As JSON has it: what is not known is None, and whole numbers are whole."""
    if value is None or pd.isna(value):
        return None
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() and math.fabs(value) < 2**53 else value
