"""Numbers as text."""

import pytest

from reports.tables.table import number, range_text


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
