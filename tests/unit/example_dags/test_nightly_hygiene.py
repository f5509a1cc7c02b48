"""Which phone numbers are written in another way."""

from __future__ import annotations

import pytest
from nightly_hygiene import international


@pytest.mark.parametrize(
    ("number", "country", "default", "expected"),
    [
        ("030 / 123 45 67", "Germany", "", "+49301234567"),
        ("(030) 1234567", "DE", "", "+49301234567"),
        ("0664 1234567", "Österreich", "DE", "+436641234567"),
        ("030 1234567", "", "DE", "+49301234567"),
        ("+49 (0)30 1234567", "", "", "+49301234567"),
        ("+81312345678", "", "", "+81312345678"),
    ],
)
def test_a_number_gets_the_code_of_its_country(number: str, country: str, default: str, expected: str) -> None:
    assert international(number, country, default) == expected


@pytest.mark.parametrize(
    ("number", "country", "default"),
    [
        ("030 1234567", "", ""),
        # The contact's country is known, and is not that of those who have none.
        ("030 1234567", "Japan", "DE"),
        ("ask the office", "Germany", "DE"),
        ("12", "Germany", "DE"),
    ],
)
def test_a_number_that_may_mean_another_is_left_alone(number: str, country: str, default: str) -> None:
    assert international(number, country, default) == ""
