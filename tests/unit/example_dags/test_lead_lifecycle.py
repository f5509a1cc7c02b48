"""How leads are scored."""

from __future__ import annotations

from typing import Any

import pytest
from lead_lifecycle import score

FULL = {
    "source": "Existing Customer",
    "emailAddress": "a@example.com",
    "phoneNumber": "+493012345678",
    "accountName": "Acme",
    "opportunityAmountConverted": 20_000,
}


def test_a_lead_of_which_nothing_is_known_has_no_points() -> None:
    assert score({}) == score(dict.fromkeys(FULL)) == score({"source": ""}) == 0


def test_the_best_lead_has_100_points_however_much_it_is_worth() -> None:
    assert score(FULL) == score({**FULL, "opportunityAmountConverted": 10**12}) == 100


@pytest.mark.parametrize("name", FULL)
def test_each_attribute_that_is_known_makes_a_lead_better(name: str) -> None:
    rest: dict[str, Any] = {key: value for key, value in FULL.items() if key != name}
    assert score(rest) < score(FULL)


def test_a_source_of_ones_own_counts_nothing_and_is_no_error() -> None:
    assert score({**FULL, "source": "Fair"}) == score({**FULL, "source": None})
