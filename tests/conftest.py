"""What holds for every test: a process that stays small, and workers that look like any other process."""

import os
import resource
import sys
from collections.abc import Iterator

import pytest

MOST_BYTES = 2_500_000_000
UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, KiB on Linux


def peak() -> int:
    """The most bytes that were resident in this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Tell nobody that this is a worker of pytest-xdist: pytest-benchmark measures in none, nor in what it starts."""
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def _stays_small(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test with which this process grows beyond 2.5 GB: it takes too much, or those before it kept too much.

    CUDA's libraries alone take more.
    """
    before = peak()
    yield
    after = peak()
    if request.node.get_closest_marker("cuda"):
        return
    assert after <= max(before, MOST_BYTES), f"this process grew to {after / 1e9:.2f} GB; at most {MOST_BYTES / 1e9} GB"
