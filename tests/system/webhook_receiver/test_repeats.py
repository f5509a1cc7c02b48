"""A delivery that comes again makes no second event, whoever takes it, and for as long as is set."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import time_machine

from airflow_provider_espo.plugins.webhook_receiver_app import build_app
from tests.system.receiver import SETTINGS, SITE, URL, Known, Listening, body_of, client_of, deliver, known_webhook


async def test_the_same_again_is_taken_and_no_second_event(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    answers = [await deliver(client, webhook, body_of("a1")) for _ in range(3)]
    assert [(one.status_code, one.json()["outcome"]) for one in answers] == [
        (200, "recorded"),
        (200, "repeat"),
        (200, "repeat"),
    ]
    assert len(listening.events()) == 1


async def test_other_changes_and_other_webhooks_are_events_of_their_own(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    await deliver(client, webhook, body_of("a1"))
    await deliver(client, webhook, body_of("a1", status="New"))
    with known_webhook("6b02a87e2ea5c9bcd", SITE) as other:
        await deliver(client, other, body_of("a1"))
    assert len(listening.events()) == 3


async def test_after_the_set_time_the_same_is_an_event_again(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    start = datetime.now(UTC)
    for seconds, expected in ((0, "recorded"), (SETTINGS.repeat_seconds - 1, "repeat")):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=True):
            assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == expected
    with time_machine.travel(start + timedelta(seconds=SETTINGS.repeat_seconds + 5), tick=True):
        assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "recorded"
    assert len(listening.events()) == 2


async def test_with_the_switch_at_0_every_delivery_is_an_event(webhook: Known, listening: Listening) -> None:
    async with client_of(build_app(replace(SETTINGS, repeat_seconds=0))) as client:
        for _ in range(2):
            assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "recorded"
    assert len(listening.events()) == 2


async def test_a_server_that_was_started_anew_knows_what_was_recorded(webhook: Known, listening: Listening) -> None:
    outcomes = []
    for _ in range(2):
        async with client_of(build_app(SETTINGS)) as client:
            outcomes.append((await deliver(client, webhook, body_of("a1"))).json()["outcome"])
    assert outcomes == ["recorded", "repeat"]


async def test_of_equal_deliveries_at_the_same_time_one_is_an_event(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    body = body_of("a1")
    answers = await asyncio.gather(*(deliver(client, webhook, body) for _ in range(8)))
    assert sorted(one.json()["outcome"] for one in answers) == ["recorded"] + ["repeat"] * 7
    assert len(listening.events()) == 1


async def test_a_refused_delivery_is_no_reason_to_take_a_good_one_for_a_repeat(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    body = body_of("a1")
    await client.post(URL, content=body, headers=Known(webhook.webhook_id, "wrong").headers(body))
    assert (await deliver(client, webhook, body)).json()["outcome"] == "recorded"
