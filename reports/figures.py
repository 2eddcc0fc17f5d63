"""Every figure of the page in its order, each with the table that says the same in numbers."""

from collections.abc import Callable
from functools import partial

from reports.curve_figures import LOSSES, accuracy_curves, displacement_curves, loss_curves, other_loss_curves
from reports.drawing import Drawing
from reports.erasure_figures import completion_cost, pareto, quality_gaps
from reports.load import Results
from reports.step_figures import allocator_memory, composition, memory, process_memory, step_energy, step_time
from reports.step_tables import composition_table, energy_comparison, memory_comparison, time_comparison
from reports.table import Table
from reports.unlearning_tables import cost_table, curve_table, displacement_table, pareto_table, quality_table

Draw = Callable[[Results], Drawing | None]
Tabulate = Callable[[Results], Table | None]

STEP_FIGURES: tuple[tuple[Draw, Tabulate], ...] = (
    (memory, memory_comparison),
    (composition, composition_table),
    (allocator_memory, partial(memory_comparison, ledger="allocator")),
    (process_memory, partial(memory_comparison, ledger="process")),
    (step_time, time_comparison),
    (step_energy, energy_comparison),
)
ERASURE_FIGURES: tuple[tuple[Draw, Tabulate], ...] = (
    (completion_cost, cost_table),
    (quality_gaps, quality_table),
    (pareto, pareto_table),
    (loss_curves, partial(curve_table, columns=LOSSES)),
    (accuracy_curves, partial(curve_table, columns=("forget_accuracy", "retain_accuracy"))),
    (displacement_curves, displacement_table),
    (other_loss_curves, partial(curve_table, columns=LOSSES, ascents=False)),
)
