from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import httpx
import pytest
import respx

from airflow_provider_espo.client.aio import EspoAsyncClient, new_async_client
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.client.wire import Emit, Operation, Response, Stream, build_request
from tests.unit.client.raw_server import RawServer, answers, http

CONFIG = ClientConfig(site_url="http://crm.example.com", secret="key", max_retries=0, max_workers=3)
pytestmark = pytest.mark.usefixtures("bare_environment")


def read(number: int) -> Operation[int]:
    answer = yield build_request("GET", f"Lead/{number}")
    return int(answer.json()["n"])


def number_of(request: httpx.Request) -> int:
    return int(request.url.path.rpartition("/")[2])


@pytest.fixture
async def api() -> AsyncIterator[respx.MockRouter]:
    """Answers ``Lead/7`` with ``{"n": 7}``, others can be added before."""
    async with respx.mock(assert_all_called=False) as router:
        router.route(name="all").mock(side_effect=lambda request: httpx.Response(200, json={"n": number_of(request)}))
        yield router


def answer_by(api: respx.MockRouter, respond: Any) -> None:
    api["all"].mock(side_effect=respond)


async def test_results_come_in_the_order_given_whoever_is_ready_first(api: respx.MockRouter) -> None:
    gate = asyncio.Event()

    async def first_last(request: httpx.Request) -> httpx.Response:
        number = number_of(request)
        if number == 0:
            await gate.wait()
        elif number == 1:
            gate.set()
        return httpx.Response(200, json={"n": number})

    answer_by(api, first_last)
    async with EspoAsyncClient(CONFIG) as client:
        assert [result async for result in client.run_many(read(n) for n in range(6))] == list(range(6))


async def test_errors_come_as_values_and_stop_nobody(api: respx.MockRouter) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        number = number_of(request)
        return (
            httpx.Response(404, headers={"X-Status-Reason": ""}) if number == 1 else httpx.Response(200, json={"n": 5})
        )

    answer_by(api, respond)
    async with EspoAsyncClient(CONFIG) as client:
        zero, one, two = [result async for result in client.run_many(read(n) for n in range(3))]
    assert (zero, two) == (5, 5)
    assert isinstance(one, EspoNotFoundError)


async def test_a_long_input_is_taken_only_as_places_get_free(api: respx.MockRouter) -> None:
    last = -1

    def operations() -> Iterator[Operation[int]]:
        nonlocal last
        for last in count():
            yield read(last)

    async with EspoAsyncClient(CONFIG) as client:
        results = client.run_many(operations(), max_workers=2)
        for number in range(20):
            assert await anext(results) == number
            assert last - number < 4
        await results.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 3])
async def test_as_many_run_at_a_time_as_there_are_workers(api: respx.MockRouter, workers: int) -> None:
    asked: list[int] = []
    go_on = asyncio.Event()

    async def hold(request: httpx.Request) -> httpx.Response:
        if number_of(request) != 99:
            asked.append(number_of(request))
            await go_on.wait()
        return httpx.Response(200, json={"n": 1})

    answer_by(api, hold)
    async with EspoAsyncClient(CONFIG) as client:
        await client.run(read(99))  # so that the HTTP client is there
        results = client.run_many((read(n) for n in range(9)), max_workers=workers)
        first = asyncio.ensure_future(anext(results))
        for _ in range(100):
            await asyncio.sleep(0)
        assert asked == list(range(workers))
        go_on.set()
        assert [await first] + [result async for result in results] == [1] * 9
    assert sorted(asked) == list(range(9))


async def test_no_workers_is_refused() -> None:
    async with EspoAsyncClient(CONFIG) as client:
        with pytest.raises(EspoInputError, match="max_workers"):
            [result async for result in client.run_many([read(1)], max_workers=-1)]


async def test_an_input_that_fails_does_not_take_earlier_results_with_it(api: respx.MockRouter) -> None:
    def operations() -> Iterator[Operation[int]]:
        yield read(0)
        yield read(1)
        raise KeyError("row 2")

    async with EspoAsyncClient(CONFIG) as client:
        results = client.run_many(operations())
        assert [await anext(results), await anext(results)] == [0, 1]
        with pytest.raises(KeyError, match="row 2"):
            await anext(results)


