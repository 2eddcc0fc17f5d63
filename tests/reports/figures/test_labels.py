"""Names as the figures write them."""

from reports.figures.looks.labels import labels
from tests.reports.conftest import PartOf


def test_ordinary_names_are_drawn_as_they_are(part_of: PartOf) -> None:
    assert labels(part_of().cases).of_column == {}
