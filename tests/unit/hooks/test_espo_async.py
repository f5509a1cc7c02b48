"""The asynchronous hook on a triggerer's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.cache import SecretCache

from airflow_provider_espo.exceptions import EspoConfigError
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from tests.unit.airflows import hide_names
from tests.unit.crm import LEAD, USER, Crm, page
from tests.unit.supervisor import Supervisor


async def test_hooks_of_a_connection_share_one_client_and_the_last_one_closes_it(crm: Crm) -> None:
    async with EspoAsyncHook() as one:
        async with EspoAsyncHook() as two:
            assert await one.get_async_conn() is await two.get_async_conn()
        assert (await one.whoami())["user_name"] == "airflow"
    async with EspoAsyncHook() as three:
        assert (await three.whoami())["user_name"] == "airflow"


async def test_one_hook_used_by_many_coroutines_takes_one_client(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = httpx.AsyncClient.__init__

    def note(self: httpx.AsyncClient, *args: Any, **kwargs: Any) -> None:
        made.append(threading.get_ident())
        make(self, *args, **kwargs)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", note)
    async with EspoAsyncHook() as hook:
        users = await asyncio.gather(*(hook.whoami() for _ in range(20)))
        clients = {id(await hook.get_async_conn()) for _ in range(3)}
    assert len(users) == 20
    assert len(clients) == 1
    # Made once, and not on the loop's thread: it reads the CA store.
    assert len(made) == 1
    assert made[0] != threading.get_ident()


async def test_what_many_coroutines_took_once_is_given_back_once(crm: Crm, connect: Callable[..., str]) -> None:
    connect(login="sales", password="correct horse", extra={"auth_method": "token"})
    crm.on("GET", "App/user", {"user": USER, "token": "0123456789abcdef"})
    crm.on("POST", "App/destroyAuthToken", True)
    async with EspoAsyncHook() as hook:
        await asyncio.gather(*(hook.get_async_conn() for _ in range(20)))
        await hook.whoami()
    assert len(crm.calls("POST", "App/destroyAuthToken")) == 1


async def test_all_of_the_blocking_hooks_methods_are_there_as_coroutines(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "lastName": "Nowak"})
    crm.on("GET", "Lead", page({"id": LEAD}))
    async with EspoAsyncHook() as hook:
        assert await hook.get_record("Lead", LEAD) == {"id": LEAD, "lastName": "Nowak"}
        assert await hook.list_records("Lead", select=["id"]) == [{"id": LEAD}]
        assert [one async for one in hook.iter_records("Lead", select=["id"])] == [{"id": LEAD}]


async def test_an_incomplete_connection_is_an_error(connect: Callable[..., str]) -> None:
    connect(password=None)
    async with EspoAsyncHook() as hook:
        with pytest.raises(EspoConfigError, match="password is missing"):
            await hook.whoami()


async def test_a_certificate_file_that_is_not_there_is_an_error(connect: Callable[..., str]) -> None:
    connect(extra={"ca_file": "/nowhere/ca.pem"})
    async with EspoAsyncHook() as hook:
        with pytest.raises(EspoConfigError, match="ca_file cannot be read"):
            await hook.whoami()


async def test_a_closed_hook_may_be_used_again(crm: Crm) -> None:
    hook = EspoAsyncHook()
    await hook.whoami()
    await hook.close()
    assert (await hook.whoami())["user_name"] == "airflow"
    await hook.close()
    await hook.close()


@pytest.mark.parametrize("missing", [[], ["amask_secret"]], ids=["Airflow 3.3.2", "before"])
async def test_nothing_waits_for_the_supervisor_on_the_loop_or_off_it(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    hide_names(monkeypatch, "airflow.sdk.log", missing)
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(SecretCache, "_cache", None)
    async with EspoAsyncHook("from_supervisor") as hook:
        assert (await hook.whoami())["user_name"] == "airflow"
    # Before 3.3.2 Airflow itself does.
    assert [module for module in supervisor.blocked if not module.startswith("airflow.")] == []
    assert supervisor.other_loops == []
    masked = [one for value in supervisor.masked for one in (value if isinstance(value, list) else [value])]
    assert "gateway-s3cret" in masked
    assert crm.sent[0].headers["x-gateway-token"] == "gateway-s3cret"
