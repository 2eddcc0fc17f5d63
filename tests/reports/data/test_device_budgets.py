"""The budgets of devices."""

import pytest

from reports.data.device_budgets import BUDGETS, smallest_budget


@pytest.mark.parametrize(
    ("peak", "budget"),
    [(1, "256 KiB"), (2**18, "256 KiB"), (2**18 + 1, "64 MiB"), (2**29, "512 MiB"), (2**29 + 1, "more than 512 MiB")],
)
def test_the_smallest_budget_that_holds_a_peak(peak: int, budget: str) -> None:
    assert smallest_budget(peak) == budget
    assert list(BUDGETS.values()) == sorted(BUDGETS.values())
