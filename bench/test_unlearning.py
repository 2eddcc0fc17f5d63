"""Whole unlearning runs: method x scenario x seed."""

from typing import Any

from bench.erasure.measure import measure_unlearning
from bench.record import Case, Kind
from bench.run.suite import Suite

KIND: Kind = "unlearning"


def test_unlearning(case: Case, suite: Suite, benchmark: Any) -> None:
    """Measure the case and keep its record."""
    benchmark.group = f"{case.network} {case.scenario}"
    suite.keep(benchmark, KIND, case, lambda: measure_unlearning(case, suite, benchmark))
