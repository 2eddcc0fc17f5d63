"""The two ascents side by side, by hand."""

from reports.data.side_by_side import ENERGY, Means
from reports.tables.side_by_side import compared, side_by_side_table
from tests.reports.conftest import PartOf, changed, unlearning_record


def test_only_seeds_that_have_both_figures_are_divided(part_of: PartOf) -> None:
    """zo-ga takes 10, 20 and 30 J, fo-ga 10 J with the first seed alone: 1.0 times, and not 2.0."""
    records = [
        changed(unlearning_record(arm, seed), "completion.joules", joules)
        for arm, of_seed in (("zo-ga", (10.0, 20.0, 30.0)), ("fo-ga", (10.0, None, None)))
        for seed, joules in enumerate(of_seed)
    ]
    part = part_of(records)
    (both,) = part.side_by_side
    assert both.means[ENERGY] == Means(10.0, 10.0, seeds=1)
    (said,) = compared(part.side_by_side)
    assert (said.taken, said.some(ENERGY)) == ("1.0 times the energy (estimated)", " (with 1 of 3 seeds)")
    table = side_by_side_table(part)
    assert table is not None
    (row,) = (row for row in table.rows if row[1] == "energy, J (estimated)")
    assert row[2:] == ("10.0", "10.0", "1.0 times", "1 of 3")
