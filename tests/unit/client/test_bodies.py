"""Files as bodies of requests and answers, on real sockets, through both transports."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from airflow_provider_espo.client.bodies import BLOCK_SIZE, Work
from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.wire import FileOperation, Request, build_request
from airflow_provider_espo.exceptions import EspoConnectionError, EspoServerError
from tests.unit.client.raw_server import RawServer, answers, answers_and_closes, http
from tests.unit.client.transports import Transport, ask

FILE = b"0123456789" * 100
AS_FILE = 'Content-Disposition: attachment; filename="a.txt"'


def config(server: RawServer, **changes: Any) -> ClientConfig:
    return ClientConfig(site_url=server.url, secret="key", **({"max_retries": 0} | changes))


@dataclass
class Blocks:
    """A body of given blocks; an exception among them is raised."""

    given: list[Any]
    content_type: str = "text/csv"
    begun: int = 0

    @property
    def size(self) -> int:
        return sum(len(block) for block in self.given if isinstance(block, bytes))

    def blocks(self) -> Iterator[bytes]:
        self.begun += 1
        for block in self.given:
            if isinstance(block, Exception):
                raise block
            yield block


@dataclass
class Kept:
    """A sink that keeps everything, and how often it was begun."""

    content: bytes = b""
    begun: int = 0
    fails_with: Exception | None = None
    threads: set[int] = field(default_factory=set)

    def begin(self) -> None:
        self.content = b""
        self.begun += 1

    def write(self, block: bytes) -> None:
        self.threads.add(threading.get_ident())
        if self.fails_with is not None:
            raise self.fails_with
        self.content += block


def upload(body: Blocks, **how: Any) -> Request:
    return build_request("POST", "Import/file", content=body, **how)


def download(sink: Kept) -> Request:
    return build_request("GET", "Attachment/file/1", sink=sink)


# --- sending


def test_a_file_is_sent_as_it_is_with_its_length_and_type(transport: Transport) -> None:
    with RawServer(answers(http())) as server:
        transport.send(config(server), upload(Blocks([b"a,b\n", b"", b"1,2\n"])))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = [line.lower() for line in head.split(b"\r\n")]
    assert body == b"a,b\n1,2\n"
    assert lines.count(b"content-length: 8") == 1
    assert lines.count(b"content-type: text/csv") == 1
    assert not [line for line in lines if line.startswith(b"transfer-encoding")]


def test_an_empty_file_is_sent_as_an_empty_body(transport: Transport) -> None:
    with RawServer(answers(http())) as server:
        transport.send(config(server), upload(Blocks([])))
    head = server.requests[0].partition(b"\r\n\r\n")[0].lower()
    assert b"content-length: 0" in head
    assert b"transfer-encoding" not in head


def test_a_file_is_read_anew_for_each_try(transport: Transport) -> None:
    body = Blocks([b"abc"])
    down = http("503 Service Unavailable", b"", "Retry-After: 0")
    with RawServer(answers_and_closes(down), answers(http())) as server:
        transport.send(config(server, max_retries=2), upload(body, repeatable=True))
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [b"abc", b"abc"]
    assert body.begun == 2


def test_a_file_that_cannot_be_read_is_its_own_error_and_not_tried_again(transport: Transport) -> None:
    body = Blocks([b"abc", OSError(5, "Input/output error")])
    with RawServer(answers(http())) as server, pytest.raises(OSError, match="Input/output error"):
        transport.send(config(server, max_retries=4), upload(body, repeatable=True))
    assert body.begun == 1


# --- receiving


def test_a_file_goes_to_the_sink_and_not_into_memory(transport: Transport) -> None:
    sink = Kept()
    with RawServer(answers(http("200 OK", FILE, AS_FILE))) as server:
        response = transport.send(config(server), download(sink))
    assert (sink.content, sink.begun) == (FILE, 1)
    assert (response.content, response.in_sink) == (b"", True)


@pytest.mark.parametrize(
    "answer",
    [http("200 OK", b'{"a": 1}'), http("204 No Content", b"", AS_FILE)],
    ids=["no disposition", "no content"],
)
def test_what_is_no_file_does_not_go_to_the_sink(transport: Transport, answer: bytes) -> None:
    sink = Kept()
    with RawServer(answers(answer)) as server:
        assert transport.send(config(server), download(sink)).in_sink is False
    assert sink.begun == 0


def test_an_error_does_not_go_to_the_sink_whatever_its_headers(transport: Transport) -> None:
    sink = Kept()
    with (
        RawServer(answers(http("500 Internal Server Error", b"x", AS_FILE))) as server,
        pytest.raises(EspoServerError),
    ):
        transport.send(config(server), download(sink))
    assert sink.begun == 0


def test_an_answer_that_breaks_off_comes_again_from_its_beginning(transport: Transport) -> None:
    sink = Kept()
    whole = http("200 OK", FILE, AS_FILE)
    with RawServer(answers_and_closes(whole[:-300]), answers(whole)) as server:
        transport.send(config(server, max_retries=2), download(sink))
    assert (sink.content, sink.begun) == (FILE, 2)


def test_an_answer_that_always_breaks_off_is_an_error(transport: Transport) -> None:
    with (
        RawServer(answers_and_closes(http("200 OK", FILE, AS_FILE)[:-1])) as server,
        pytest.raises(EspoConnectionError, match="broke before the answer was complete"),
    ):
        transport.send(config(server), download(Kept()))


def test_a_sink_that_fails_is_its_own_error_and_not_tried_again(transport: Transport) -> None:
    sink = Kept(fails_with=OSError(28, "No space left on device"))
    with (
        RawServer(answers(http("200 OK", FILE, AS_FILE))) as server,
        pytest.raises(OSError, match="No space left on device"),
    ):
        transport.send(config(server, max_retries=4), download(sink))
    assert sink.begun == 1


def test_after_a_sink_failed_the_client_still_works(transport: Transport) -> None:
    def both() -> FileOperation[Any]:
        return (yield build_request("GET", "App/user"))

    def failing() -> FileOperation[None]:
        yield download(Kept(fails_with=ValueError("full")))

    def main() -> Any:
        if transport.name == "sync":
            from airflow_provider_espo.client.sync import EspoClient

            with EspoClient(config(server)) as client:
                with pytest.raises(ValueError, match="full"):
                    client.run(failing())
                return client.run(both())
        import asyncio

        from airflow_provider_espo.client.aio import EspoAsyncClient

        async def on_a_loop() -> Any:
            async with EspoAsyncClient(config(server)) as client:
                with pytest.raises(ValueError, match="full"):
                    await client.run(failing())
                return await client.run(both())

        return asyncio.run(on_a_loop())

    big = FILE * 10_000
    with RawServer(answers_and_closes(http("200 OK", big, AS_FILE)), answers(http())) as server:
        assert main().content == b"{}"


# --- work


def test_work_comes_back_as_its_result_and_its_error_as_it_is(transport: Transport) -> None:
    def operation(do: Any) -> FileOperation[Any]:
        return (yield Work(do))

    with RawServer(answers(http())) as server:
        assert transport.do(config(server), operation(lambda: 42)) == 42
        with pytest.raises(ZeroDivisionError):
            transport.do(config(server), operation(lambda: 1 / 0))


def test_files_are_read_and_written_off_the_event_loop(transport: Transport) -> None:
    sink, threads = Kept(), set()

    def operation() -> FileOperation[None]:
        threads.add((yield Work(threading.get_ident)))
        yield download(sink)

    with RawServer(answers(http("200 OK", FILE, AS_FILE))) as server:
        transport.do(config(server), operation())
    on_this_thread = transport.name == "sync"
    assert (threading.get_ident() in threads | sink.threads) is on_this_thread


class _Sized(BaseHTTPRequestHandler):
    """Takes and gives a file of 32 MB."""

    size = 32 * 1024 * 1024
    block = b"x" * 65536
    protocol_version = "HTTP/1.1"
    taken = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(self.size))
        self.send_header("Content-Disposition", "attachment")
        self.end_headers()
        for _ in range(self.size // len(self.block)):
            self.wfile.write(self.block)

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left and (data := self.rfile.read(min(left, len(self.block)))):
            left -= len(data)
            type(self).taken += len(data)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def big() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Sized) as server:
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        _Sized.taken = 0
        yield server
        server.shutdown()
        thread.join(10)


class _Many:
    """A body of 32 MB that is nowhere."""

    content_type = "text/csv"
    size = _Sized.size

    def blocks(self) -> Iterator[bytes]:
        block = b"y" * BLOCK_SIZE
        for _ in range(self.size // BLOCK_SIZE):
            yield block


class _Counted:
    size = 0

    def begin(self) -> None:
        self.size = 0

    def write(self, block: bytes) -> None:
        self.size += len(block)


def test_a_big_file_takes_little_memory_both_ways(transport: Transport, big: HTTPServer) -> None:
    where = ClientConfig(site_url=f"http://127.0.0.1:{big.server_port}", secret="key", max_workers=1)
    transport.send(where, build_request("POST", "Warm/up", json={}))
    sink, taken = _Counted(), _Sized.taken
    tracemalloc.start()
    try:
        transport.do(
            where,
            ask(build_request("POST", "Import/file", content=_Many())),
            ask(build_request("GET", "Attachment/file/1", sink=sink)),
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert _Sized.taken - taken == sink.size == _Sized.size
    assert peak < 6 * 1024 * 1024
