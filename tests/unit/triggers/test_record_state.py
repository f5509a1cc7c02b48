"""Waiting in the triggerer for a record's state: what is stored, what is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_espo.triggers.record import EspoRecordStateTrigger
from tests.unit.crm import LEAD, Crm, refusal


def trigger(**given: Any) -> EspoRecordStateTrigger:
    arguments: dict[str, Any] = {
        "espo_conn_id": "espo_default",
        "entity_type": "Lead",
        "record_id": LEAD,
        "expected": {"status": ["Assigned", "Dead"]},
        "failed": {"lastName": "Nowak"},
        "poll_interval": 30.0,
        "deadline": None,
    }
    return EspoRecordStateTrigger(**(arguments | given))


def event(one: EspoRecordStateTrigger) -> Any:
    async def first() -> Any:
        return (await anext(one.run())).payload

    return asyncio.run(first())


def test_it_comes_back_from_the_database_as_it_was() -> None:
    path, arguments = trigger().serialize()
    assert path == "airflow_provider_espo.triggers.record.EspoRecordStateTrigger"
    assert EspoRecordStateTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


def test_success_names_the_record_and_none_of_its_values(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "Dead", "lastName": "Kovalenko"})
    assert event(trigger()) == {"status": "success", "id": LEAD}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"id": LEAD, "status": "New", "lastName": "Nowak"}, "EspoConflictError"),
        (refusal(404, f"Record {LEAD} does not exist."), "EspoNotFoundError"),
        ({"id": LEAD, "deleted": True}, "EspoNotFoundError"),
        (refusal(403, "No access."), "EspoForbiddenError"),
    ],
)
def test_what_ends_the_wait_is_told_without_values(crm: Crm, answer: Any, kind: str) -> None:
    crm.on("GET", f"Lead/{LEAD}", answer)
    told = event(trigger())
    assert (told["status"], told["kind"]) == ("error", kind)
    assert "Nowak" not in json.dumps(told)


def test_after_the_deadline_it_gives_up(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "lastName": "Kovalenko"})
    assert event(trigger(deadline=1.0)) == {"status": "timeout", "last_error": None}
