"""Records that start DAGs: no change is lost, none comes twice but around a death, and all triggers share one poll."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_espo.client.change_cursor import MOST_KNOWN
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.triggers import watching
from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from airflow_provider_espo.triggers.stream_event import EspoStreamEventTrigger
from airflow_provider_espo.where import equals, in_, or_
from tests.unit.airflows import encode_trigger
from tests.unit.crm import Sent
from tests.unit.sandbox_crm import NOW, SandboxCrm
from tests.unit.triggers.conftest import SHARED
from tests.unit.triggers.triggerer import Airflow, Store, Triggerer, in_its_own_time


@pytest.fixture
def crm(sandbox_crm: SandboxCrm, airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> SandboxCrm:
    monkeypatch.setattr(watching, "_bells", {})

    def on_time(_sent: Sent) -> None:
        sandbox_crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time())

    sandbox_crm.before = on_time
    return sandbox_crm


def trigger(**given: Any) -> EspoRecordEventTrigger:
    arguments: dict[str, Any] = {"entity_type": "Lead", "poll_interval": 5.0}
    return EspoRecordEventTrigger(**(arguments | given))


def add(crm: SandboxCrm, count: int = 1, **values: Any) -> list[str]:
    crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time())
    return [crm.asker.create("Lead", **({"lastName": "Roe"} | values))["id"] for _ in range(count)]


def polls(crm: SandboxCrm) -> list[Sent]:
    return [one for one in crm.sent if one.method == "GET" and one.path == "Lead" and one.search["order"] == "desc"]


# -- what is an event ----------------------------------------------------------------------------------------------


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


def test_a_record_that_changes_twice_in_a_second_is_an_event_after_both(crm: SandboxCrm) -> None:
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


# -- one poll for all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("airflow", [SHARED], indirect=True)
def test_five_filters_on_twenty_five_assets_cost_one_poll_an_interval(crm: SandboxCrm) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        for number in range(5):
            # Equal watchers of several assets are one trigger to Airflow.
            triggerer.start(trigger(where=[equals("source", f"S{number}")]), *[f"a{number}{n}" for n in range(5)])
        await triggerer.live(10)
        crm.sent.clear()
        await triggerer.live(100)
        assert 19 <= len(crm.sent) <= 21
        assert len(polls(crm)) == len(crm.sent)
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_trigger_that_comes_late_sees_what_came_before_it(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(where=[equals("source", "Call")]), "calls")
        await one.live(10)
        await one.kill()
        # Nobody watches calls now, and something comes.
        missed = add(crm, source="Call")
        two = Triggerer(store)
        two.start(trigger(where=[equals("source", "Email")]), "mails")
        await two.live(30)
        late = two.start(trigger(where=[equals("source", "Call")]), "calls")
        await two.live(10)
        assert two.ids(late) == missed
        await two.kill()

    in_its_own_time(scene())


@pytest.mark.parametrize("airflow", [SHARED], indirect=True)
def test_two_assets_on_one_trigger_keep_one_place_in_both_stores(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        triggerer = Triggerer(store)
        triggerer.start(trigger(), "b", "a")
        await triggerer.live(10)
        made = add(crm)
        await triggerer.live(10)
        assert triggerer.ids() == made
        assert store.values["a"] == store.values["b"] != {}
        await triggerer.kill()
        # One of the two assets is gone.
        again = Triggerer(store)
        again.start(trigger(), "b")
        await again.live(30)
        assert again.ids() == []
        await again.kill()

    in_its_own_time(scene())


# -- deaths --------------------------------------------------------------------------------------------------------


def test_what_airflow_had_not_stored_comes_again_with_the_same_id_and_stamp(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(10)
        made = add(crm)
        await one.live(10, persisting=False)
        await one.kill()
        two = Triggerer(store)
        two.start(trigger(), "leads")
        await two.live(10)
        assert two.ids() == made
        await two.kill()

    in_its_own_time(scene())


def test_what_comes_before_the_first_event_of_all_is_not_lost_with_the_triggerer(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(2)
        await one.kill()
        made = add(crm)
        two = Triggerer(store)
        two.start(trigger(), "leads")
        await two.live(10)
        assert two.ids() == made
        await two.kill()

    in_its_own_time(scene())


@pytest.mark.parametrize("seed", range(12))
def test_no_change_is_lost_whenever_triggerers_die(crm: SandboxCrm, airflow: Airflow, seed: int) -> None:
    chance = random.Random(seed)

    async def scene() -> None:
        store = Store()
        made: list[str] = []
        seen: list[str] = []
        first = Triggerer(store)
        first.start(trigger(batch_size=3), "leads")
        await first.live(2)
        await first.kill()
        for _ in range(4):
            triggerer = Triggerer(store)
            triggerer.start(trigger(batch_size=3), "leads")
            for _ in range(chance.randint(0, 6)):
                await asyncio.sleep(chance.choice([0, 0, 0.5, 3, 7]))
                made += add(crm, chance.randint(0, 5))
                # An Airflow that does not say when it has stored events is given ten seconds for it.
                if not airflow.shares:
                    triggerer.persist()
                elif chance.random() < 0.6:
                    triggerer.persist(chance.choice([None, 1]))
            await triggerer.kill()
            seen += triggerer.ids()
        last = Triggerer(store)
        last.start(trigger(), "leads")
        await last.live(60)
        seen += last.ids()
        await last.kill()
        assert set(seen) == set(made)

    in_its_own_time(scene())


def test_with_the_events_stored_nothing_comes_again(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        seen: list[str] = []
        made: list[str] = []
        for _ in range(5):
            triggerer = Triggerer(store)
            triggerer.start(trigger(), "leads")
            await triggerer.live(10)
            made += add(crm, 3)
            await triggerer.live(30)
            await triggerer.kill()
            seen += triggerer.ids()
        assert sorted(seen) == sorted(made)

    in_its_own_time(scene())


# -- failures ------------------------------------------------------------------------------------------------------


def test_an_outage_is_waited_out_with_growing_pauses_and_nothing_is_lost(
    crm: SandboxCrm, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connect(password=crm.credentials["api_key"], extra={"max_retries": 0})
    down = False
    on_time = crm.before

    def maybe_down(sent: Sent) -> None:
        on_time(sent)
        if down:
            times.append(asyncio.get_running_loop().time())
            raise ConnectionResetError

    times: list[float] = []

    async def scene() -> None:
        nonlocal down
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        crm.before = maybe_down
        down = True
        made = add_quietly(crm)
        await triggerer.live(100)
        down = False
        await triggerer.live(200)
        assert triggerer.ids() == made
        assert not triggerer.failed
        await triggerer.kill()

    in_its_own_time(scene())
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[-1] > 3 * pauses[0]
    assert "failed 5 times in a row" in caplog.text


def add_quietly(crm: SandboxCrm) -> list[str]:
    crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time())
    return [crm.asker.create("Lead", lastName="Quiet")["id"]]


def test_ten_failures_in_a_row_fail_the_trigger_and_the_next_goes_on_waiting(crm: SandboxCrm, connect: Any) -> None:
    connect(password="wrong", extra={"max_retries": 0})

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(3000)
        assert len(triggerer.failed) == 1
        asked = len(crm.sent)
        triggerer.start(trigger(), "leads")
        await triggerer.live(200)
        assert len(crm.sent) == asked, "the successor must not begin with short pauses again"
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_store_that_fails_fails_the_trigger_and_nothing_is_lost(crm: SandboxCrm, airflow: Airflow) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(10)

        def broken() -> None:
            raise RuntimeError("no database")

        store.before_set = airflow.before_set = broken
        made = add(crm)
        await one.live(30)
        assert one.failed
        store.before_set = airflow.before_set = lambda: None
        await one.kill()
        two = Triggerer(store)
        two.start(trigger(), "leads")
        await two.live(10)
        assert two.ids() == made
        await two.kill()

    in_its_own_time(scene())


# -- bad input -----------------------------------------------------------------------------------------------------


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


def test_where_items_that_are_none_are_refused_in_the_dag_file() -> None:
    with pytest.raises(EspoInputError):
        trigger(where=[{"type": "equals"}]).serialize()
