from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import requests
import requests_mock

from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.client.sync import EspoClient, new_session
from airflow_provider_espo.client.wire import Emit, Operation, Response, Stream, build_request
from tests.unit.client.raw_server import RawServer, answers, http, listens_only

CONFIG = ClientConfig(site_url="http://crm.example.com", secret="key", max_retries=0, max_workers=3)
pytestmark = pytest.mark.usefixtures("bare_environment")


def read(number: int) -> Operation[int]:
    answer = yield build_request("GET", f"Lead/{number}")
    return int(answer.json()["n"])


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    """Answers ``Lead/7`` with ``{"n": 7}``."""

    def answer(request: Any, _context: Any) -> dict[str, int]:
        return {"n": int(request.path.rpartition("/")[2])}

    with requests_mock.Mocker() as mocker:
        mocker.get(requests_mock.ANY, json=answer)
        yield mocker


def test_results_come_in_the_order_given_whoever_is_ready_first() -> None:
    gate = threading.Event()

    def first_last(connection: Any, server: RawServer) -> None:
        # The first request is answered only after the second one was.
        while request := server.read_request(connection):
            number = int(request.split(b" ")[1].rpartition(b"/")[2])
            if number == 0:
                assert gate.wait(30)
            connection.sendall(http(body=b'{"n": %d}' % number))
            if number == 1:
                gate.set()

    with RawServer(first_last) as server, EspoClient(replace(CONFIG, site_url=server.url)) as client:
        assert list(client.run_many(read(n) for n in range(6))) == list(range(6))


def test_errors_come_as_values_and_stop_nobody(api: requests_mock.Mocker) -> None:
    api.get("http://crm.example.com/api/v1/Lead/1", status_code=404, headers={"X-Status-Reason": ""})
    with EspoClient(CONFIG) as client:
        zero, one, two = client.run_many(read(n) for n in range(3))
    assert (zero, two) == (0, 2)
    assert isinstance(one, EspoNotFoundError)


def test_a_long_input_is_taken_only_as_places_get_free(api: requests_mock.Mocker) -> None:
    taken = count()
    last = -1

    def operations() -> Iterator[Operation[int]]:
        nonlocal last
        while True:
            last = next(taken)
            yield read(last)

    with EspoClient(CONFIG) as client:
        results = client.run_many(operations(), max_workers=2)
        for number in range(20):
            assert next(results) == number
            assert last - number < 4
        results.close()  # type: ignore[attr-defined]


def test_as_many_run_at_a_time_as_there_are_workers_each_on_a_connection_of_its_own() -> None:
    together = threading.Barrier(3)

    def meet(connection: Any, server: RawServer) -> None:
        while server.read_request(connection):
            together.wait(30)
            connection.sendall(http(body=b'{"n": 1}'))

    with RawServer(meet) as server, EspoClient(replace(CONFIG, site_url=server.url)) as client:
        assert list(client.run_many(read(n) for n in range(6))) == [1] * 6
        assert server.connections == 3
        # Later work goes on over the same connections, though its threads are others.
        assert list(client.run_many(read(n) for n in range(6))) == [1] * 6
        assert server.connections == 3


def test_no_two_threads_use_a_session_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    busy: set[int] = set()
    shared: list[int] = []
    send = requests.Session.send

    def watched(self: requests.Session, *args: Any, **kwargs: Any) -> Any:
        if id(self) in busy:
            shared.append(id(self))
        busy.add(id(self))
        try:
            return send(self, *args, **kwargs)
        finally:
            busy.discard(id(self))

    monkeypatch.setattr(requests.Session, "send", watched)
    with (
        RawServer(answers(http(body=b'{"n": 1}'))) as server,
        EspoClient(replace(CONFIG, site_url=server.url)) as client,
    ):
        assert len(list(client.run_many((read(n) for n in range(60)), max_workers=8))) == 60
        assert server.connections <= 8
    assert shared == []


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_is_refused_at_once(workers: int) -> None:
    with EspoClient(CONFIG) as client, pytest.raises(EspoInputError, match="max_workers"):
        client.run_many([read(1)], max_workers=workers)


def test_an_input_that_fails_does_not_take_earlier_results_with_it(api: requests_mock.Mocker) -> None:
    def operations() -> Iterator[Operation[int]]:
        yield read(0)
        yield read(1)
        raise KeyError("row 2")

    with EspoClient(CONFIG) as client:
        results = client.run_many(operations())
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(KeyError, match="row 2"):
            next(results)


def test_a_mistake_in_an_operation_is_raised_and_not_returned(api: requests_mock.Mocker) -> None:
    def wrong() -> Operation[int]:
        yield build_request("GET", "Lead/1")
        raise ZeroDivisionError

    with EspoClient(CONFIG) as client, pytest.raises(ZeroDivisionError):
        list(client.run_many([wrong(), read(1)]))


