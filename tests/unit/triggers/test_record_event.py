"""Records that start DAGs: which changes are events, and what arguments are refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_espo.client.change_cursor import MOST_KNOWN
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.triggers.stream_event import EspoStreamEventTrigger
from airflow_provider_espo.where import equals, in_, or_
from tests.unit.airflows import encode_trigger
from tests.unit.crm import Sent
from tests.unit.sandbox_crm import NOW, SandboxCrm
from tests.unit.triggers.leads import add, on_time, trigger
from tests.unit.triggers.triggerer import Store, Triggerer, in_its_own_time


@pytest.fixture
def crm(crm_on_time: SandboxCrm) -> SandboxCrm:
    return crm_on_time


def test_a_new_record_is_an_event_with_its_id_and_the_second_of_its_creation(crm: SandboxCrm) -> None:
    async def scene() -> None:
        add(crm, lastName="Before")
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        (made,) = add(crm)
        await triggerer.live(20)
        stamp = crm.asker.read("Lead", made)["createdAt"]
        ((_, payload),) = triggerer.database
        assert payload == {
            "entity_type": "Lead",
            "event": "created",
            "ids": [made],
            "stamps": [stamp],
            "count": 1,
            "watermark": stamp,
        }
        await triggerer.kill()

    in_its_own_time(scene())


def test_of_all_new_records_only_those_that_match_are_events(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(where=[equals("source", "Web Site")]), "leads")
        await triggerer.live(2)
        add(crm, source="Call")
        wanted = add(crm, source="Web Site")
        await triggerer.live(10)
        assert triggerer.ids() == wanted
        await triggerer.kill()

    in_its_own_time(scene())


def test_every_change_is_an_event_and_a_record_changed_twice_comes_twice(crm: SandboxCrm) -> None:
    async def scene() -> None:
        (old,) = add(crm)
        triggerer = Triggerer(Store())
        triggerer.start(trigger(event="modified"), "leads")
        await triggerer.live(10)
        for status in ("Assigned", "In Process"):
            crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time())
            crm.asker.ok("PUT", f"Lead/{old}", {"status": status})
            await triggerer.live(10)
        new = add(crm)
        await triggerer.live(60)
        assert triggerer.ids() == [old, old, *new]
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_record_that_changes_twice_in_a_second_is_an_event_after_both(
    crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_espo.triggers.events._SHORTEST_INTERVAL", 0.1)

    async def scene() -> None:
        (old,) = add(crm)
        triggerer = Triggerer(Store())
        triggerer.start(trigger(event="modified", poll_interval=0.3), "leads")
        await triggerer.live(10)
        # Polls come between the two.
        await asyncio.sleep(0.1)
        changed_at = []
        for status in ("Assigned", "In Process"):
            crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time())
            crm.asker.ok("PUT", f"Lead/{old}", {"status": status})
            changed_at.append(int(asyncio.get_running_loop().time()))
            assert triggerer.ids() == []
            await asyncio.sleep(0.5)
            triggerer.persist()
        assert changed_at[0] == changed_at[1]
        await triggerer.live(60)
        assert triggerer.ids() == [old]
        await triggerer.kill()

    in_its_own_time(scene())


def test_many_changes_come_in_events_of_a_bounded_size(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(batch_size=20), "leads")
        await triggerer.live(10)
        made = add(crm, 45)
        await triggerer.live(10)
        assert [payload["count"] for _, payload in triggerer.database] == [20, 20, 5]
        assert triggerer.ids() == sorted(made)
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_record_that_appears_late_behind_others_is_not_missed(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(lag=30), "leads")
        await triggerer.live(10)
        first = add(crm)
        await triggerer.live(10)
        # Its transaction began before that of the first and is over now.
        crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time() - 20)
        late = crm.asker.create("Lead", lastName="Late")["id"]
        await triggerer.live(10)
        assert triggerer.ids() == [*first, late]
        await triggerer.live(120)
        assert triggerer.ids() == [*first, late]
        await triggerer.kill()

    in_its_own_time(scene())


def test_more_changes_in_a_second_than_a_place_remembers_all_come(
    crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_espo.client.change_cursor.MOST_KNOWN", 20)
    monkeypatch.setattr("airflow_provider_espo.triggers.record_event._AT_ONCE", 10)

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(lag=3), "leads")
        await triggerer.live(10)
        made = add(crm, 450)
        await triggerer.live(60)
        assert set(triggerer.ids()) == set(made)
        await triggerer.kill()

    in_its_own_time(scene())
    assert MOST_KNOWN > 1000


def test_records_that_change_while_they_are_looked_at_come_with_their_last_change(
    crm: SandboxCrm, connect: Any
) -> None:
    connect(password=crm.credentials["api_key"], extra={"page_size": 10})

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(event="modified"), "leads")
        await triggerer.live(10)
        made, pages = add(crm, 35), 0
        settled = crm.now + timedelta(seconds=1)

        def change_some(sent: Sent) -> None:
            nonlocal pages
            on_time(crm)
            if crm.now >= settled and sent.method == "GET" and sent.search.get("order") == "asc" and pages < 3:
                pages += 1
                # One behind the page, one on it, one before it.
                for number in (0, 10 * pages, 34):
                    crm.asker.ok("PUT", f"Lead/{made[number]}", {"description": f"{pages} {number}"})

        crm.before = change_some
        await triggerer.live(60)
        assert pages == 3
        told = {
            change
            for _, payload in triggerer.database
            for change in zip(payload["ids"], payload["stamps"], strict=True)
        }
        assert {(one, crm.asker.read("Lead", one)["modifiedAt"]) for one in made} <= told
        await triggerer.kill()

    in_its_own_time(scene())


# -- clocks --------------------------------------------------------------------------------------------------------


def add_at(crm: SandboxCrm, seconds: float, count: int = 1, **values: Any) -> list[str]:
    """Make leads by a clock that is so many seconds ahead."""
    crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time() + seconds)
    return [crm.asker.create("Lead", **({"lastName": "Roe"} | values))["id"] for _ in range(count)]


def test_a_record_from_the_future_that_was_there_before_hides_nothing(crm: SandboxCrm) -> None:
    async def scene() -> None:
        add(crm)
        add_at(crm, 1_000_000)
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        made = add(crm)
        await triggerer.live(20)
        assert triggerer.ids() == made
        await triggerer.kill()

    in_its_own_time(scene())


def test_many_records_from_the_future_hide_nothing_and_cost_no_more_looks(crm: SandboxCrm, connect: Any) -> None:
    connect(password=crm.credentials["api_key"], extra={"page_size": 20})

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        add_at(crm, 1_000_000, 30)
        await triggerer.live(20)
        for _ in range(3):
            made = add(crm)
            await triggerer.live(20)
            assert triggerer.ids() == made
            triggerer.database.clear()
        crm.sent.clear()
        await triggerer.live(100)
        assert len(crm.sent) <= 21
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_record_from_the_future_is_an_event_when_its_time_has_come(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        early = add_at(crm, 300)
        await triggerer.live(280)
        assert triggerer.ids() == []
        await triggerer.live(60)
        assert triggerer.ids() == early
        await triggerer.live(100)
        assert triggerer.ids() == early
        await triggerer.kill()

    in_its_own_time(scene())


def test_clocks_of_servers_that_differ_by_less_than_the_lag_hide_nothing(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        made = add_at(crm, 25)
        made += add(crm)
        await triggerer.live(10)
        made += add_at(crm, -20)
        crm.sent.clear()
        await triggerer.live(100)
        assert sorted(triggerer.ids()) == sorted(made)
        assert len(crm.sent) <= 30
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_record_that_a_clock_ahead_stamped_hides_none_of_a_clock_that_is_right(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(where=[equals("source", "Call")]), "leads")
        await triggerer.live(20)
        add_at(crm, 55, source="Email")
        await triggerer.live(10)
        made = add(crm, source="Call")
        await triggerer.live(10)
        assert triggerer.ids() == made
        await triggerer.kill()

    in_its_own_time(scene())


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [{"event": "deleted"}, {"batch_size": 0}, {"batch_size": 5000}, {"poll_interval": 0}, {"lag": -1}]
)
def test_arguments_that_are_none_are_refused_in_the_dag_file(given: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError):
        trigger(**given)


@pytest.mark.parametrize(
    "watcher",
    [
        trigger(),
        trigger(where=[or_(equals("source", "Call"), in_("status", ["New", "Dead"]))], bool_filters=["onlyMy"]),
        EspoStreamEventTrigger(note_types=["Post"], where=[equals("createdById", "a1")]),
    ],
)
def test_airflow_knows_a_watcher_again_that_it_reads_back_from_its_database(watcher: Any) -> None:
    from airflow.models.trigger import Trigger

    encoded = encode_trigger(watcher)
    kept = Trigger._decrypt_kwargs(Trigger.encrypt_kwargs(encoded["kwargs"]))
    assert watcher.hash(encoded["classpath"], encoded["kwargs"]) == watcher.hash(encoded["classpath"], kept)
    assert type(watcher)(**kept).serialize() == watcher.serialize()


@pytest.mark.parametrize(
    "given", [{"event": "deleted"}, {"batch_size": 0}, {"poll_interval": 0.5}, {"lag": -1}, {"where": "no JSON"}]
)
def test_a_stored_trigger_whose_arguments_are_none_is_refused_in_the_way_the_triggerer_survives(
    given: dict[str, Any],
) -> None:
    with pytest.raises(TypeError):
        trigger(**given)
    nowhere: Any = "all"
    with pytest.raises(TypeError):
        EspoStreamEventTrigger(stream=nowhere)


def test_where_items_that_are_none_are_refused_in_the_dag_file() -> None:
    with pytest.raises(EspoInputError):
        trigger(where=[{"type": "equals"}]).serialize()
