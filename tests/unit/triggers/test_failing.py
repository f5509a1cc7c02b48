"""What fails is waited out with growing pauses, is counted for itself, and becomes visible."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_espo import compat
from airflow_provider_espo.triggers import failures
from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from airflow_provider_espo.where import equals
from tests.unit.crm import Sent
from tests.unit.sandbox_crm import NOW, SandboxCrm
from tests.unit.triggers.leads import add, on_time, trigger
from tests.unit.triggers.triggerer import Store, Triggerer, in_its_own_time


@pytest.fixture
def crm(crm_on_time: SandboxCrm) -> SandboxCrm:
    return crm_on_time


def test_an_outage_is_waited_out_with_growing_pauses_and_nothing_is_lost(
    crm: SandboxCrm, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connect(password=crm.credentials["api_key"], extra={"max_retries": 0})
    down = False

    def maybe_down(_sent: Sent) -> None:
        on_time(crm)
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
        made = add(crm)
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
        while not triggerer.failed:
            await triggerer.live(1)
        asked = len(crm.sent)
        triggerer.start(trigger(), "leads")
        await triggerer.live(200)
        assert len(crm.sent) == asked, "the successor must not begin with short pauses again"
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_connection_that_is_missing_is_waited_for_and_not_asked_for_all_the_time(
    crm: SandboxCrm, connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found, asked = compat.aget_connection, []

    async def missing(conn_id: str) -> Any:
        asked.append(conn_id)
        raise RuntimeError("there is no such connection")

    async def scene() -> None:
        triggerer = Triggerer(Store())
        monkeypatch.setattr(compat, "aget_connection", missing)
        triggerer.start(trigger(), "leads")
        await triggerer.live(60)
        assert not triggerer.failed
        assert len(asked) == 5
        assert "failed 5 times in a row" in caplog.text
        assert "there is no such connection" in caplog.text
        monkeypatch.setattr(compat, "aget_connection", found)
        await triggerer.live(100)
        made = add(crm)
        await triggerer.live(20)
        assert triggerer.ids() == made
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_key_that_was_replaced_is_read_with_the_next_try(
    crm: SandboxCrm, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connect(password="wrong", extra={"max_retries": 0})

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(20)
        assert {record.levelname for record in caplog.records if "in a row" in record.message} == {"ERROR"}
        connect(password=crm.credentials["api_key"])
        await triggerer.live(20)
        made = add(crm)
        await triggerer.live(10)
        assert triggerer.ids() == made
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_filter_that_the_crm_refuses_counts_for_itself_and_its_neighbours_go_on(
    crm: SandboxCrm, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connect(password=crm.credentials["api_key"], extra={"max_retries": 0})
    refused: list[float] = []

    def refuse_calls(sent: Sent) -> None:
        on_time(crm)
        if "Call" in str(sent.search.get("where")):
            refused.append(asyncio.get_running_loop().time())
            raise ConnectionResetError

    async def scene() -> None:
        store = Store()
        triggerer = Triggerer(store)
        bad = triggerer.start(trigger(where=[equals("source", "Call")], poll_interval=1.0), "calls")
        good = triggerer.start(trigger(where=[equals("source", "Email")], poll_interval=1.0), "mails")
        await triggerer.live(5)
        crm.before = refuse_calls
        made = []
        for _ in range(100):
            made += add(crm, source="Email")
            await triggerer.live(1)
        await triggerer.live(10)
        assert triggerer.ids(good) == made
        assert not triggerer.failed
        assert len(refused) <= 7, "there is something new every second, and a look every second is no backing off"
        assert "failed 6 times in a row" in caplog.text
        crm.before = lambda _sent: on_time(crm)
        missed = add(crm, source="Call")
        await triggerer.live(200)
        assert triggerer.ids(bad) == missed
        await triggerer.kill()
        # What the good one told is stored, whatever became of the other.
        again = Triggerer(store)
        again.start(trigger(where=[equals("source", "Email")], poll_interval=1.0), "mails")
        await again.live(10)
        assert again.ids() == []
        await again.kill()

    in_its_own_time(scene())


def test_a_filter_that_never_works_fails_the_trigger_and_its_successor_waits_as_long(
    crm: SandboxCrm, connect: Any
) -> None:
    connect(password=crm.credentials["api_key"], extra={"max_retries": 0})
    refused: list[float] = []

    def refuse_calls(sent: Sent) -> None:
        on_time(crm)
        if "Call" in str(sent.search.get("where")):
            refused.append(asyncio.get_running_loop().time())
            raise ConnectionResetError

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(where=[equals("source", "Email")]), "mails")
        await triggerer.live(5)
        crm.before = refuse_calls
        bad = triggerer.start(trigger(where=[equals("source", "Call")]), "calls")
        while not triggerer.failed:
            await triggerer.live(1)
        assert [number for number, _ in triggerer.failed] == [bad]
        assert len(refused) == failures.MAX_FAILURES
        triggerer.start(trigger(where=[equals("source", "Call")]), "calls")
        await triggerer.live(250)
        assert len(refused) == failures.MAX_FAILURES, "the successor must not begin with short pauses again"
        await triggerer.live(100)
        assert len(refused) == failures.MAX_FAILURES + 1
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_look_that_does_not_end_is_given_up_before_airflow_fails_the_trigger(
    crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = EspoRecordEventTrigger.look

    async def for_ever(*_: Any) -> Any:
        await asyncio.sleep(1000)

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(10)
        monkeypatch.setattr(EspoRecordEventTrigger, "look", for_ever)
        made = add(crm)
        await triggerer.live(290)
        assert "It took longer than 200 s" in caplog.text
        monkeypatch.setattr(EspoRecordEventTrigger, "look", look)
        await triggerer.live(250)
        assert triggerer.ids() == made
        assert not triggerer.failed
        await triggerer.kill()

    in_its_own_time(scene())
