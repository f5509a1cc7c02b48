"""Watchers where Airflow has neither state stores nor shared streams."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo import compat
from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.triggers.leads import add, on_time
from tests.unit.triggers.triggerer import Store, Triggerer, alone_only, in_its_own_time, told_by_the_next

pytestmark = alone_only


@pytest.fixture
def crm(crm_on_time: SandboxCrm) -> SandboxCrm:
    return crm_on_time


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables of an Airflow without acknowledged shared streams."""
    kept: dict[str, str] = {}

    async def get(key: str) -> str | None:
        return kept.get(key)

    async def put(key: str, value: str) -> None:
        kept[key] = value

    monkeypatch.setattr(compat, "aget_variable", get)
    monkeypatch.setattr(compat, "aset_variable", put)
    return kept


def test_without_a_state_store_the_place_is_kept_in_a_variable(crm: SandboxCrm, variables: dict[str, str]) -> None:
    async def scene() -> None:
        watcher = EspoRecordEventTrigger(entity_type="Lead", poll_interval=5.0)
        one = Triggerer(Store())
        one.start(watcher)
        await one.live(10)
        first = add(crm)[0]
        await one.live(30)
        await one.kill()
        missed = add(crm)[0]
        two = Triggerer(Store())
        two.start(watcher)
        await two.live(30)
        assert one.ids() == [first]
        assert two.ids() == [missed]
        assert all(name.startswith("espo_watcher_") for name in variables)
        await two.kill()

    in_its_own_time(scene())


def test_without_a_state_store_triggers_that_look_at_other_intervals_keep_places_of_their_own(
    crm: SandboxCrm, variables: dict[str, str]
) -> None:
    async def scene() -> None:
        fast = EspoRecordEventTrigger(entity_type="Lead", poll_interval=5.0)
        slow = EspoRecordEventTrigger(entity_type="Lead", poll_interval=600.0)
        one = Triggerer(Store())
        one.start(fast)
        one.start(slow)
        await one.live(10)
        made = add(crm)[0]
        await one.live(60)
        assert one.ids() == [made]
        await one.kill()
        two = Triggerer(Store())
        two.start(fast)
        told_late = two.start(slow)
        await two.live(30)
        assert two.ids() == two.ids(told_late) == [made]
        await two.kill()

    in_its_own_time(scene())


def test_without_a_state_store_a_changed_interval_keeps_the_place(crm: SandboxCrm, variables: dict[str, str]) -> None:
    async def scene() -> None:
        one = Triggerer(Store())
        one.start(EspoRecordEventTrigger(entity_type="Lead", poll_interval=5.0))
        await one.live(10)
        await one.kill()
        missed = add(crm)[0]
        assert await told_by_the_next(
            Store(), EspoRecordEventTrigger(entity_type="Lead", poll_interval=20.0), seconds=30
        ) == [missed]

    in_its_own_time(scene())


def test_without_acknowledgements_a_place_is_stored_in_time_however_rare_the_looks(
    crm: SandboxCrm, variables: dict[str, str]
) -> None:
    async def scene() -> None:
        watcher = EspoRecordEventTrigger(entity_type="Lead", poll_interval=600.0)
        one = Triggerer(Store())
        one.start(watcher)
        await one.live(10)
        made = add(crm)[0]
        await one.live(650)
        assert one.ids() == [made]
        await one.kill()
        assert await told_by_the_next(Store(), watcher, seconds=30) == []

    in_its_own_time(scene())


def test_without_acknowledgements_variables_that_fail_are_tried_again_and_nothing_is_told_twice(
    crm: SandboxCrm, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        watcher = EspoRecordEventTrigger(entity_type="Lead", poll_interval=5.0)
        one = Triggerer(Store())
        one.start(watcher)
        await one.live(10)

        async def broken(key: str, value: str) -> None:
            raise RuntimeError("no database")

        with monkeypatch.context() as patch:
            patch.setattr(compat, "aset_variable", broken)
            made = add(crm)[0]
            await one.live(60)
        await one.live(60)
        assert not one.failed
        assert one.ids() == [made]
        await one.kill()
        assert await told_by_the_next(Store(), watcher, seconds=30) == []

    in_its_own_time(scene())


def test_without_acknowledgements_an_event_of_the_last_seconds_comes_again(
    crm: SandboxCrm, variables: dict[str, str]
) -> None:
    async def scene() -> None:
        watcher = EspoRecordEventTrigger(entity_type="Lead", poll_interval=2.0)
        one = Triggerer(Store())
        one.start(watcher)
        await one.live(10)
        made = add(crm)[0]
        await one.live(5, persisting=False)
        await one.kill()
        assert await told_by_the_next(Store(), watcher) == [made]

    in_its_own_time(scene())


def test_without_shared_streams_an_outage_is_waited_out_too(
    crm: SandboxCrm, connect: Any, variables: dict[str, str]
) -> None:
    connect(password=crm.credentials["api_key"], extra={"max_retries": 0})

    async def scene() -> None:
        one = Triggerer(Store())
        one.start(EspoRecordEventTrigger(entity_type="Lead", poll_interval=5.0))
        await one.live(10)

        def down(_sent: object) -> None:
            raise ConnectionResetError

        crm.before = down
        made = add(crm)[0]
        await one.live(60)
        crm.before = lambda _sent: on_time(crm)
        await one.live(200)
        assert one.ids() == [made]
        await one.kill()

    in_its_own_time(scene())
