from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.asking import Asker, reason

RATES = {"USD": 1, "EUR": 1.12, "GBP": 1.25}


def test_a_rate_acts_on_what_is_converted_and_searched_at_once(crm: Asker) -> None:
    values = {"amount": 100, "amountCurrency": "EUR", "closeDate": "2031-01-01"}
    opportunity_id = crm.create("Opportunity", name="O", **values)["id"]
    assert crm.ok("PUT", "CurrencyRate", {"EUR": "2"}) is True
    assert crm.read("Opportunity", opportunity_id)["amountConverted"] == 200
    where = [{"type": "greaterThan", "attribute": "amountConverted", "value": 150}]
    assert crm.find("Opportunity", where=where)["total"] == 1


@pytest.mark.parametrize(("body", "status"), [({"EUR": 2, "GBP": -1}, 400), ({"EUR": 2, "GBP": None}, 500)])
def test_of_rates_that_are_refused_none_is_set(crm: Asker, body: dict[str, Any], status: int) -> None:
    assert crm.send("PUT", "CurrencyRate", body).status == status
    assert crm.ok("GET", "CurrencyRate") == RATES


def test_rates_need_their_scope(crm: Asker) -> None:
    limited = crm.as_user("limited")
    assert reason(limited.send("GET", "CurrencyRate")) == (403, "")
    assert reason(limited.send("PUT", "CurrencyRate", {"EUR": 2})) == (403, "")
    assert crm.ok("GET", "CurrencyRate") == RATES
