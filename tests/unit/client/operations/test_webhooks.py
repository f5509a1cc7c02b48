"""Webhooks: which requests are sent, and what is made of the answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.state import new_state
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import EspoBadAnswerError, EspoServerError
from tests.unit.crm import Crm, page, refusal

CONFIG = ClientConfig(site_url=Crm.url, secret="key", max_retries=1)
ME = {"user": {"id": "65a1b2c3d4e5f6000", "userName": "airflow"}}
URL = "https://hooks.example.com/x"


def webhook(number: int, **more: Any) -> dict[str, Any]:
    """A webhook as EspoCRM has it."""
    return {
        "id": f"65a1b2c3d4e5f600{number}",
        "event": "Lead.create",
        "url": URL,
        "isActive": True,
        "secretKey": f"{number}" * 32,
        "skipOwn": False,
        **more,
    }


def shown(number: int, **more: Any) -> dict[str, Any]:
    """The same as the hook gives it."""
    return {
        "id": f"65a1b2c3d4e5f600{number}",
        "event": "Lead.create",
        "url": URL,
        "is_active": True,
        "skip_own": False,
        "secret_key": f"{number}" * 32,
        **more,
    }


def test_only_ones_own_are_asked_for(crm: Crm) -> None:
    crm.on("GET", "App/user", ME)
    crm.on("GET", "Webhook", page(webhook(1)))
    with EspoClient(CONFIG) as client:
        assert client.list_webhooks(event="Lead.create", url=URL) == [shown(1)]
    where = json.loads(crm.calls("GET", "Webhook")[0].query["searchParams"])["where"]
    assert {one["attribute"]: one["value"] for one in where} == {
        "createdById": "65a1b2c3d4e5f6000",
        "event": "Lead.create",
        "url": URL,
    }


def test_letter_case_tells_addresses_apart_though_espocrm_does_not(crm: Crm) -> None:
    crm.on("GET", "App/user", ME)
    crm.on("GET", "Webhook", page(webhook(1, url=URL.upper()), webhook(2)))
    with EspoClient(CONFIG) as client:
        assert client.list_webhooks(url=URL) == [shown(2)]


def test_an_older_espocrm_shows_less(crm: Crm) -> None:
    old = {name: value for name, value in webhook(1).items() if name not in ("skipOwn", "secretKey")}
    crm.on("GET", "App/user", ME)
    crm.on("GET", "Webhook", page(old))
    with EspoClient(CONFIG) as client:
        assert client.list_webhooks() == [shown(1, skip_own=None, secret_key=None)]


def test_skip_own_is_sent_only_where_it_is_asked_for(crm: Crm) -> None:
    crm.on("POST", "Webhook", webhook(1), webhook(2, skipOwn=True))
    with EspoClient(CONFIG) as client:
        assert client.create_webhook("Lead.create", URL) == shown(1)
        assert client.create_webhook("Lead.create", URL, skip_own=True, is_active=False)["skip_own"] is True
    plain = {"event": "Lead.create", "url": URL}
    assert [one.json for one in crm.calls("POST")] == [
        {**plain, "isActive": True},
        {**plain, "isActive": False, "skipOwn": True},
    ]


def test_one_whose_answer_got_lost_is_taken_and_not_one_that_was_there(crm: Crm) -> None:
    crm.on("GET", "App/user", ME)
    crm.on("POST", "Webhook", refusal(502))
    crm.on("GET", "Webhook", page(webhook(1), webhook(2)))
    with EspoClient(CONFIG) as client:
        assert client.create_webhook("Lead.create", URL, known_ids=[webhook(1)["id"]]) == shown(2)
    assert len(crm.calls("POST")) == 1


def test_one_that_was_there_is_not_taken_for_it(crm: Crm) -> None:
    crm.on("GET", "App/user", ME)
    crm.on("POST", "Webhook", refusal(502), webhook(2))
    crm.on("GET", "Webhook", page(webhook(1)))
    with EspoClient(CONFIG) as client:
        assert client.create_webhook("Lead.create", URL, known_ids=[webhook(1)["id"]]) == shown(2)
    assert len(crm.calls("POST")) == 2


def test_a_time_out_of_a_proxy_is_left_to_the_next_try(crm: Crm) -> None:
    crm.on("GET", "App/user", ME)
    crm.on("POST", "Webhook", refusal(504))
    crm.on("GET", "Webhook", page())
    with EspoClient(CONFIG) as client, pytest.raises(EspoServerError, match="look again") as caught:
        client.create_webhook("Lead.create", URL)
    assert caught.value.outcome_unknown
    assert len(crm.calls("POST")) == 1


def test_a_webhook_without_a_key_is_taken_back(crm: Crm) -> None:
    crm.on("POST", "Webhook", webhook(1, secretKey=None))
    crm.on("DELETE", f"Webhook/{webhook(1)['id']}", True)
    with EspoClient(CONFIG) as client, pytest.raises(EspoBadAnswerError, match="no secret key"):
        client.create_webhook("Lead.create", URL)
    assert len(crm.calls("DELETE")) == 1


def test_it_works_asynchronously_too(crm: Crm) -> None:
    crm.on("GET", "App/user", ME)
    crm.on("GET", "Webhook", page(webhook(1)))
    crm.on("POST", "Webhook", webhook(2))

    async def both() -> list[Any]:
        async with EspoAsyncClient(CONFIG, new_state(CONFIG)) as client:
            return [await client.list_webhooks(), await client.create_webhook("Lead.create", URL)]

    assert asyncio.run(both()) == [[shown(1)], shown(2)]