def test_when_results_are_not_wanted_to_the_end_no_more_requests_are_sent(
    api: requests_mock.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, given_up = threading.Event(), threading.Event()
    shutdown = ThreadPoolExecutor.shutdown

    def wait_for_the_workers(self: ThreadPoolExecutor, *args: Any, **kwargs: Any) -> None:
        given_up.set()
        shutdown(self, *args, **kwargs)

    def two_requests(number: int) -> Operation[int]:
        yield build_request("GET", f"Lead/{number}")
        under_way.set()
        assert given_up.wait(30)
        yield build_request("GET", f"Lead/{number}")
        return number

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", wait_for_the_workers)
    with EspoClient(CONFIG) as client:
        results = client.run_many([read(0), two_requests(1), read(2)], max_workers=1)
        assert next(results) == 0
        assert under_way.wait(30)
        results.close()  # type: ignore[attr-defined]
    assert [request.path for request in api.request_history] == ["/api/v1/lead/0", "/api/v1/lead/1"]


def test_giving_up_does_not_wait_for_a_retry_that_is_far_away(api: requests_mock.Mocker) -> None:
    refused = threading.Event()

    def busy(_request: Any, context: Any) -> str:
        context.status_code = 503
        context.headers["Retry-After"] = "100"
        refused.set()
        return ""

    api.get("http://crm.example.com/api/v1/Lead/1", text=busy)
    with EspoClient(replace(CONFIG, max_retries=3)) as client:
        results = client.run_many([read(0), read(1)])
        assert next(results) == 0
        assert refused.wait(30)
        results.close()  # type: ignore[attr-defined]
    assert [request.path for request in api.request_history].count("/api/v1/lead/1") == 1


def test_a_stream_yields_as_things_arrive_and_asks_for_no_more_than_wanted(api: requests_mock.Mocker) -> None:
    closed = []

    def stream() -> Stream[int]:
        try:
            for number in count():
                answer = yield build_request("GET", f"Lead/{number}")
                yield Emit(int(answer.json()["n"]))
        finally:
            closed.append(True)

    with EspoClient(CONFIG) as client:
        items = client.iterate(stream())
        assert [next(items), next(items)] == [0, 1]
        assert api.call_count == 2
        items.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_an_operation_is_closed_when_its_request_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def operation() -> Operation[None]:
        try:
            yield build_request("GET", "Lead")
        finally:
            closed.append("operation")

    def interrupt(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Session, "send", interrupt)
    monkeypatch.setattr(requests.Session, "close", lambda _self: closed.append("session"))
    client = EspoClient(CONFIG)
    kept = operation()
    with pytest.raises(KeyboardInterrupt):
        client.run(kept)
    # A socket with half an answer in it must not be used again.
    assert sorted(closed) == ["operation", "session"]


def test_closing_closes_the_sockets_and_twice_is_once() -> None:
    ended = threading.Event()

    def until_closed(connection: Any, server: RawServer) -> None:
        while server.read_request(connection):
            connection.sendall(http(body=b'{"n": 1}'))
        ended.set()

    with RawServer(until_closed) as server:
        client = EspoClient(replace(CONFIG, site_url=server.url))
        client.run(read(1))
        assert not ended.is_set()
        client.close()
        assert ended.wait(30)
        client.close()


def test_sockets_are_closed_even_if_logging_out_goes_wrong() -> None:
    ended = threading.Event()

    def login_then_silence(connection: Any, server: RawServer) -> None:
        while request := server.read_request(connection):
            if b"destroyAuthToken" in request:
                server.closing.wait(0)
                break
            connection.sendall(http(body=b'{"n": 1, "token": "t"}'))
        ended.set()

    with RawServer(login_then_silence, listens_only) as server:
        config = replace(CONFIG, site_url=server.url, auth_method=AuthMethod.TOKEN, login="u", timeout=0.1)
        with EspoClient(config) as client:
            assert client.run(read(1)) == 1
        assert ended.wait(30)
    assert len(server.requests) == 3


def test_the_settings_reach_the_session() -> None:
    config = replace(CONFIG, verify=False, proxies={"https": "http://proxy:3128"})
    session = new_session(config)
    assert session.verify is False
    assert session.proxies == {"https": "http://proxy:3128"}
    assert not session.trust_env
    assert new_session(CONFIG).verify is True


def test_the_time_outs_of_the_connection_are_those_of_each_request(api: requests_mock.Mocker) -> None:
    with EspoClient(replace(CONFIG, timeout=7, connect_timeout=3)) as client:
        client.run(read(1))
    assert [str(request.timeout) for request in api.request_history] == ["(3, 7)"]


def test_the_librarys_debug_log_holds_no_filter(caplog: pytest.LogCaptureFixture) -> None:
    def search() -> Operation[Response]:
        return (yield build_request("GET", "Lead", query=(("searchParams", "jane@example.com"),)))

    with (
        caplog.at_level(logging.DEBUG, logger="urllib3.connectionpool"),
        RawServer(answers(http())) as server,
        EspoClient(replace(CONFIG, site_url=server.url)) as client,
    ):
        client.run(search())
    assert "/api/v1/Lead?..." in caplog.text
    assert "jane" not in caplog.text


def test_a_client_has_a_state_of_its_own_unless_given_one() -> None:
    one, other = EspoClient(CONFIG), EspoClient(CONFIG)
    assert one.state is not other.state
    assert EspoClient(CONFIG, one.state).state is one.state


def test_errors_of_the_library_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ``requests`` raises becomes one of ours."""
    kinds = [
        kind
        for kind in vars(requests.exceptions).values()
        if isinstance(kind, type) and issubclass(kind, requests.RequestException)
    ]
    assert len(kinds) > 15
    for kind in kinds:

        def fail(*_args: object, _kind: type[Exception] = kind, **_kwargs: object) -> None:
            json_error = issubclass(_kind, requests.JSONDecodeError)
            raise _kind("https://crm.example.com/?MARKER", *(("MARKER", 0) if json_error else ()))

        monkeypatch.setattr(requests.Session, "send", fail)
        with EspoClient(CONFIG) as client, pytest.raises(EspoError) as caught:
            client.run(read(1))
        assert "MARKER" not in str(caught.value)