async def test_a_mistake_in_an_operation_is_raised_and_not_returned(api: respx.MockRouter) -> None:
    def wrong() -> Operation[int]:
        yield build_request("GET", "Lead/1")
        raise ZeroDivisionError

    async with EspoAsyncClient(CONFIG) as client:
        with pytest.raises(ZeroDivisionError):
            [result async for result in client.run_many([wrong(), read(1)])]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_when_results_are_not_wanted_to_the_end_all_work_under_way_is_ended(
    api: respx.MockRouter, how: str
) -> None:
    never = asyncio.Event()
    started = asyncio.Barrier(3)
    ended: list[int] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        if number_of(request):
            await started.wait()
            await never.wait()
        return httpx.Response(200, json={"n": 0})

    def operation(number: int) -> Operation[int]:
        try:
            return (yield from read(number))
        finally:
            ended.append(number)

    answer_by(api, respond)
    client = EspoAsyncClient(CONFIG)
    results = client.run_many(operation(n) for n in range(3))
    assert await anext(results) == 0
    await started.wait()
    if how == "closed":
        await results.aclose()  # type: ignore[attr-defined]
    else:
        waiting = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert sorted(ended) == [0, 1, 2]
    assert len(asyncio.all_tasks()) == 1
    await client.close()


async def test_a_stream_yields_as_things_arrive_and_is_closed_with_its_reader(api: respx.MockRouter) -> None:
    closed = []

    def stream() -> Stream[int]:
        try:
            for number in count():
                answer = yield build_request("GET", f"Lead/{number}")
                yield Emit(int(answer.json()["n"]))
        finally:
            closed.append(True)

    async with EspoAsyncClient(CONFIG) as client:
        items = client.iterate(stream())
        assert [await anext(items), await anext(items)] == [0, 1]
        assert api.calls.call_count == 2
        await items.aclose()  # type: ignore[attr-defined]
    assert closed == [True]


async def test_an_operation_is_closed_when_its_task_is_cancelled(api: respx.MockRouter) -> None:
    never, asked = asyncio.Event(), asyncio.Event()
    closed = []

    async def respond(request: httpx.Request) -> httpx.Response:
        asked.set()
        await never.wait()
        return httpx.Response(200)

    def operation() -> Operation[None]:
        try:
            yield build_request("GET", "Lead")
        finally:
            closed.append(True)

    answer_by(api, respond)
    kept = operation()
    async with EspoAsyncClient(CONFIG) as client:
        task = asyncio.create_task(client.run(kept))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert closed == [True]


