"""Waiting until a record's attributes have certain values, in each of the three ways, on the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_espo.exceptions import (
    EspoConflictError,
    EspoInputError,
    EspoNotFoundError,
    EspoUnknownNameError,
)
from airflow_provider_espo.operators.record import EspoGetRecordOperator
from airflow_provider_espo.sensors.record import EspoRecordStateSensor
from tests.unit.airflows import AirflowRescheduleException, AirflowSkipException, TaskDeferred
from tests.unit.running import TaskInstance, run_task
from tests.unit.sandbox_crm import SandboxCrm, first_event, run_deferrable

WAYS = ("poke", "reschedule", "deferrable")
WHEN = "2031-01-01 10:00:00"


@pytest.fixture
def deal(sandbox_crm: SandboxCrm) -> str:
    values = {"name": "Deal", "stage": "Prospecting", "amount": 500, "amountCurrency": "EUR", "closeDate": "2031-02-01"}
    return str(sandbox_crm.asker.create("Opportunity", **values)["id"])


def sensor(record_id: str, **given: Any) -> EspoRecordStateSensor:
    arguments: dict[str, Any] = {
        "task_id": "wait",
        "entity_type": "Opportunity",
        "record_id": record_id,
        "expected": {"stage": "Closed Won"},
        "failed": {"stage": "Closed Lost"},
        "deferrable": False,
    }
    return EspoRecordStateSensor(**(arguments | given))


def wait(crm: SandboxCrm, way: str, record_id: str, **given: Any) -> Any:
    """Run a sensor to its end, as Airflow does."""
    with crm.waiting():
        if way == "deferrable":
            return run_deferrable(sensor(record_id, deferrable=True, **given))
        task = sensor(record_id, mode=way, **given)
        first = None
        while True:
            try:
                return run_task(task, ti=TaskInstance(first_reschedule=first))
            except AirflowRescheduleException:
                first = first or datetime.now(UTC)
                crm.pass_time(60)


def later(crm: SandboxCrm, record_id: str, change: Callable[[], object], looks: int = 3) -> None:
    """Let something happen to the record once it was looked at so many times."""
    count = 0

    def looked(sent: Any) -> None:
        nonlocal count
        count += sent.path == f"Opportunity/{record_id}"
        if count == looks:
            crm.live()
            change()

    crm.after = looked


def become(crm: SandboxCrm, record_id: str, **values: Any) -> Callable[[], object]:
    return lambda: crm.asker.ok("PUT", f"Opportunity/{record_id}", values)


@pytest.mark.parametrize("way", WAYS)
def test_it_waits_until_the_record_is_so(sandbox_crm: SandboxCrm, deal: str, way: str) -> None:
    later(sandbox_crm, deal, become(sandbox_crm, deal, stage="Closed Won"))
    assert wait(sandbox_crm, way, deal) == {"id": deal}
    assert len(sandbox_crm.calls("GET", f"Opportunity/{deal}")) == 4


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_with_an_error_when_it_cannot_become_so_any_more(sandbox_crm: SandboxCrm, deal: str, way: str) -> None:
    later(sandbox_crm, deal, become(sandbox_crm, deal, stage="Closed Lost"))
    with pytest.raises(EspoConflictError, match=f"Opportunity {deal} has a value in stage that it was not to get"):
        wait(sandbox_crm, way, deal)


@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_is_deleted_meanwhile_ends_the_wait(sandbox_crm: SandboxCrm, deal: str, way: str) -> None:
    later(sandbox_crm, deal, lambda: sandbox_crm.asker.ok("DELETE", f"Opportunity/{deal}"))
    with pytest.raises(EspoNotFoundError):
        wait(sandbox_crm, way, deal)


@pytest.mark.parametrize("way", WAYS)
def test_never_fail_skips_instead(sandbox_crm: SandboxCrm, deal: str, way: str) -> None:
    become(sandbox_crm, deal, stage="Closed Lost")()
    with pytest.raises(AirflowSkipException):
        wait(sandbox_crm, way, deal, never_fail=True)


@pytest.mark.parametrize(
    "expected",
    [
        {"stage": "Prospecting"},
        {"stage": ["Closed Won", "Prospecting"]},
        {"stage": ("Closed Won", "Prospecting")},
        {"amount": 500},
        {"amount": "500"},
        {"amount": Decimal("500.00"), "amountCurrency": "EUR"},
        {"amount": [1, 500.0]},
        {"closeDate": "2031-02-01"},
        {"closeDate": date(2031, 2, 1)},
        {"accountId": None},
        {"accountId": [None, "6746d1f3a0b1c2d3e"]},
        {"contactsIds": [[]]},
        {"createdAt": datetime(2026, 3, 1, 6, tzinfo=UTC)},
        {"createdAt": "2026-03-01T07:00:00+01:00"},
        {"createdAt": pendulum.datetime(2026, 3, 1, 8, tz="Europe/Kyiv")},
        {"createdAt": [datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=-5)))]},
    ],
)
@pytest.mark.parametrize("way", ["poke", "deferrable"])
def test_values_are_compared_as_the_server_means_them(
    sandbox_crm: SandboxCrm, deal: str, way: str, expected: dict[str, Any]
) -> None:
    assert wait(sandbox_crm, way, deal, expected=expected, failed=None) == {"id": deal}


@pytest.mark.parametrize(
    "expected",
    [
        {"stage": "prospecting"},
        {"stage": "Prospecting", "amount": 499},
        {"amount": None},
        {"createdAt": datetime(2026, 3, 1, 6, 1, tzinfo=UTC)},
    ],
)
def test_a_look_at_what_is_not_so_goes_on_waiting(sandbox_crm: SandboxCrm, deal: str, expected: dict[str, Any]) -> None:
    assert sensor(deal, expected=expected).look() is None


@pytest.mark.parametrize("expected", [{"stage": ["Closed Won", "Prospecting"], "createdAt": [WHEN, datetime.now(UTC)]}])
def test_in_the_triggerer_it_looks_for_the_same(sandbox_crm: SandboxCrm, deal: str, expected: dict[str, Any]) -> None:
    given = expected | {"createdAt": [WHEN, sandbox_crm.now], "closeDate": date(2031, 2, 1), "name": "Later"}
    task = sensor(deal, expected=given, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        run_task(task)
    sandbox_crm.asker.ok("PUT", f"Opportunity/{deal}", {"name": "Later"})
    event = first_event(deferred.value)
    # Airflow logs events: no value of the record is in there.
    assert event == {"status": "success", "id": deal}


@pytest.mark.parametrize("way", ["poke", "deferrable"])
@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"expected": {}}, EspoInputError, "nothing to wait for"),
        ({"expected": ["stage"]}, EspoInputError, "expected is not a dict"),
        ({"expected": None}, EspoInputError, "expected is not a dict"),
        ({"expected": {"stage": []}}, EspoInputError, "empty list of values for stage"),
        ({"failed": "Closed Lost"}, EspoInputError, "failed is not a dict"),
        ({"expected": {"stag": "x"}}, EspoUnknownNameError, "stag"),
        ({"failed": {"stag": "x"}}, EspoUnknownNameError, "stag"),
        ({"record_id": ""}, EspoInputError, "record id"),
        ({"record_id": "../x"}, EspoInputError, "record id"),
        ({"record_id": "6746d1f3a0b1c2d3e"}, EspoNotFoundError, "Opportunity"),
        ({"entity_type": "Nope"}, EspoUnknownNameError, "Nope"),
    ],
)
def test_bad_input_fails_at_the_first_look(
    sandbox_crm: SandboxCrm, deal: str, way: str, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        wait(sandbox_crm, way, **({"record_id": deal} | given))


def test_everything_may_be_templated_and_come_from_another_task(sandbox_crm: SandboxCrm, deal: str) -> None:
    with DAG("d", schedule=None):
        source = EspoGetRecordOperator(task_id="source", entity_type="Opportunity", record_id=deal)
        result: Any = source.output
        task = sensor(
            "{{ params.id }}",
            entity_type="{{ params.type }}",
            expected={"stage": result["stages"], "amount": "{{ params.amount }}"},
            failed={"stage": "{{ params.lost }}"},
        )
    assert task.upstream_task_ids == {"source"}
    params = {"id": deal, "type": "Opportunity", "lost": "Closed Lost", "amount": 500}
    ti = TaskInstance(xcoms={"source": {"stages": ["Prospecting", "Closed Won"]}})
    assert run_task(task, params=params, ti=ti) == {"id": deal}
