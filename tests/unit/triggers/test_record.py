"""Waiting in the triggerer, on a bare event loop."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from airflow.triggers.base import BaseTrigger

from airflow_provider_espo import exceptions
from airflow_provider_espo.triggers.base import MAX_FAILED_LOOKS
from airflow_provider_espo.triggers.record import EspoRecordTrigger
from airflow_provider_espo.where import equals
from tests.unit.crm import API_KEY, LEAD, Crm, Lost, Refused, Reply, Sent, TooLate, Untrusted, page, refusal

NOW = 1_772_345_600.0


class Clock:
    """Time that passes only when somebody waits.

    :param traveller: the clock of the process.
    """

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller
        self._sleep = asyncio.sleep
        self.waits: list[float] = []

    async def sleep(self, seconds: float, result: Any = None) -> Any:
        if seconds > 0:
            self.waits.append(seconds)
            self._traveller.shift(seconds)
        await self._sleep(0)
        return result


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with time_machine.travel(NOW, tick=False) as traveller:
        one = Clock(traveller)
        monkeypatch.setattr(asyncio, "sleep", one.sleep)
        yield one


@pytest.fixture
def once(connect: Callable[..., str], crm: Crm) -> Crm:
    """A CRM to which the client sends each request once, so that every failed request is a failed look."""
    connect(extra={"max_retries": 0})
    return crm


def trigger(**given: Any) -> EspoRecordTrigger:
    arguments: dict[str, Any] = {"espo_conn_id": "espo_default", "entity_type": "Lead", "poll_interval": 60.0}
    return EspoRecordTrigger(**(arguments | given))


async def events(of: BaseTrigger) -> list[Any]:
    return [event.payload async for event in of.run()]


# --- what it waits for


async def test_it_fires_once_with_count_and_ids(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", page(), page(), page({"id": LEAD}))
    assert await events(trigger(where=[equals("status", "New")])) == [{"status": "success", "count": 1, "ids": [LEAD]}]
    assert crm.calls("GET", "Lead")[0].search["where"] == [equals("status", "New")]


async def test_it_waits_the_interval_give_or_take_a_tenth(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", *[page()] * 30, page({"id": LEAD}))
    await events(trigger(poll_interval=60))
    assert len(clock.waits) == 30
    assert all(54 <= wait <= 66 for wait in clock.waits)
    assert len(set(clock.waits)) > 1, "sensors that started together must not look together for ever"


@pytest.mark.parametrize("interval", [0, 0.001, -5])
async def test_it_does_not_hammer_the_server_whatever_the_interval(crm: Crm, clock: Clock, interval: float) -> None:
    crm.on("GET", "Lead", page(), page({"id": LEAD}))
    await events(trigger(poll_interval=interval))
    assert clock.waits[0] >= 0.9


async def test_all_filters_go_along(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", page({"id": LEAD}))
    await events(trigger(primary_filter="actual", bool_filters=["onlyMy"], text_filter="ACME"))
    search = crm.calls("GET", "Lead")[0].search
    assert (search["primaryFilter"], search["boolFilterList"], search["textFilter"]) == ("actual", ["onlyMy"], "ACME")


# --- the deadline


async def test_at_the_deadline_it_looks_once_more_and_gives_up(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", page())
    assert await events(trigger(deadline=NOW + 100)) == [{"status": "timeout", "last_error": None}]
    assert sum(clock.waits) == pytest.approx(100)
    assert len(crm.calls("GET", "Lead")) == 3


async def test_what_comes_at_the_deadline_is_a_success(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", page(), page({"id": LEAD}))
    (event,) = await events(trigger(deadline=NOW + 10))
    assert event["status"] == "success"


async def test_a_deadline_that_is_over_already_still_gets_its_look(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", page({"id": LEAD}))
    (event,) = await events(trigger(deadline=NOW - 3600))
    assert event["status"] == "success"
    assert clock.waits == []


async def test_a_deadline_in_the_middle_of_an_outage_tells_of_it(once: Crm, clock: Clock) -> None:
    once.on("GET", "Lead", Refused)
    (event,) = await events(trigger(deadline=NOW + 45))
    assert event["status"] == "timeout"
    assert "No connection" in event["last_error"]


# --- errors

PASSING = [
    refusal(500),
    refusal(503, "Maintenance mode"),
    refusal(502),
    refusal(429),
    Reply(200, "<html>Back soon</html>", {"Content-Type": "text/html"}),
    Lost,
    TooLate,
    Refused,
]


@pytest.mark.parametrize("failure", PASSING)
async def test_what_may_pass_is_borne(once: Crm, clock: Clock, failure: Any) -> None:
    once.on("GET", "Lead", *[failure] * (MAX_FAILED_LOOKS - 1), page({"id": LEAD}))
    (event,) = await events(trigger())
    assert event["status"] == "success"


async def test_the_login_throttle_is_borne(once: Crm, clock: Clock, connect: Callable[..., str]) -> None:
    # Somebody else at this address used a wrong key: for a minute nobody gets in.
    once.on("GET", "App/user", refusal(403))
    once.on("GET", "Lead", refusal(403), page({"id": LEAD}))
    (event,) = await events(trigger(poll_interval=1))
    assert event["status"] == "success"
    assert clock.waits[0] >= 54


async def test_failed_looks_are_further_and_further_apart(once: Crm, clock: Clock) -> None:
    once.on("GET", "Lead", Refused)
    await events(trigger(poll_interval=1))
    assert [round(wait / 30) for wait in clock.waits] == pytest.approx([1, 2, 4, 8, 10], rel=0.12, abs=1)
    assert sum(clock.waits) > 10 * 60, "a server that is updated needs its time"


async def test_what_does_not_pass_ends_it(once: Crm, clock: Clock) -> None:
    once.on("GET", "Lead", TooLate)
    (event,) = await events(trigger())
    assert event["status"] == "error"
    assert event["kind"] == "EspoTimeoutError"
    # Each look asks for less before it gives up.
    assert [call.search["maxSize"] for call in once.calls("GET", "Lead")] == [100, 25, 10] * MAX_FAILED_LOOKS


async def test_a_look_that_succeeds_forgives_the_failures_before(once: Crm, clock: Clock) -> None:
    several = [Lost] * (MAX_FAILED_LOOKS - 1)
    once.on("GET", "Lead", *several, page(), *several, page(), *several, page({"id": LEAD}))
    (event,) = await events(trigger())
    assert event["status"] == "success"


FINAL = [
    (refusal(401), "EspoAuthenticationError"),
    (refusal(403, "No access"), "EspoForbiddenError"),
    (refusal(404), "EspoNotFoundError"),
    (refusal(400, "Bad where"), "EspoBadRequestError"),
]


async def test_a_certificate_that_is_not_trusted_ends_it_at_once(once: Crm, clock: Clock) -> None:
    once.on("GET", "Lead", Untrusted)
    (event,) = await events(trigger())
    assert (event["status"], event["kind"]) == ("error", "EspoTLSError")
    assert clock.waits == []


@pytest.mark.parametrize(("failure", "kind"), FINAL)
async def test_what_will_not_pass_ends_it_at_once(once: Crm, clock: Clock, failure: Any, kind: str) -> None:
    once.on("GET", "Lead", failure)
    (event,) = await events(trigger())
    assert (event["status"], event["kind"]) == ("error", kind)
    assert event["error"]["status"] == failure.status
    assert clock.waits == []


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"entity_type": "../User"}, "EspoInputError"),
        ({"min_count": 0}, "EspoInputError"),
        ({"where": "[]"}, "EspoInputError"),
    ],
)
async def test_wrong_arguments_end_it_before_anything_is_sent(
    crm: Crm, clock: Clock, given: dict[str, Any], kind: str
) -> None:
    (event,) = await events(trigger(**given))
    assert (event["status"], event["kind"]) == ("error", kind)
    assert crm.sent == []


async def test_a_broken_connection_setting_ends_it(connect: Callable[..., str], clock: Clock) -> None:
    connect(password=None)
    (event,) = await events(trigger())
    assert event["kind"] == "EspoConfigError"


async def test_silent_fail_goes_on_after_any_error(once: Crm, clock: Clock) -> None:
    once.on("GET", "Lead", *[refusal(404)] * 20, page({"id": LEAD}))
    (event,) = await events(trigger(silent_fail=True))
    assert event["status"] == "success"


async def test_every_kind_is_a_class_that_users_can_catch(once: Crm, clock: Clock) -> None:
    for failure, _ in FINAL:
        once.on("GET", "Lead", failure)
        (event,) = await events(trigger())
        assert issubclass(getattr(exceptions, event["kind"]), exceptions.EspoError)


async def test_neither_event_nor_log_holds_secrets_or_personal_data(
    once: Crm, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    person = {"id": LEAD, "name": "Anna Nowak", "emailAddress": "anna@example.com"}
    echo = Reply(500, json.dumps([person, API_KEY]), {"Content-Type": "application/json"})
    once.on("GET", "Lead", echo, Refused, page(person))
    fired = await events(trigger(where=[equals("emailAddress", "anna@example.com")], text_filter="Anna Nowak"))
    once.on("GET", "Lead", echo)
    fired += await events(trigger(where=[equals("emailAddress", "anna@example.com")], text_filter="Anna Nowak"))
    seen = json.dumps(fired) + "".join(capsys.readouterr())
    assert "Look 1 in a row failed" in seen
    assert [word for word in ("Nowak", "anna@", API_KEY) if word in seen] == []


# --- what Airflow asks of triggers


def test_it_can_be_made_anew_from_what_is_stored() -> None:
    full = trigger(
        where=[equals("status", "New")],
        primary_filter="actual",
        bool_filters=["onlyMy"],
        text_filter="ACME",
        min_count=3,
        deadline=NOW,
        silent_fail=True,
    )
    path, stored = full.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(stored)))
    assert again.serialize() == full.serialize()
    assert set(stored) == set(inspect.signature(EspoRecordTrigger).parameters)
    assert None not in stored.values()
    assert all(getattr(again, argument) == value for argument, value in stored.items())


def test_its_arguments_hold_no_secret(connect: Callable[..., str]) -> None:
    connect()
    assert API_KEY not in repr(trigger())


async def test_everything_is_closed_before_the_event_is_handed_over(crm: Crm, connect: Callable[..., str]) -> None:
    connect(login="sales", password="correct horse", extra={"auth_method": "token"})
    crm.on("GET", "App/user", {"user": {"id": "1", "userName": "sales"}, "token": "0123456789abcdef"})
    crm.on("POST", "App/destroyAuthToken", True)
    crm.on("GET", "Lead", page({"id": LEAD}))
    run = trigger().run()
    # So does dag.test(): it takes the first event and drops the rest.
    await anext(run)
    assert len(crm.calls("POST", "App/destroyAuthToken")) == 1
    await run.aclose()  # type: ignore[attr-defined]


async def test_a_trigger_that_is_moved_elsewhere_closes_what_it_opened(crm: Crm, connect: Callable[..., str]) -> None:
    connect(login="sales", password="correct horse", extra={"auth_method": "token"})
    looked = asyncio.Event()
    crm.on("GET", "App/user", {"user": {"id": "1", "userName": "sales"}, "token": "0123456789abcdef"})
    crm.on("POST", "App/destroyAuthToken", True)

    def nothing_yet(_sent: Sent) -> Any:
        looked.set()
        return page()

    crm.on("GET", "Lead", nothing_yet)
    running = asyncio.create_task(events(trigger()))
    await looked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(crm.calls("POST", "App/destroyAuthToken")) == 1


async def test_many_triggers_of_a_connection_share_one_client(crm: Crm, clock: Clock) -> None:
    crm.on("GET", "Lead", *[page()] * 50, page({"id": LEAD}))
    results = await asyncio.gather(*(events(copy.copy(trigger())) for _ in range(50)))
    assert [event["status"] for (event,) in results] == ["success"] * 50


def test_it_runs_on_a_loop_of_its_own_and_leaves_nothing_open(crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD}))
    for _ in range(2):
        (event,) = asyncio.run(events(trigger()), debug=True)
        assert event["count"] == 1