async def test_the_http_client_and_its_tls_context_are_made_once_and_off_the_loop(
    api: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, int]] = []
    context, client_init = ssl.create_default_context, httpx.AsyncClient.__init__

    def make_context(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        made.append(("context", threading.get_ident()))
        return context(*args, **kwargs)

    def make_client(self: httpx.AsyncClient, *args: Any, **kwargs: Any) -> None:
        made.append(("client", threading.get_ident()))
        client_init(self, *args, **kwargs)

    monkeypatch.setattr(ssl, "create_default_context", make_context)
    monkeypatch.setattr(httpx.AsyncClient, "__init__", make_client)
    async with EspoAsyncClient(replace(CONFIG, proxies={"https": "http://proxy:1"})) as client:
        assert made == []
        await asyncio.gather(*(client.run(read(n)) for n in range(10)))
        await client.run(read(1))
    assert [what for what, _ in made] == ["context", "client"]
    assert threading.get_ident() not in {thread for _, thread in made}


async def test_more_work_than_connections_waits_its_turn_without_a_time_out() -> None:
    turn = threading.Semaphore(0)

    def one_by_one(connection: Any, server: RawServer) -> None:
        while server.read_request(connection):
            turn.release()
            connection.sendall(http(body=b'{"n": 1}'))

    with RawServer(one_by_one) as server:
        async with EspoAsyncClient(replace(CONFIG, site_url=server.url, max_workers=2)) as client:
            assert await asyncio.gather(*(client.run(read(n)) for n in range(30))) == [1] * 30
        assert server.connections <= 2


def test_the_settings_reach_the_http_client() -> None:
    http_client = new_async_client(replace(CONFIG, timeout=7, connect_timeout=3, proxies={"https": "http://proxy:1"}))
    assert http_client.timeout == httpx.Timeout(7, connect=3, pool=None)
    assert not http_client.trust_env
    assert not http_client.follow_redirects
    asyncio.run(http_client.aclose())


async def test_closing_closes_the_sockets_and_twice_is_once() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def until_closed(connection: Any, server: RawServer) -> None:
        while server.read_request(connection):
            connection.sendall(http(body=b'{"n": 1}'))
        loop.call_soon_threadsafe(ended.set)

    with RawServer(until_closed) as server:
        client = EspoAsyncClient(replace(CONFIG, site_url=server.url))
        await client.run(read(1))
        assert not ended.is_set()
        await client.close()
        await asyncio.wait_for(ended.wait(), 30)
        await client.close()


async def test_sockets_are_closed_even_if_logging_out_goes_wrong(api: respx.MockRouter) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("destroyAuthToken"):
            raise httpx.ReadError("gone")
        return httpx.Response(200, json={"n": 1, "token": "t"})

    answer_by(api, respond)
    config = replace(CONFIG, auth_method=AuthMethod.TOKEN, login="u")
    async with EspoAsyncClient(config) as client:
        assert await client.run(read(1)) == 1
        http_client = client._http
    assert http_client is not None
    assert http_client.is_closed
    assert api.calls.call_count == 3


async def test_the_librarys_log_holds_no_filter(caplog: pytest.LogCaptureFixture) -> None:
    def search() -> Operation[Response]:
        return (yield build_request("GET", "Lead", query=(("searchParams", "jane@example.com"),)))

    with caplog.at_level(logging.DEBUG, logger="httpx"), RawServer(answers(http())) as server:
        async with EspoAsyncClient(replace(CONFIG, site_url=server.url)) as client:
            await client.run(search())
    assert "/api/v1/Lead?..." in caplog.text
    assert "jane" not in caplog.text


async def test_errors_of_the_library_are_all_named(api: respx.MockRouter) -> None:
    """Whatever ``httpx`` raises for a request becomes one of ours; so does what it lets through."""
    kinds: list[Any] = [
        kind
        for kind in vars(httpx).values()
        if isinstance(kind, type) and issubclass(kind, httpx.RequestError | httpx.InvalidURL)
    ]
    assert len(kinds) > 15
    async with EspoAsyncClient(CONFIG) as client:
        for kind in [*kinds, ssl.SSLError, OSError, ConnectionResetError]:

            def fail(request: httpx.Request, kind: Any = kind) -> httpx.Response:
                raise kind("https://crm.example.com/?MARKER")

            answer_by(api, fail)
            with pytest.raises(EspoError) as caught:
                await client.run(read(1))
            assert "MARKER" not in str(caught.value)


def test_a_client_that_was_dropped_does_not_keep_the_token_of_others() -> None:
    first = EspoAsyncClient(CONFIG)
    state = first.state
    second = EspoAsyncClient(CONFIG, state)
    state.token.token = "t"
    del first
    gc.collect()
    assert state.token.leave(second)


async def test_who_waits_for_a_connection_waits_outside_of_the_http_library(monkeypatch: pytest.MonkeyPatch) -> None:
    # httpcore looks through all that wait whenever a request begins or ends: a thousand sensors would hold up the loop.
    inside, most = 0, 0

    async def look(_transport: object, request: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(3):
            await asyncio.sleep(0)
        inside -= 1
        return httpx.Response(200, json={"n": number_of(request)}, request=request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", look)
    async with EspoAsyncClient(CONFIG) as client:
        assert await asyncio.gather(*(client.run(read(n)) for n in range(40))) == list(range(40))
    assert most == CONFIG.max_workers
