"""Notes that start DAGs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.triggers.stream_event import EspoStreamEventTrigger
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.triggers.triggerer import Store, Triggerer, in_its_own_time, shared_only


@pytest.fixture
def crm(crm_on_time: SandboxCrm) -> SandboxCrm:
    return crm_on_time


def trigger(**given: Any) -> EspoStreamEventTrigger:
    arguments: dict[str, Any] = {"poll_interval": 5.0}
    return EspoStreamEventTrigger(**(arguments | given))


def post(crm: SandboxCrm, lead: str, text: str = "Hello") -> str:
    return str(crm.asker.create("Note", type="Post", post=text, parentType="Lead", parentId=lead)["id"])


def test_new_notes_are_events_with_ids_and_numbers_and_no_text(crm: SandboxCrm) -> None:
    async def scene() -> None:
        lead = crm.asker.create("Lead", lastName="Roe")["id"]
        post(crm, lead, "old")
        triggerer = Triggerer(Store())
        triggerer.start(trigger(entity_type="Lead", record_id=lead, note_types=["Post"]), "posts")
        await triggerer.live(10)
        made = [post(crm, lead, "secret") for _ in range(3)]
        await triggerer.live(30)
        ((_, payload),) = triggerer.database
        assert payload["ids"] == made
        assert payload["stamps"] == sorted(payload["stamps"])
        assert payload["watermark"] == payload["stamps"][-1]
        assert payload["stream"] == f"Lead/{lead}/stream"
        assert "secret" not in str(payload)
        await triggerer.kill()

    in_its_own_time(scene())


def test_notes_of_a_time_without_triggerer_come_afterwards_once(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        lead = crm.asker.create("Lead", lastName="Roe")["id"]
        one = Triggerer(store)
        one.start(trigger(parent_types=["Lead"], note_types=["Post"]), "posts")
        await one.live(10)
        first = post(crm, lead)
        await one.live(30)
        await one.kill()
        missed = post(crm, lead)
        two = Triggerer(store)
        two.start(trigger(parent_types=["Lead"], note_types=["Post"]), "posts")
        await two.live(30)
        assert one.ids() == [first]
        assert two.ids() == [missed]
        await two.kill()

    in_its_own_time(scene())


def test_more_notes_than_a_look_takes_all_come(crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_espo.client.operations.stream.MOST_NEW_NOTES", 20)

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(note_types=["Post"], overlap=5), "posts")
        await triggerer.live(10)
        lead = crm.asker.create("Lead", lastName="Roe")["id"]
        made = [post(crm, lead) for _ in range(75)]
        await triggerer.live(120)
        assert triggerer.ids() == made
        await triggerer.kill()

    in_its_own_time(scene())


@shared_only
def test_filters_on_one_stream_cost_one_poll_an_interval(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        for kind in ("Post", "Create", "Update", "Status", "Assign"):
            triggerer.start(trigger(note_types=[kind]), kind)
        await triggerer.live(10)
        crm.sent.clear()
        await triggerer.live(100)
        assert 19 <= len(crm.sent) <= 21
        await triggerer.kill()

    in_its_own_time(scene())


@pytest.mark.parametrize(
    "given",
    [
        {"entity_type": "Lead"},
        {"stream": "all"},
        {"stream": "own", "entity_type": "Lead", "record_id": "a1"},
        {"overlap": -1},
    ],
)
def test_arguments_that_are_none_are_refused_in_the_dag_file(given: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError):
        trigger(**given)
