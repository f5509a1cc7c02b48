"""Both transports behind one face, so that each scenario is told once and run through both.

HTTP is faked at the wire: a ``requests`` adapter and ``httpcore``'s pool answer from a script. No time passes: waiting
moves a clock.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx
import pytest
import requests
import requests_mock
import respx
import urllib3.exceptions
from requests_mock.response import create_response

from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.client.wire import FileOperation, Operation, Request, Response

SITE = "https://crm.example.com"
EPOCH = 1_800_000_000.0


@dataclass(frozen=True)
class Sent:
    """A request as it arrived."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Fault:
    """A failure as each library reports it."""

    sync: Callable[[], Exception]
    aio: Callable[[], Exception]


def reply(status: int = 200, json: Any = None, **headers: str) -> Reply:
    """An answer of EspoCRM; ``_`` in a header's name stands for ``-``."""
    body = b"" if json is None else jsonlib.dumps(json).encode()
    return Reply(status, body, {"Content-Type": "application/json", **_dashed(headers)})


def empty(status: int, **headers: str) -> Reply:
    """EspoCRM's refusal without a body, which it labels HTML."""
    return Reply(status, b"", {"Content-Type": "text/html; charset=UTF-8", **_dashed(headers)})


def page(status: int = 200) -> Reply:
    return Reply(status, b"<!DOCTYPE html><html><body>Sign in</body></html>", {"Content-Type": "text/html"})


def redirect(location: str, status: int = 301) -> Reply:
    return Reply(status, b"<html>moved</html>", {"Location": location, "Content-Type": "text/html"})


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _max_retry(reason: Exception) -> urllib3.exceptions.MaxRetryError:
    return urllib3.exceptions.MaxRetryError(None, "/api/v1", reason)  # type: ignore[arg-type]


def _refused_sync() -> Exception:
    reason = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]
    reason.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return requests.ConnectionError(_max_retry(reason))


def _refused_aio() -> Exception:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return error


REFUSED = Fault(_refused_sync, _refused_aio)
CONNECT_TIMEOUT = Fault(
    lambda: requests.exceptions.ConnectTimeout(_max_retry(urllib3.exceptions.ConnectTimeoutError("no"))),
    lambda: httpx.ConnectTimeout("no"),
)
READ_TIMEOUT = Fault(lambda: requests.exceptions.ReadTimeout("no"), lambda: httpx.ReadTimeout("no"))
BROKEN = Fault(
    lambda: requests.ConnectionError(
        urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
    ),
    lambda: httpx.ReadError("reset"),
)

#: Troubles that may pass.
PASSING: dict[str, Reply | Fault] = {
    "502": empty(502),
    "503": page(503),
    "504": empty(504),
    "520": page(520),
    "429": empty(429),
    "maintenance": reply(503, {"message": "x"}, X_Status_Reason="Application is in maintenance mode."),
    "refused": REFUSED,
    "no connection in time": CONNECT_TIMEOUT,
    "no answer in time": READ_TIMEOUT,
    "broken": BROKEN,
}

Item: TypeAlias = Reply | Fault | Callable[[Sent], Reply]


class Wire:
    """Answers requests from a script and keeps what came; the last item answers all further ones.

    :param state: what the client works with.
    """

    def __init__(self, state: ClientState) -> None:
        self.state = state
        self.sent: list[Sent] = []
        self.waits: list[float] = []
        self.now = 1000.0
        self.script: list[Item] = []
        state.clock = lambda: self.now
        state.wall_clock = lambda: EPOCH + self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def answer(self, sent: Sent) -> Reply | Fault:
        self.sent.append(sent)
        item = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return item(sent) if callable(item) else item


class Transport:
    """One of the two transports.

    :param name: ``sync`` or ``aio``.
    """

    def __init__(self, name: str, patch: pytest.MonkeyPatch) -> None:
        self.name = name
        self._patch = patch

    def wire(self, config: ClientConfig | None = None, *script: Item, state: ClientState | None = None) -> Wire:
        """Make a client's surroundings with a script of answers."""
        wire = Wire(state or new_state(config or ClientConfig(site_url=SITE, secret="key")))
        wire.script = list(script)
        return wire

    def send(self, config: ClientConfig, *requests_: Request) -> Any:
        """Send requests one after the other over real sockets; return the last answer."""
        return self.do(config, *map(ask, requests_))

    def do(self, config: ClientConfig, *operations: FileOperation[Any]) -> Any:
        """Carry out operations one after the other over real sockets; return what the last returned."""
        if self.name == "sync":
            with EspoClient(config) as client:
                return [client.run(operation) for operation in operations][-1]

        async def main() -> Any:
            async with EspoAsyncClient(config) as client:
                return [await client.run(operation) for operation in operations][-1]

        return asyncio.run(main())

    def run(self, wire: Wire, *operations: Operation[Any]) -> Any:
        """Carry out operations one after the other by one client; return what the last returned."""
        with self._patch.context() as patch:
            if self.name == "sync":
                patch.setattr(time, "sleep", wire.wait)
                return _run_sync(wire, operations)
            real_sleep = asyncio.sleep

            async def sleep(seconds: float) -> None:
                wire.wait(seconds)
                await real_sleep(0)

            patch.setattr(asyncio, "sleep", sleep)
            return asyncio.run(_run_aio(wire, operations))


def _run_sync(wire: Wire, operations: Iterable[Operation[Any]]) -> Any:
    def match(request: Any) -> requests.Response:
        body = request.body or b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        item = wire.answer(
            Sent(request.method, request.url, headers, body if isinstance(body, bytes) else body.encode())
        )
        if isinstance(item, Fault):
            raise item.sync()
        # The standard library reads the bytes of a header as Latin-1.
        received = {name: value.encode().decode("latin-1") for name, value in item.headers.items()}
        return create_response(request, status_code=item.status, content=item.body, headers=received)

    result = None
    with requests_mock.Mocker() as mocker, EspoClient(wire.state.config, wire.state) as client:
        mocker.add_matcher(match)
        for operation in operations:
            result = client.run(operation)
    return result


async def _run_aio(wire: Wire, operations: Iterable[Operation[Any]]) -> Any:
    def respond(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        item = wire.answer(Sent(request.method, str(request.url), headers, request.content))
        if isinstance(item, Fault):
            raise item.aio()
        received = [(name.encode(), value.encode()) for name, value in item.headers.items()]
        return httpx.Response(item.status, content=item.body, headers=received)

    result = None
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=respond)
        async with EspoAsyncClient(wire.state.config, wire.state) as client:
            for operation in operations:
                result = await client.run(operation)
    return result


def ask(request: Request) -> Operation[Response]:
    """The shortest operation: one request."""
    return (yield request)


def play(steps: Generator[Any, Any, Any], *answers: Any) -> tuple[list[Any], Any]:
    """Drive steps by hand with the given answers, one for each thing they yield.

    :return: what they yielded, and what they returned.
    """
    yielded: list[Any] = []
    waiting = list(answers)
    sending = None
    while True:
        try:
            step = steps.send(sending)
        except StopIteration as end:
            return yielded, end.value
        yielded.append(step)
        sending = waiting.pop(0)
