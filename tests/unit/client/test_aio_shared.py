"""One asynchronous client for each connection and event loop."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.aio_shared import acquire, release
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from tests.unit.crm import USER, Crm

CONFIG = ClientConfig(site_url=Crm.url, secret="key")
SAME = ClientConfig(site_url=Crm.url, secret="key")
OTHER = ClientConfig(site_url=Crm.url, secret="another key")


async def test_users_of_one_connection_share_a_client() -> None:
    one, two, other = acquire(CONFIG), acquire(SAME), acquire(OTHER)
    assert one is two
    assert other is not one
    for client in (one, two, other):
        await release(client)


async def test_the_last_user_closes_it_and_the_next_gets_a_new_one(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[EspoAsyncClient] = []
    close = EspoAsyncClient.close

    async def note(self: EspoAsyncClient) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(EspoAsyncClient, "close", note)
    one, two = acquire(CONFIG), acquire(CONFIG)
    await release(one)
    assert closed == []
    assert (await two.whoami())["user_name"] == "airflow"
    await release(two)
    assert closed == [one]
    new = acquire(CONFIG)
    assert new is not one
    await release(new)


async def test_who_comes_while_the_last_one_closes_gets_a_client_of_its_own(crm: Crm) -> None:
    config = ClientConfig(site_url=Crm.url, auth_method=AuthMethod.TOKEN, login="sales", secret="secret")
    crm.on("GET", "App/user", {"user": USER, "token": "0123456789abcdef"})
    crm.on("POST", "App/destroyAuthToken", True)
    old = acquire(config)
    await old.whoami()
    closing = asyncio.create_task(release(old))
    await asyncio.sleep(0)
    assert not closing.done(), "it is logging out"
    new = acquire(config)
    await closing
    assert new is not old
    assert (await new.whoami())["user_name"] == "airflow"
    assert acquire(config) is new
    await release(new)
    await release(new)


async def test_a_client_given_back_too_often_is_not_taken_from_others() -> None:
    first = acquire(CONFIG)
    await release(first)
    second = acquire(CONFIG)
    await release(first)
    assert acquire(CONFIG) is second
    await release(second)
    await release(second)


def test_every_loop_has_its_own() -> None:
    async def get() -> EspoAsyncClient:
        client = acquire(CONFIG)
        await release(client)
        return client

    assert asyncio.run(get()) is not asyncio.run(get())


def test_a_loop_that_is_over_is_not_kept() -> None:
    async def get() -> weakref.ref[asyncio.AbstractEventLoop]:
        acquire(CONFIG)  # and never given back
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(get())
    gc.collect()
    assert loop() is None
