"""Currency rates by the operators, on the sandbox."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoForbiddenError, EspoInputError, EspoNothingDoneError
from airflow_provider_espo.operators.currency import EspoGetCurrencyRatesOperator, EspoSetCurrencyRatesOperator
from tests.unit.conftest import ConnectionSetter
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm

BEFORE = {"USD": 1.0, "EUR": 1.12, "GBP": 1.25}


def rates(crm: SandboxCrm) -> Any:
    return crm.asker.ok("GET", "CurrencyRate")


def set_rates(given: Any, **params: Any) -> Any:
    return run_task(EspoSetCurrencyRatesOperator(task_id="set", rates=given), params=params)


def test_get_returns_the_rates_by_code(sandbox_crm: SandboxCrm) -> None:
    found = run_task(EspoGetCurrencyRatesOperator(task_id="get"))
    assert found == BEFORE
    assert {type(rate) for rate in found.values()} == {float}


def test_what_is_given_is_set_and_others_stay(sandbox_crm: SandboxCrm) -> None:
    assert set_rates({"EUR": 1.2}) == {"changed": ["EUR"], "rates": BEFORE | {"EUR": 1.2}}
    assert rates(sandbox_crm) == BEFORE | {"EUR": 1.2}
    assert [one.json for one in sandbox_crm.calls("PUT")] == [{"EUR": 1.2}]


@pytest.mark.parametrize("same", [{"EUR": 1.12}, {"EUR": "1.12", "GBP": Decimal("1.250")}, {"EUR": 1.12000000001}])
def test_nothing_is_sent_where_nothing_differs(sandbox_crm: SandboxCrm, same: dict[str, Any]) -> None:
    assert set_rates(same) == {"changed": [], "rates": BEFORE}
    assert sandbox_crm.calls("PUT") == []


def test_only_what_differs_is_sent(sandbox_crm: SandboxCrm) -> None:
    assert set_rates({"EUR": 1.12, "GBP": 1.5})["changed"] == ["GBP"]
    assert [one.json for one in sandbox_crm.calls("PUT")] == [{"GBP": 1.5}]


@pytest.mark.parametrize("given", ["1.3", Decimal("1.3"), "{{ params.rate }}", " 1.3 "])
def test_a_rate_may_be_text_or_decimal_as_files_and_templates_have_it(sandbox_crm: SandboxCrm, given: Any) -> None:
    set_rates({"eur": given}, rate=1.3)
    assert rates(sandbox_crm)["EUR"] == 1.3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"USD": 1}, "USD is the base currency"),
        ({"CHF": 1.1}, "no currency CHF.*It has USD, EUR, GBP"),
        ({"EUR": 1.2, "CHF": 1.1}, "no currency CHF"),
        ({"EUR": 0}, "EUR is not a number above 0"),
        ({"EUR": -1}, "EUR is not a number above 0"),
        ({"EUR": "abc"}, "EUR is not a number above 0"),
        ({"EUR": "1,2"}, "EUR is not a number above 0"),
        ({"EUR": ""}, "EUR is not a number above 0"),
        ({"EUR": "{{ params.rate }}"}, "EUR is not a number above 0"),
        ({"EUR": None}, "EUR is not a number above 0"),
        ({"EUR": True}, "EUR is not a number above 0"),
        ({"EUR": float("nan")}, "EUR is not a number above 0"),
        ({"EUR": "NaN"}, "EUR is not a number above 0"),
        ({"EUR": float("inf")}, "EUR is not a number above 0"),
        ({"EUR": 10**400}, "EUR is not a number above 0"),
        ({"GBP": 1.5, "EUR": [1.2]}, "EUR is not a number above 0"),
        ({"euro": 1.2}, "not a currency code"),
        ({"": 1.2}, "not a currency code"),
        ({1: 1.2}, "not a currency code"),
        ({}, "not a dict of rates"),
        ([["EUR", 1.2]], "not a dict of rates"),
    ],
)
def test_bad_input_sets_nothing(sandbox_crm: SandboxCrm, given: Any, says: str) -> None:
    with pytest.raises(EspoInputError, match=says):
        set_rates(given, rate="n/a")
    assert sandbox_crm.calls("PUT") == []
    assert rates(sandbox_crm) == BEFORE


def test_a_server_that_rounds_has_taken_the_rate(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on("GET", "CurrencyRate", BEFORE, BEFORE | {"EUR": 0.33333333})
    assert set_rates({"EUR": 1 / 3})["rates"]["EUR"] == 0.33333333


def test_a_server_that_ignores_a_rate_is_an_error(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on("GET", "CurrencyRate", BEFORE)
    with pytest.raises(EspoNothingDoneError, match="did not take the rate of EUR"):
        set_rates({"EUR": 1.3, "GBP": 1.25})


def test_a_user_without_the_scope_is_told_so(sandbox_crm: SandboxCrm, connect: ConnectionSetter) -> None:
    connect(password=sandbox_crm.credentials["limited_api_key"])
    with pytest.raises(EspoForbiddenError):
        run_task(EspoGetCurrencyRatesOperator(task_id="get"))
    with pytest.raises(EspoForbiddenError):
        set_rates({"EUR": 1.3})
    assert rates(sandbox_crm) == BEFORE
