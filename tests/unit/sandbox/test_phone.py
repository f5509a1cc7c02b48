from __future__ import annotations

import pytest

from airflow_provider_espo.sandbox.phone import canonical, digits_of, is_possible


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+49 30 123456", "+4930123456"),
        (" +1 (212) 555-0100 ", "+12125550100"),
        ("+44.20.7946.0958", "+442079460958"),
        ("+49 (0)30 123456", "+4930123456"),
        ("+39 06 1234567", "+39061234567"),
        ("030 123456", "030 123456"),
        ("+49 30 12 ext. 5", "+49 30 12 ext. 5"),
        ("abc", "abc"),
    ],
)
def test_only_international_numbers_are_brought_into_form(written: str, stored: str) -> None:
    assert canonical(written) == stored


@pytest.mark.parametrize("number", ["+4930123456", "+12125550100", "+33123456789", "+35316000000", "+6591234567"])
def test_numbers_that_can_exist(number: str) -> None:
    assert is_possible(number)


@pytest.mark.parametrize(
    "number", ["+1234567890", "030123456", "+", "abc", "+99912345678", "+491", "+4912345678901234567", "+0123456789"]
)
def test_numbers_that_cannot_exist(number: str) -> None:
    assert not is_possible(number)


def test_digits() -> None:
    assert digits_of("+49 (30) 1-2") == "493012"
