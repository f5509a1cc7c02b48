"""Waiting for notes: where the wait begins, what is handed on, what is kept between the looks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoForbiddenError, EspoInputError
from airflow_provider_espo.sensors.stream import EspoStreamSensor
from airflow_provider_espo.where import equals
from tests.unit.airflows import AirflowRescheduleException, AirflowSensorTimeout, TaskDeferred
from tests.unit.crm import Crm, Sent, refusal
from tests.unit.running import Store, TaskInstance, context_of, run_task

STREAM = "GlobalStream"


class Notes:
    """A stream of notes that grows."""

    def __init__(self, crm: Crm, upto: int = 0, path: str = STREAM) -> None:
        self.numbers = list(range(1, upto + 1))
        crm.on("GET", path, self._answer)

    def _answer(self, sent: Sent) -> Any:
        found = self.numbers
        for item in sent.search.get("where", []):
            if item["attribute"] == "number":
                above = item["type"] == "greaterThan"
                found = [one for one in found if (one > item["value"] if above else one < item["value"])]
        newest = sorted(found, reverse=True)[: sent.search.get("maxSize", 200)]
        total = -2 if len(newest) == len(found) else -1
        return {"total": total, "list": [{"id": f"n{one}", "number": one, "post": "private"} for one in newest]}


def sensor(**given: Any) -> EspoStreamSensor:
    arguments: dict[str, Any] = {"task_id": "wait", "deferrable": False, "poke_interval": 0.01}
    return EspoStreamSensor(**(arguments | given))


def deferred(task: EspoStreamSensor, **given: Any) -> Any:
    """Defer a task; return its trigger as the triggerer makes it."""
    with pytest.raises(TaskDeferred) as caught:
        run_task(task, **given)
    _path, arguments = caught.value.trigger.serialize()
    return type(caught.value.trigger)(**json.loads(json.dumps(arguments)))


async def first_event(trigger: Any) -> Any:
    return (await anext(trigger.run())).payload


def test_notes_above_a_number_are_there_at_once(crm: Crm) -> None:
    Notes(crm, 30)
    result = run_task(sensor(since_number="28"))
    assert (result["note_ids"], result["last_number"]) == (["n29", "n30"], 30)


def test_the_next_run_goes_on_where_this_one_ended_and_misses_no_late_note(crm: Crm) -> None:
    notes = Notes(crm, 30)
    notes.numbers.remove(29)
    first = run_task(sensor(since_number=28))
    notes.numbers += [29, 31]
    second = run_task(sensor(cursor=json.loads(json.dumps(first["cursor"]))))
    assert (first["note_ids"], second["note_ids"]) == (["n30"], ["n29", "n31"])


def test_without_a_number_it_waits_for_notes_after_the_first_look(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(crm, 30)
    monkeypatch.setattr("time.sleep", lambda _seconds: notes.numbers.append(31))
    assert run_task(sensor())["note_ids"] == ["n31"]


def test_in_the_triggerer_it_waits_for_notes_after_the_first_look(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(crm, 30)
    trigger = deferred(sensor(deferrable=True))
    real = asyncio.sleep

    async def meanwhile(_seconds: float) -> None:
        notes.numbers.append(len(notes.numbers) + 1)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", meanwhile)
    notes.numbers.append(31)
    event = asyncio.run(first_event(trigger))
    assert event["note_ids"][0] == "n31"
    task = sensor(deferrable=True)
    assert task.execute_complete(context_of(task), event) == {
        "note_ids": event["note_ids"],
        "last_number": event["last_number"],
        "cursor": event["cursor"],
    }


def test_neither_trigger_nor_event_hold_what_is_written_in_a_note(crm: Crm) -> None:
    notes = Notes(crm, 30)
    trigger = deferred(sensor(deferrable=True, note_types=["Post"], where=[equals("parentType", "Case")]))
    notes.numbers.append(31)
    event = asyncio.run(first_event(trigger))
    assert "private" not in json.dumps([trigger.serialize(), event])
    assert trigger.serialize()[1]["filters"] == {
        "note_types": ["Post"],
        "where": [{"type": "equals", "attribute": "parentType", "value": "Case"}],
    }


def test_when_rescheduled_the_place_is_kept_by_airflow(crm: Crm) -> None:
    notes = Notes(crm, 30)
    store, task = Store(), sensor(mode="reschedule")
    with pytest.raises(AirflowRescheduleException):
        run_task(task, store=store)
    notes.numbers.append(31)
    assert run_task(task, store=store)["note_ids"] == ["n31"]


def test_a_cleared_task_begins_anew(crm: Crm) -> None:
    notes = Notes(crm, 30)
    store, task = Store(), sensor(mode="reschedule")
    with pytest.raises(AirflowRescheduleException):
        run_task(task, store=store)
    notes.numbers.append(31)
    with pytest.raises(AirflowRescheduleException):
        run_task(task, store=store, ti=TaskInstance(try_number=2, max_tries=2))


def test_when_rescheduled_and_nobody_keeps_the_place_a_number_is_asked_for(crm: Crm) -> None:
    Notes(crm, 30)
    with pytest.raises(EspoInputError, match="since_number"):
        run_task(sensor(mode="reschedule"))
    assert run_task(sensor(mode="reschedule", since_number=29))["note_ids"] == ["n30"]


def test_nothing_in_time_is_airflows_time_out(crm: Crm) -> None:
    Notes(crm, 30)
    with pytest.raises(AirflowSensorTimeout):
        run_task(sensor(timeout=0))


@pytest.mark.parametrize("number", [-1, 10**9])
def test_a_number_that_cannot_be_is_refused(crm: Crm, number: int) -> None:
    Notes(crm, 30)
    with pytest.raises(EspoInputError):
        run_task(sensor(since_number=number))


def test_no_right_to_the_global_stream_is_explained(crm: Crm) -> None:
    crm.on("GET", STREAM, refusal(403, "No access to scope."))
    with pytest.raises(EspoForbiddenError, match="scope"):
        run_task(sensor())


def test_it_can_watch_one_record(crm: Crm) -> None:
    Notes(crm, 3, "Case/6746d1f3a0b1c2d3e/stream")
    task = sensor(entity_type="Case", record_id="6746d1f3a0b1c2d3e", since_number=0)
    assert run_task(task)["note_ids"] == ["n1", "n2", "n3"]
