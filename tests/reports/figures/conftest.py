"""Figures look as in the report."""

import pytest

from reports.figures import style


@pytest.fixture(autouse=True)
def _use_style() -> None:
    style.use()
