"""Whenever a triggerer dies or a store fails, no change is lost, and none comes twice but around a death."""

from __future__ import annotations

import asyncio
import random

import pytest

from airflow_provider_espo.where import equals
from tests.unit.crm import Sent
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.triggers.leads import add, on_time, trigger
from tests.unit.triggers.triggerer import Airflow, Store, Triggerer, in_its_own_time, shared_only, told_by_the_next


@pytest.fixture
def crm(crm_on_time: SandboxCrm) -> SandboxCrm:
    return crm_on_time


def test_what_airflow_had_not_stored_comes_again_with_the_same_id_and_stamp(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(10)
        made = add(crm)
        await one.live(10, persisting=False)
        await one.kill()
        assert await told_by_the_next(store, trigger(), "leads") == made

    in_its_own_time(scene())


def test_what_comes_before_the_first_event_of_all_is_not_lost_with_the_triggerer(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(2)
        await one.kill()
        made = add(crm)
        assert await told_by_the_next(store, trigger(), "leads") == made

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
                if not airflow.shares:
                    # An Airflow that does not say when it has stored events is given ten seconds for it.
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


# -- stores that fail ---------------------------------------------------------------------------------------------


@shared_only
def test_a_store_that_fails_is_tried_again_and_nothing_is_told_twice_or_lost(
    crm: SandboxCrm, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(10)

        def broken() -> None:
            raise RuntimeError("no database")

        store.before_set = broken
        made = add(crm)
        await one.live(30)
        assert not one.failed
        assert "Storing the place of" in caplog.text
        store.before_set = lambda: None
        await one.live(30)
        assert one.ids() == made
        await one.kill()
        assert await told_by_the_next(store, trigger(), "leads") == []

    in_its_own_time(scene())


@shared_only
def test_a_store_that_fails_keeps_no_neighbour_from_storing_its_place(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(where=[equals("source", "Call")]), "calls")
        one.start(trigger(where=[equals("source", "Email")]), "mails")
        await one.live(10)
        store.failing.add("calls")
        add(crm, source="Call")
        mails = add(crm, source="Email")
        await one.live(20)
        await one.kill()
        assert set(mails) < set(one.ids())
        assert await told_by_the_next(store, trigger(where=[equals("source", "Email")]), "mails") == []

    in_its_own_time(scene())


@shared_only
def test_a_store_that_fails_for_long_does_not_fail_the_trigger_which_would_tell_all_again(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        triggerer = Triggerer(store)
        triggerer.start(trigger(poll_interval=60.0), "leads")
        await triggerer.live(10)
        store.failing.add("leads")
        made = add(crm)
        await triggerer.live(2000)
        assert triggerer.ids() == made
        assert not triggerer.failed
        await triggerer.kill()

    in_its_own_time(scene())


@shared_only
def test_an_asset_that_is_gone_keeps_no_other_from_its_place(crm: SandboxCrm, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        store = Store()
        store.failing.add("gone")
        triggerer = Triggerer(store)
        triggerer.start(trigger(), "gone", "leads")
        await triggerer.live(10)
        made = add(crm)
        await triggerer.live(20)
        assert triggerer.ids() == made
        await triggerer.kill()
        again = Triggerer(store)
        again.start(trigger(), "gone", "leads")
        await again.live(20)
        assert again.ids() == []
        assert "could not be stored with one of 2 assets" in caplog.text
        assert "in a row" not in caplog.text
        await again.kill()

    in_its_own_time(scene())


@shared_only
def test_an_asset_that_is_activated_while_its_trigger_starts_keeps_its_place(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        one.start(trigger(), "leads")
        await one.live(10)
        await one.kill()
        made = add(crm)
        # To an asset that is not active Airflow says that nothing is stored.
        kept, store.values["leads"] = store.values["leads"], {}

        def activate(sent: Sent) -> None:
            on_time(crm)
            if sent.search.get("order") == "asc":
                store.values["leads"].update(kept)

        crm.before = activate
        assert await told_by_the_next(store, trigger(), "leads", seconds=20) == made

    in_its_own_time(scene())


@shared_only
def test_a_neighbour_whose_event_was_not_stored_keeps_no_place_from_being_stored(crm: SandboxCrm) -> None:
    async def scene() -> None:
        store = Store()
        one = Triggerer(store)
        mails = one.start(trigger(where=[equals("source", "Email")]), "mails")
        calls = one.start(trigger(where=[equals("source", "Call")]), "calls")
        await one.live(10)
        add(crm, source="Call")
        made = add(crm, source="Email")
        await one.live(10, persisting=False)
        one.persist_of(mails)
        # Airflow has never said that the event of the other is stored, and fails that one over it.
        await one.time_out()
        await one.live(20)
        assert [number for number, _ in one.failed] == [calls]
        await one.kill()
        two = Triggerer(store)
        two.start(trigger(where=[equals("source", "Email")]), "mails")
        await two.live(10)
        assert one.ids(mails) == made
        assert two.ids() == []
        await two.kill()

    in_its_own_time(scene())
