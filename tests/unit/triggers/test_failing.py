"""What fails is waited out with growing pauses, is counted for itself, and becomes visible."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_espo import compat
from airflow_provider_espo.triggers import failures
from airflow_provider_espo.where import equals
from tests.unit.crm import Reply, Sent
from tests.unit.sandbox_crm import NOW, SandboxCrm
from tests.unit.triggers.leads import add, on_time, polls, trigger
from tests.unit.triggers.triggerer import Store, Triggerer, in_its_own_time, shared_only, told_by_the_next


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
        assert (
            await told_by_the_next(store, trigger(where=[equals("source", "Email")], poll_interval=1.0), "mails") == []
        )

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


def busy_looks(crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch, seconds: int) -> list[float]:
    """Have the CRM ask whoever looks to come again in some seconds; polls go through.

    :return: one number, how often yet.
    """
    answer, left = crm.answer, [1000.0]

    def busy(method: str, url: str, *rest: Any) -> Reply:
        if "%22asc%22" in url and left[0] > 0:
            left[0] -= 1
            return Reply(503, b"", {"Retry-After": str(seconds)})
        return answer(method, url, *rest)

    monkeypatch.setattr(crm, "answer", busy)
    return left


def test_a_look_that_does_not_end_is_given_up_before_airflow_fails_the_trigger(
    crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(10)
        left = busy_looks(crm, monkeypatch, 100)
        made = add(crm)
        await triggerer.live(290)
        assert "It took longer than 200 s" in caplog.text
        left[0] = 0
        await triggerer.live(250)
        assert triggerer.ids() == made
        assert not triggerer.failed
        await triggerer.kill()

    in_its_own_time(scene())


@shared_only
def test_what_came_during_a_long_look_is_found_with_one_more(crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(poll_interval=1.0), "leads")
        await triggerer.live(10)
        left = busy_looks(crm, monkeypatch, 60)
        left[0] = 1
        made = []
        for _ in range(30):
            made += add(crm)
            await triggerer.live(1)
        crm.sent.clear()
        await triggerer.live(60)
        assert triggerer.ids() == made
        looks = [one for one in crm.sent if one.path == "Lead" and one not in polls(crm)]
        assert len(looks) <= 3
        await triggerer.kill()

    in_its_own_time(scene())


@shared_only
def test_what_one_trigger_tries_again_costs_its_neighbours_no_looks(crm: SandboxCrm, connect: Any) -> None:
    connect(password=crm.credentials["api_key"], extra={"max_retries": 0})
    looks = {"Call": 0, "Email": 0}

    def refuse_calls(sent: Sent) -> None:
        on_time(crm)
        for source in looks:
            looks[source] += source in str(sent.search.get("where"))
        if "Call" in str(sent.search.get("where")):
            raise ConnectionResetError

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(where=[equals("source", "Email")]), "mails")
        await triggerer.live(10)
        crm.before = refuse_calls
        triggerer.start(trigger(where=[equals("source", "Call")]), "calls")
        await triggerer.live(100)
        assert looks["Call"] >= 5
        assert looks["Email"] == 0
        await triggerer.kill()

    in_its_own_time(scene())


def test_a_connection_that_was_moved_is_read_again_by_looks_too(
    crm: SandboxCrm, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    key = crm.credentials["api_key"]
    connect(password=key, extra={"max_retries": 0, "headers": {"X-Way": "old"}})

    def old_way_is_closed(sent: Sent) -> None:
        on_time(crm)
        if sent.headers.get("x-way") == "old":
            raise ConnectionResetError

    async def scene() -> None:
        triggerer = Triggerer(Store())
        triggerer.start(trigger(), "leads")
        await triggerer.live(10)
        crm.before = old_way_is_closed
        connect(password=key, extra={"max_retries": 0, "headers": {"X-Way": "new"}})
        made = add(crm)
        await triggerer.live(40)
        assert triggerer.ids() == made
        assert "failed 1 times in a row" in caplog.text
        assert "failed 2 times in a row" not in caplog.text
        await triggerer.kill()

    in_its_own_time(scene())
