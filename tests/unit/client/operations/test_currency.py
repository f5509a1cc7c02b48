"""Currency rates: which requests are sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import EspoForbiddenError
from tests.unit.crm import Crm, refusal

CONFIG = ClientConfig(site_url=Crm.url, secret="key", max_retries=0)
SETTINGS = {"baseCurrency": "USD", "currencyList": ["USD", "EUR", "GBP"]}
RATES = {"USD": 1, "EUR": 1.12, "GBP": 1.25}


def set_rates(crm: Crm, given: Any, *, answer: Any = True, before: Any = RATES, after: Any) -> Any:
    crm.on("GET", "Settings", SETTINGS)
    crm.on("GET", "CurrencyRate", before, after)
    crm.on("PUT", "CurrencyRate", answer)
    with EspoClient(CONFIG) as client:
        return client.set_currency_rates(given)


@pytest.mark.parametrize("answer", [True, RATES | {"GBP": 1.5}], ids=["7.4 and later", "before 7.4"])
def test_it_sends_what_differs_and_reads_what_came_of_it(crm: Crm, answer: Any) -> None:
    now = RATES | {"GBP": 1.5}
    found = set_rates(crm, {"EUR": 1.12, "GBP": 1.5}, answer=answer, after=now)
    assert found == {"changed": ["GBP"], "rates": now}
    assert [(one.method, one.path) for one in crm.sent] == [
        ("GET", "Settings"),
        ("GET", "CurrencyRate"),
        ("PUT", "CurrencyRate"),
        ("GET", "CurrencyRate"),
    ]
    assert crm.sent[2].json == {"GBP": 1.5}


def test_a_currency_without_a_rate_gets_one(crm: Crm) -> None:
    found = set_rates(crm, {"GBP": 1.5}, before={"USD": 1}, after={"USD": 1, "GBP": 1.5})
    assert found["changed"] == ["GBP"]


def test_a_small_rate_that_is_rounded_again_is_no_error(crm: Crm) -> None:
    stored = {"USD": 1, "EUR": 0.00004, "GBP": 1.25}
    assert set_rates(crm, {"EUR": 0.0000395}, before=stored, after=stored)["rates"]["EUR"] == 0.00004


def test_a_user_who_may_read_and_not_write_is_refused(crm: Crm) -> None:
    with pytest.raises(EspoForbiddenError):
        set_rates(crm, {"EUR": 1.5}, answer=refusal(403), after=RATES)
