"""What one unlearning step costs: method x model x batch size."""

from typing import Any

from bench.record import Case, Kind
from bench.run.step_cost import measure_step
from bench.run.suite import Suite

KIND: Kind = "step"


def test_step_cost(case: Case, suite: Suite, benchmark: Any) -> None:
    """Measure the case and keep its record."""
    benchmark.group = f"{case.network} batch {case.batch_size}"
    suite.keep(benchmark, KIND, case, lambda: measure_step(case, suite, benchmark))
