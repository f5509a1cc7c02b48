"""All triggers on a feed share one poll, and each keeps its own place."""

from __future__ import annotations

import pytest

from airflow_provider_espo.where import equals
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.triggers.leads import add, polls, trigger
from tests.unit.triggers.triggerer import Store, Triggerer, in_its_own_time, shared_only, told_by_the_next


@pytest.fixture
def crm(crm_on_time: SandboxCrm) -> SandboxCrm:
    return crm_on_time


@shared_only
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


@shared_only
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
        assert await told_by_the_next(store, trigger(), "b", seconds=30) == []

    in_its_own_time(scene())
