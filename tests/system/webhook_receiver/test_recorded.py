"""The receiver over Airflow's real database: what it records of a delivery, and that nobody has to wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_espo.plugins import webhook_receiver_app
from tests.system.receiver import NAME, SITE, URL, Known, Listening, body_of, deliver, known_webhook, signatures


async def test_a_delivery_is_an_event_with_ids_and_counts_and_starts_the_dag(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    response = await deliver(client, webhook, body_of("a1", "b2", "a1", name=NAME))
    assert (response.status_code, response.json()) == (200, {"outcome": "recorded"})
    [event] = listening.events()
    delivery = event.pop("delivery")
    assert len(delivery) == 32
    assert event == {
        "entity_type": "Lead",
        "event": "create",
        "ids": ["a1", "b2"],
        "count": 3,
        "webhook_id": webhook.webhook_id,
    }
    assert listening.is_dag_queued()


@pytest.mark.parametrize("header", ["Signature", "X-Signature"])
async def test_either_signature_does(
    client: httpx.AsyncClient, webhook: Known, listening: Listening, header: str
) -> None:
    body = body_of("a1")
    response = await client.post(URL, content=body, headers={header: webhook.headers(body)[header]})
    assert response.status_code == 200
    assert len(listening.events()) == 1


async def test_the_event_kind_is_that_of_the_webhook(client: httpx.AsyncClient, listening: Listening) -> None:
    with known_webhook("6b02a88b04630745a", SITE, "Lead.fieldUpdate.status") as known:
        assert (await deliver(client, known, body_of("a1"))).status_code == 200
    assert [event["event"] for event in listening.events()] == ["fieldUpdate.status"]


async def test_nothing_of_the_records_the_key_or_the_signature_is_kept_or_said(
    client: httpx.AsyncClient,
    webhook: Known,
    listening: Listening,
    told: Callable[[httpx.Response], str],
) -> None:
    body = body_of("a1", name=NAME)
    response = await deliver(client, webhook, body)
    everything = told(response) + str(listening.events())
    for secret in (NAME, NAME.split(maxsplit=1)[0], webhook.secret, *signatures(webhook, body)):
        assert secret not in everything


async def test_a_slash_at_the_end_of_the_address_makes_no_difference(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
) -> None:
    # EspoCRM would take a redirect for done.
    body = body_of("a1")
    assert (await client.post(URL + "/", content=body, headers=webhook.headers(body))).status_code == 200
    assert len(listening.events()) == 1


@pytest.mark.parametrize("name", ["find_webhook", "record"])
async def test_what_waits_for_the_database_does_not_hold_it(
    client: httpx.AsyncClient, webhook: Known, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    work, loop, others_went_on = getattr(webhook_receiver_app, name), asyncio.get_running_loop(), threading.Event()

    def wait_for_others(*args: Any) -> Any:
        loop.call_soon_threadsafe(others_went_on.set)
        assert others_went_on.wait(10)
        return work(*args)

    monkeypatch.setattr(webhook_receiver_app, name, wait_for_others)
    assert (await deliver(client, webhook, body_of("a1"))).status_code == 200
