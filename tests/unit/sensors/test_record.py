"""Waiting for records in each of the three ways: on the worker, rescheduled, in the triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_espo import exceptions
from airflow_provider_espo.exceptions import (
    EspoAuthenticationError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoServerError,
)
from airflow_provider_espo.operators.record import EspoListRecordsOperator
from airflow_provider_espo.sensors.record import EspoRecordSensor
from airflow_provider_espo.where import in_
from tests.unit.airflows import (
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from tests.unit.crm import LEAD, Crm, Reply, page, refusal
from tests.unit.running import TaskInstance, context_of, run_task

FOUND = {"count": 1, "ids": [LEAD]}
NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def sensor(**given: Any) -> EspoRecordSensor:
    arguments: dict[str, Any] = {"task_id": "wait", "entity_type": "Lead", "deferrable": False}
    return EspoRecordSensor(**(arguments | given))


class Way:
    """One of the three ways to wait, run to its end.

    :param name: ``poke``, ``reschedule`` or ``deferrable``.
    :param traveller: the clock, which moves on only when somebody waits.
    """

    def __init__(self, name: str, traveller: time_machine.Traveller) -> None:
        self.name = name
        self._traveller = traveller

    def wait(self, **given: Any) -> Any:
        """Run a sensor as Airflow does until it has a result or an error."""
        if self.name == "poke":
            return run_task(sensor(**given))
        if self.name == "reschedule":
            return self._reschedule(sensor(mode="reschedule", **given))
        return self._defer(sensor(deferrable=True, **given))

    def _reschedule(self, task: EspoRecordSensor) -> Any:
        first: datetime | None = None
        while True:
            try:
                return run_task(task, ti=TaskInstance(first_reschedule=first))
            except AirflowRescheduleException as later:
                first = first or datetime.now(UTC)
                self._traveller.move_to(later.reschedule_date)

    def _defer(self, task: EspoRecordSensor) -> Any:
        try:
            return run_task(task)
        except TaskDeferred as deferred:
            trigger, method, kwargs = deferred.trigger, deferred.method_name, deferred.kwargs
        # Airflow stores the trigger's arguments as JSON.
        path, arguments = trigger.serialize()
        trigger = type(trigger)(**json.loads(json.dumps(arguments)))
        assert path.endswith(type(trigger).__name__)

        async def first_event() -> Any:
            return (await anext(trigger.run())).payload

        event = json.loads(json.dumps(asyncio.run(first_event())))
        return task.resume_execution(method, {**(kwargs or {}), "event": event}, context_of(task))


@pytest.fixture(params=["poke", "reschedule", "deferrable"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    real_sleep = asyncio.sleep
    with time_machine.travel(NOW, tick=False) as traveller:

        async def later(seconds: float, result: Any = None) -> Any:
            traveller.shift(max(seconds, 0))
            await real_sleep(0)
            return result

        monkeypatch.setattr(asyncio, "sleep", later)
        monkeypatch.setattr(time, "sleep", traveller.shift)
        # The worker's waits are measured by this clock, which nobody else moves.
        monkeypatch.setattr(time, "monotonic", time.time)
        yield Way(request.param, traveller)


# --- alike in all three ways


def test_what_is_there_already_is_the_result(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD}))
    assert way.wait() == FOUND


def test_what_comes_later_is_the_result(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", page(), page(), page({"id": LEAD}))
    assert way.wait(timeout=600) == FOUND
    assert len(crm.calls("GET", "Lead")) == 3


def test_nothing_in_time_is_a_time_out(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", page())
    with pytest.raises(AirflowSensorTimeout):
        way.wait(timeout=300)
    waited = datetime.now(UTC) - NOW
    assert timedelta(seconds=299.9) <= waited <= timedelta(seconds=420)


@pytest.mark.parametrize("lenient", ["soft_fail", "never_fail"])
def test_a_time_out_skips_if_told_so(way: Way, crm: Crm, lenient: str) -> None:
    crm.on("GET", "Lead", page())
    with pytest.raises(AirflowSkipException):
        way.wait(timeout=300, **{lenient: True})


def test_a_time_out_of_zero_looks_once(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD}))
    assert way.wait(timeout=0) == FOUND


def test_an_error_fails_the_task_with_its_own_class(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", page(), refusal(401))
    with pytest.raises(EspoAuthenticationError) as caught:
        way.wait()
    assert caught.value.status == 401
    assert str(caught.value).count("is inactive") == 1, "the hint is not said twice"


def test_an_error_at_the_first_look_fails_the_task(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", refusal(403, "No access"))
    with pytest.raises(EspoForbiddenError):
        way.wait()


def test_soft_fail_is_about_time_outs_and_not_about_errors(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", refusal(401))
    with pytest.raises(EspoAuthenticationError):
        way.wait(soft_fail=True)
    crm.on("GET", "Lead", page(), refusal(401))
    with pytest.raises(EspoAuthenticationError):
        way.wait(soft_fail=True)


def test_never_fail_skips_at_errors_too(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", refusal(401))
    with pytest.raises(AirflowSkipException):
        way.wait(never_fail=True)
    crm.on("GET", "Lead", page(), refusal(401))
    with pytest.raises(AirflowSkipException):
        way.wait(never_fail=True)


def test_silent_fail_goes_on_after_errors(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", refusal(401), page(), refusal(404), page({"id": LEAD}))
    assert way.wait(silent_fail=True) == FOUND


def test_the_count_may_come_from_a_template(way: Way, crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": "1"}), page({"id": "1"}, {"id": "2"}))
    assert way.wait(min_count="{{ 1 + 1 }}")["count"] == 2


@pytest.mark.parametrize("wrong", ["many", 0, -1, None, "0", True])
def test_what_is_no_count_is_refused_before_anything_is_sent(way: Way, crm: Crm, wrong: Any) -> None:
    with pytest.raises(EspoInputError, match="min_count"):
        way.wait(min_count=wrong)
    assert crm.sent == []


def test_a_malformed_filter_is_refused_before_anything_is_sent(way: Way, crm: Crm) -> None:
    with pytest.raises(EspoInputError, match="where"):
        way.wait(where=[{"type": "equal", "attribute": "status", "value": "New"}])
    assert crm.sent == []


# --- the triggerer


def deferred(task: EspoRecordSensor, **given: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        run_task(task, **given)
    return caught.value


def test_what_is_there_at_the_first_look_needs_no_trigger(crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD}))
    assert run_task(sensor(deferrable=True)) == FOUND


@time_machine.travel(NOW, tick=False)
def test_the_trigger_gets_the_rendered_filter_in_plain_form_and_the_deadline(crm: Crm) -> None:
    crm.on("GET", "Lead", page())
    with DAG("dag", schedule=None):
        found = EspoListRecordsOperator(task_id="found", entity_type="Lead")
        task = sensor(
            deferrable=True,
            where=(in_("id", found.output), {"type": "after", "attribute": "createdAt", "value": NOW}),
            bool_filters=("onlyMy",),
            min_count="2",
            timeout=600,
            poke_interval=30,
        )
    assert task.upstream_task_ids == {"found"}
    got = deferred(task, ti=TaskInstance(xcoms={"found": (LEAD,)}))
    assert got.method_name == "execute_complete"
    assert got.timeout == timedelta(seconds=660), "Airflow's own time-out stands behind the trigger's deadline"
    path, arguments = got.trigger.serialize()
    assert path == "airflow_provider_espo.triggers.record.EspoRecordTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert arguments == {
        "espo_conn_id": "espo_default",
        "entity_type": "Lead",
        "where": [
            {"type": "in", "attribute": "id", "value": [LEAD]},
            {"type": "after", "attribute": "createdAt", "value": "2026-03-01 06:00:00"},
        ],
        "primary_filter": None,
        "bool_filters": ["onlyMy"],
        "text_filter": None,
        "min_count": 2,
        "poll_interval": 30.0,
        "deadline": NOW.timestamp() + 600,
        "silent_fail": False,
    }


def test_a_time_that_is_over_after_the_first_look_needs_no_trigger(crm: Crm) -> None:
    crm.on("GET", "Lead", page())
    with pytest.raises(AirflowSensorTimeout):
        run_task(sensor(deferrable=True, timeout=0))
    assert len(crm.calls("GET", "Lead")) == 1


def test_poll_interval_stands_for_the_triggerer_only(crm: Crm) -> None:
    crm.on("GET", "Lead", page())
    task = sensor(deferrable=True, poll_interval=5, poke_interval=30)
    assert deferred(task).trigger.serialize()[1]["poll_interval"] == 5
    assert task.poke_interval == 30


@pytest.mark.parametrize("wrong", [0, -1])
def test_an_interval_that_would_hammer_the_server_is_refused_in_the_dag_file(wrong: float) -> None:
    with pytest.raises(EspoInputError, match="poll_interval"):
        sensor(poll_interval=wrong)


def test_airflows_own_time_out_means_the_same_as_the_deadline() -> None:
    timed_out, skipped = AirflowSensorTimeout, AirflowSkipException
    for given, error in [({}, timed_out), ({"soft_fail": True}, skipped)]:
        task = sensor(deferrable=True, **given)
        with pytest.raises(error):
            task.resume_execution("__fail__", {"error": "Trigger timeout"}, context_of(task))


@pytest.mark.parametrize("kind", sorted(set(exceptions.__all__)))
def test_every_error_of_the_trigger_comes_back_as_itself(kind: str) -> None:
    task = sensor()
    error = {"message": "No", "status": 418, "reason": "why", "method": "GET", "path": "Lead", "hint": "do this"}
    with pytest.raises(EspoError) as caught:
        task.execute_complete(context_of(task), {"status": "error", "kind": kind, "error": error})
    assert type(caught.value).__name__ == kind
    assert (caught.value.status, caught.value.path, caught.value.hint) == (418, "Lead", "do this")


@pytest.mark.parametrize(
    "event", [{}, {"status": "error"}, {"status": "error", "kind": "annotations", "error": {"message": "x"}}]
)
def test_an_event_nobody_knows_is_an_error_and_no_success(event: dict[str, Any]) -> None:
    task = sensor()
    with pytest.raises(EspoError):
        task.execute_complete(context_of(task), event)


def test_a_time_out_in_an_outage_says_so() -> None:
    task = sensor(timeout=60)
    with pytest.raises(AirflowSensorTimeout, match="within 60 seconds; the last look failed: No connection"):
        task.execute_complete(context_of(task), {"status": "timeout", "last_error": "No connection"})


@pytest.mark.parametrize(("setting", "expected"), [("True", True), ("False", False), (None, False)])
def test_deferrable_follows_airflows_configuration(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, expected: bool
) -> None:
    monkeypatch.delenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", raising=False)
    if setting is not None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", setting)
    assert EspoRecordSensor(task_id="wait", entity_type="Lead").deferrable is expected
    assert sensor(deferrable=not expected).deferrable is not expected


def test_default_args_reach_the_sensor() -> None:
    with DAG("dag", schedule=None, default_args={"espo_conn_id": "crm", "deferrable": True, "poll_interval": 9}):
        task = EspoRecordSensor(task_id="wait", entity_type="Lead")
    assert (task.espo_conn_id, task.deferrable, task.poll_interval) == ("crm", True, 9)


def test_a_worker_that_waits_gives_its_token_back_once(crm: Crm, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(login="sales", password="correct horse", extra={"auth_method": "token"})
    crm.on("GET", "App/user", {"user": {"id": "1", "userName": "sales"}, "token": "0123456789abcdef"})
    crm.on("POST", "App/destroyAuthToken", True)
    crm.on("GET", "Lead", page(), page(), page({"id": LEAD}))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert run_task(sensor()) == FOUND
    assert len(crm.calls("POST", "App/destroyAuthToken")) == 1


def test_an_outage_at_a_poke_is_the_clients_to_retry(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    crm.on("GET", "Lead", refusal(502), Reply(502), page({"id": LEAD}))
    assert run_task(sensor()) == FOUND
    crm.on("GET", "Lead", refusal(502))
    with pytest.raises(EspoServerError):
        run_task(sensor())


def test_a_poke_can_be_made_by_hand(crm: Crm) -> None:
    crm.on("GET", "Lead", page(), page({"id": LEAD}))
    task = sensor()
    token = ExecutorSafeguard.tracker.set(task)
    try:
        assert not task.poke({})
        assert task.poke({}).xcom_value == FOUND
    finally:
        ExecutorSafeguard.tracker.reset(token)
