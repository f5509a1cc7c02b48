"""The receiver over Airflow's real database: what it records of a delivery, and that nobody has to wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from inspect import signature
from typing import Any

import httpx
import pytest

from airflow_provider_espo.client.webhook_secret import variable_name
from airflow_provider_espo.plugins import webhook_receiver_app
from tests.system.receiver import (
    NAME,
    SETTINGS,
    SITE,
    URL,
    Known,
    Listening,
    body_of,
    deliver,
    known_webhook,
    serving,
    signatures,
)


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


async def test_a_body_in_chunks_of_no_said_length_is_read_to_its_end(webhook: Known, listening: Listening) -> None:
    body = body_of("a1", description="x" * 200_000)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    with serving(SETTINGS) as url:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(url + URL, content=chunks(), headers=webhook.headers(body))
    assert "content-length" not in response.request.headers
    assert (response.status_code, len(listening.events())) == (200, 1)


async def test_a_key_that_a_task_of_a_team_stored_is_found(
    client: httpx.AsyncClient, webhook: Known, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models import Variable
    from airflow.models.team import Team
    from airflow.utils.session import create_session

    if "team_name" not in signature(Variable.set).parameters:
        pytest.skip("variables of teams came with Airflow 3.2")
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    name = variable_name(webhook.webhook_id)
    kept = Variable.get(name)
    Variable.delete(name)
    with create_session() as session:
        session.merge(Team(name="sales"))
    Variable.set(name, kept, team_name="sales")
    try:
        assert (await deliver(client, webhook, body_of("a1"))).status_code == 200
    finally:
        Variable.delete(name, team_name="sales")
        Variable.set(name, kept)
    assert [event["ids"] for event in listening.events()] == [["a1"]]
