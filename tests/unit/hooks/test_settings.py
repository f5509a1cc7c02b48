"""Triggers that ask for a connection at once share one reading of it, and nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.cache import SecretCache

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.exceptions import EspoConfigError
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.hooks.settings import aconfig_of
from tests.unit.crm import Crm
from tests.unit.supervisor import Supervisor


@pytest.fixture
async def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    one = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", one, raising=False)
    monkeypatch.setattr(SecretCache, "_cache", None)
    return one


async def test_hooks_that_ask_at_once_ask_airflow_once(crm: Crm, supervisor: Supervisor) -> None:
    async def use() -> None:
        async with EspoAsyncHook("from_supervisor") as hook:
            await hook.get_async_conn()

    await asyncio.gather(*(use() for _ in range(100)))
    assert supervisor.asked == ["from_supervisor"]


async def test_those_who_waited_go_on_one_a_round_so_that_the_loop_stays_free(supervisor: Supervisor) -> None:
    rounds, went_on = 0, []

    async def count_rounds() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 1

    async def ask() -> None:
        await aconfig_of("one", {})
        went_on.append(rounds)

    counting = asyncio.ensure_future(count_rounds())
    await asyncio.gather(*(ask() for _ in range(50)))
    counting.cancel()
    assert len(set(went_on)) == 50


async def test_other_connections_and_other_bounds_are_read_by_themselves(supervisor: Supervisor) -> None:
    one, bounded, other = await asyncio.gather(
        aconfig_of("one", {}), aconfig_of("one", {"timeout": 3}), aconfig_of("other", {})
    )
    assert sorted(supervisor.asked) == ["one", "one", "other"]
    assert (one.timeout, bounded.timeout) == (other.timeout, 3)


async def test_what_was_changed_in_airflow_holds_for_the_next_hook(supervisor: Supervisor) -> None:
    before = await aconfig_of("one", {})
    supervisor.changed = {"password": "another-key"}
    after = await aconfig_of("one", {})
    assert before.secret != after.secret == "another-key"
    assert supervisor.asked == ["one", "one"]


async def test_who_is_cancelled_does_not_take_the_reading_from_the_others(supervisor: Supervisor) -> None:
    supervisor.answers.clear()
    first, second = _begin(aconfig_of("one", {})), _begin(aconfig_of("one", {}))
    await supervisor.was_asked.wait()
    first.cancel()
    supervisor.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).site_url == Crm.url
    assert supervisor.asked == ["one"]


async def test_an_error_comes_to_all_who_asked_and_the_next_one_reads_anew(supervisor: Supervisor) -> None:
    supervisor.changed = {"password": None}
    ended = await asyncio.gather(*(aconfig_of("one", {}) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in ended] == [EspoConfigError] * 3
    supervisor.changed = {}
    assert (await aconfig_of("one", {})).site_url == Crm.url
    assert supervisor.asked == ["one", "one"]


async def test_an_error_that_nobody_waits_for_any_more_is_no_mistake_of_the_program(supervisor: Supervisor) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    supervisor.changed = {"password": None}
    supervisor.answers.clear()
    only = _begin(aconfig_of("one", {}))
    await supervisor.was_asked.wait()
    reading = asyncio.all_tasks() - {only, asyncio.current_task()}
    only.cancel()
    supervisor.answers.set()
    await asyncio.wait([only, *reading])
    del only, reading
    assert told == []


def _begin(coroutine: Awaitable[ClientConfig]) -> asyncio.Future[ClientConfig]:
    return asyncio.ensure_future(coroutine)
