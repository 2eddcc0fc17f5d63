"""What the page shows on each subject, in its order: the figures, each with the table that says the same in numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import pandas as pd

from reports.data.part import Part
from reports.data.points import LOSSES
from reports.figures.curves import accuracy_curves, displacement_curves, loss_curves, other_loss_curves
from reports.figures.depth import features, relearning
from reports.figures.engines import engine_peaks, memory_caps
from reports.figures.erasures import completion_cost, pareto, quality_gaps
from reports.figures.frontier import frontier
from reports.figures.panels import Drawing
from reports.figures.steps import allocator_memory, composition, memory, process_memory, step_energy, step_time
from reports.tables.depth import depth_table, margin_table, relearning_table
from reports.tables.engines import cap_table, engine_table, peak_bar_table
from reports.tables.erasures import (
    cost_table,
    curve_table,
    displacement_table,
    frontier_table,
    pareto_table,
    quality_table,
    stability_table,
)
from reports.tables.side_by_side import cost_bar_table
from reports.tables.steps import (
    bar_table,
    composition_table,
    dtype_table,
    energy_comparison,
    memory_comparison,
    step_table,
    time_comparison,
)
from reports.tables.table import Table


@dataclass(frozen=True)
class Pair:
    """A figure and its table.

    Attributes:
        name: of the figure's files.
        rows: what the figure is drawn from, of which it may show some.
        draw, tabulate: what they show of such rows, and of a run on a device; None where there is nothing of the kind.
        missing: why a run may have no such figure, in a sentence.
    """

    name: str
    rows: Callable[[Part], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Drawing | None]
    tabulate: Callable[[Part], Table | None]
    missing: str


@dataclass(frozen=True)
class Subject:
    """What the page has on one subject.

    Attributes:
        title, about: the subject, and what is in it in a few words.
        cases: those that it is about.
        of: the column whose values a figure has room for some of, a panel or a row each.
        most: how many of them the page shows.
        pairs, last: figures with their tables; the tables after them.
        missing: why a run may have none of all this, in a sentence.
    """

    title: str
    about: str
    cases: Callable[[Part], pd.DataFrame]
    of: str
    most: int
    pairs: tuple[Pair, ...]
    last: tuple[Callable[[Part], Table | None], ...]
    missing: str


MOST_IN_FILES = 12  # models or settings of a figure; beyond that it is no picture any more
MOST_SETTINGS_IN_PAGE = 4  # all arms with five seeds take 0.7 MB each
STEP_FIGURES = (
    Pair(
        "memory",
        attrgetter("steps"),
        memory,
        memory_comparison,
        "No figure of the peak of live tensors: this run has no step in which they were counted.",
    ),
    Pair(
        "composition",
        attrgetter("largest_batches"),
        composition,
        composition_table,
        "No figure of what the peak is made of: this run has no step whose peak is known by category.",
    ),
    Pair(
        "memory-allocator",
        attrgetter("steps"),
        allocator_memory,
        partial(memory_comparison, ledger="allocator"),
        "No figure of the allocator ledger: this run has no step in which torch's allocator was watched.",
    ),
    Pair(
        "memory-process",
        attrgetter("steps"),
        process_memory,
        partial(memory_comparison, ledger="process"),
        "No figure of the process ledger: this run has no step that was measured in a process of its own, which takes "
        "Linux.",
    ),
    Pair(
        "engines",
        attrgetter("on_engines"),
        engine_peaks,
        engine_table,
        "No figure of engines: this run has no network on more than one; that of edge has.",
    ),
    Pair(
        "memory-caps",
        attrgetter("on_engines"),
        memory_caps,
        cap_table,
        "No figure of memory limits: this run tried no step under any; that of edge did.",
    ),
    Pair(
        "step-time",
        attrgetter("steps"),
        step_time,
        time_comparison,
        "No figure of the time of a step: this run has no step that was timed; --memory-only leaves time out.",
    ),
    Pair(
        "step-energy",
        attrgetter("steps"),
        step_energy,
        energy_comparison,
        "No figure of the energy of a step: this run has no step that was metered; --memory-only and --no-energy leave "
        "energy out.",
    ),
)
QUALITY = "quality-gaps"  # its table is the evidence of forgetting
BESIDE_RETRAIN = (
    "it takes a run of an arm that completed with something to forget, and one of Retrain with the same seed."
)
NONE_COMPLETED = "this run has no ascent that completed with something to forget."
ERASURE_FIGURES = (
    Pair(
        "completion-cost",
        attrgetter("done"),
        completion_cost,
        cost_table,
        f"No figure of cost over Retrain's: {BESIDE_RETRAIN}",
    ),
    Pair(
        QUALITY,
        attrgetter("done"),
        quality_gaps,
        quality_table,
        f"No figure of quality against Retrain: {BESIDE_RETRAIN}",
    ),
    Pair(
        "features",
        attrgetter("feature_points"),
        features,
        depth_table,
        "No figure of outputs against features: it takes an arm that completed, a Retrain, and features to probe.",
    ),
    Pair(
        "relearning",
        attrgetter("relearned"),
        relearning,
        relearning_table,
        "No figure of what comes back: it takes an arm that completed, and a learning rate of training to relearn "
        "with.",
    ),
    Pair(
        "frontier",
        attrgetter("frontier"),
        frontier,
        frontier_table,
        "No figure of cost against ToW: it takes a run of an arm that completed with something to forget, and a "
        "Retrain.",
    ),
    Pair(
        "pareto",
        attrgetter("pareto_points"),
        pareto,
        pareto_table,
        "No figure of memory against utility: this run has no completed erasure with both on record.",
    ),
    Pair(
        "loss-curves",
        attrgetter("ascents"),
        loss_curves,
        partial(curve_table, columns=LOSSES),
        f"No figure of the losses: {NONE_COMPLETED}",
    ),
    Pair(
        "accuracy-curves",
        attrgetter("ascents"),
        accuracy_curves,
        partial(curve_table, columns=("forget_accuracy", "retain_accuracy")),
        f"No figure of the accuracies: {NONE_COMPLETED}",
    ),
    Pair(
        "displacement-curves",
        attrgetter("ascents"),
        displacement_curves,
        displacement_table,
        f"No figure against displacement: {NONE_COMPLETED}",
    ),
    Pair(
        "other-loss-curves",
        attrgetter("others"),
        other_loss_curves,
        partial(curve_table, columns=LOSSES, ascents=False),
        "No figure of the other arms' losses: this run has no other arm that completed with something to forget.",
    ),
)
SUBJECTS = (
    Subject(
        "Single steps",
        "memory, time and energy of one step",
        attrgetter("steps"),
        of="model",
        most=MOST_IN_FILES,
        pairs=STEP_FIGURES,
        last=(bar_table, peak_bar_table, dtype_table, step_table),
        missing="This run has no single steps; those of quick and step-cost do.",
    ),
    Subject(
        "Whole erasures",
        "cost, quality, depth and stability",
        attrgetter("runs"),
        of="setting",
        most=MOST_SETTINGS_IN_PAGE,
        pairs=ERASURE_FIGURES,
        last=(cost_bar_table, margin_table, stability_table),
        missing="This run has no whole erasures; those of quick and digits do.",
    ),
)
