"""Numbers as text, and tables made short."""

import pytest

from reports.tables.table import Table, number, range_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.50"),
        (33.4, "33"),
        (1234.5, "1,200"),
        (0.000025, "0.000025"),
        (-0.0996, "-0.10"),
        (0, "0"),
        (9.96, "10"),
    ],
)
def test_two_significant_digits_never_have_an_exponent(value: float, text: str) -> None:
    assert number(value, ".2g") == text


@pytest.mark.parametrize(("value", "text"), [(-0.001, "0.00"), (0.0, "0.00"), (-0.006, "-0.01"), (float("inf"), "n/a")])
def test_a_nought_has_no_sign_and_infinity_is_no_number(value: float, text: str) -> None:
    assert number(value, ".2f") == text


def test_a_range_of_one_value_is_that_value() -> None:
    assert range_text([0.581, 0.582], ".2f") == "0.58"
    assert range_text([3.0, 0.582], ".2f") == "0.58 to 3.00"


def test_a_column_that_says_the_same_in_every_row_is_said_once() -> None:
    table = Table("T", "Note.", ("arm", "basis", "J"), (("a", "estimated", "1"), ("b", "estimated", "2")))
    told = table.telling
    assert told.columns == ("arm", "J")
    assert told.rows == (("a", "1"), ("b", "2"))
    assert told.note == "Note. In every row: basis: estimated."
    one = Table("T", "", ("arm", "J"), (("a", "1"),))
    assert one.telling is one  # nothing is the same as nothing


def test_a_wide_table_leads_with_what_its_rows_are_of_and_three_columns() -> None:
    columns = ("setting", "arm", *"abcdef")
    rows = (("s", "x", *"123456"), ("s", "y", *"123456"))
    table = Table("T", "Note.", columns, rows)
    assert table.wide
    assert table.lead.columns == ("setting", "arm", "a", "b", "c")
    assert table.lead.rows == (("s", "x", "1", "2", "3"), ("s", "y", "1", "2", "3"))
    assert not Table("T", "", columns[:7], tuple(row[:7] for row in rows)).wide
