"""Every figure of the page in its order, each with the table that says the same in numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from reports.data.load import Results
from reports.data.points import LOSSES
from reports.figures.curves import accuracy_curves, displacement_curves, loss_curves, other_loss_curves
from reports.figures.erasures import completion_cost, pareto, quality_gaps
from reports.figures.panels import Drawing
from reports.figures.steps import allocator_memory, composition, memory, process_memory, step_energy, step_time
from reports.tables.erasures import cost_table, curve_table, displacement_table, pareto_table, quality_table
from reports.tables.steps import composition_table, energy_comparison, memory_comparison, time_comparison
from reports.tables.table import Table


@dataclass(frozen=True)
class Pair:
    """A figure and its table.

    Attributes:
        name: of the figure's files.
        draw, tabulate: what they show of some results; None where these have nothing of the kind.
        missing: why a run may have no such figure, in a sentence.
    """

    name: str
    draw: Callable[[Results], Drawing | None]
    tabulate: Callable[[Results], Table | None]
    missing: str


STEP_FIGURES = (
    Pair(
        "memory",
        memory,
        memory_comparison,
        "No figure of the peak of live tensors: this run has no step in which they were counted.",
    ),
    Pair(
        "composition",
        composition,
        composition_table,
        "No figure of what the peak is made of: this run has no step whose peak is known by category.",
    ),
    Pair(
        "memory-allocator",
        allocator_memory,
        partial(memory_comparison, ledger="allocator"),
        "No figure of the allocator ledger: this run has no step in which torch's allocator was watched.",
    ),
    Pair(
        "memory-process",
        process_memory,
        partial(memory_comparison, ledger="process"),
        "No figure of the process ledger: this run has no step that was measured in a process of its own, which takes "
        "Linux.",
    ),
    Pair(
        "step-time",
        step_time,
        time_comparison,
        "No figure of the time of a step: this run has no step that was timed; --memory-only leaves time out.",
    ),
    Pair(
        "step-energy",
        step_energy,
        energy_comparison,
        "No figure of the energy of a step: this run has no step that was metered; --memory-only and --no-energy leave "
        "energy out.",
    ),
)
BESIDE_RETRAIN = (
    "it takes a run of an arm that completed with something to forget, and one of Retrain with the same seed."
)
NONE_COMPLETED = "this run has no ascent that completed with something to forget."
ERASURE_FIGURES = (
    Pair(
        "completion-cost",
        completion_cost,
        cost_table,
        f"No figure of cost over Retrain's: {BESIDE_RETRAIN}",
    ),
    Pair(
        "quality-gaps",
        quality_gaps,
        quality_table,
        f"No figure of quality against Retrain: {BESIDE_RETRAIN}",
    ),
    Pair(
        "pareto",
        pareto,
        pareto_table,
        "No figure of memory against utility: this run has no completed erasure with both on record.",
    ),
    Pair(
        "loss-curves",
        loss_curves,
        partial(curve_table, columns=LOSSES),
        f"No figure of the losses: {NONE_COMPLETED}",
    ),
    Pair(
        "accuracy-curves",
        accuracy_curves,
        partial(curve_table, columns=("forget_accuracy", "retain_accuracy")),
        f"No figure of the accuracies: {NONE_COMPLETED}",
    ),
    Pair(
        "displacement-curves",
        displacement_curves,
        displacement_table,
        f"No figure against displacement: {NONE_COMPLETED}",
    ),
    Pair(
        "other-loss-curves",
        other_loss_curves,
        partial(curve_table, columns=LOSSES, ascents=False),
        "No figure of the other arms' losses: this run has no other arm that completed with something to forget.",
    ),
)
