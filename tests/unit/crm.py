"""A CRM for tests that answers as it is told to, on the wire of both HTTP libraries."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests
import requests_mock

API_KEY = "5f2b8c1d9e7a4630b1c2d3e4f5a60718"

USER = {"id": "65a1b2c3d4e5f6071", "userName": "airflow", "type": "api", "name": "Airflow"}
LEAD = "6746d1f3a0b1c2d3e"

LEAD_DEFS: Mapping[str, Any] = {
    "fields": {
        "name": {"type": "personName"},
        "firstName": {"type": "varchar"},
        "lastName": {"type": "varchar"},
        "emailAddress": {"type": "email"},
        "status": {"type": "enum", "options": ["New", "Assigned", "Dead"]},
        "description": {"type": "text"},
        "opportunityAmount": {"type": "currency"},
        "createdAt": {"type": "datetime", "readOnly": True},
        "modifiedAt": {"type": "datetime", "readOnly": True},
        "createdBy": {"type": "link", "readOnly": True},
        "account": {"type": "link"},
    },
    "links": {
        "account": {"type": "belongsTo", "entity": "Account"},
        "createdBy": {"type": "belongsTo", "entity": "User"},
        "targetLists": {"type": "hasMany", "entity": "TargetList", "foreign": "leads"},
        "tasks": {"type": "hasChildren", "entity": "Task", "foreign": "parent"},
    },
}


@dataclass(frozen=True)
class Sent:
    """A request as the CRM got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Decoded body, ``None`` without one."""
        return json.loads(self.body) if self.body else None

    @property
    def search(self) -> dict[str, Any]:
        """Search parameters."""
        found: dict[str, Any] = json.loads(self.query.get("searchParams", "{}"))
        return found


@dataclass(frozen=True)
class Reply:
    """An answer that is not just JSON with status 200."""

    status: int = 200
    body: bytes | str | list[Any] | dict[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Lost(Exception):
    """The connection broke after the request was sent."""


class TooLate(Exception):
    """No answer in time."""


class Refused(Exception):
    """Nobody listens."""


class Untrusted(Exception):
    """The server's certificate is not trusted."""


Answer: TypeAlias = "Reply | list[Any] | dict[str, Any] | bool | str | type[Exception] | Callable[[Sent], Any]"


class Crm:
    """What to answer to what, and what was asked.

    Of several answers to the same request each is given once, the last one for good.
    """

    url: ClassVar[str] = "https://crm.example.com"

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        self._definitions: dict[str, Mapping[str, Any]] = {"Lead": LEAD_DEFS}
        self.on("GET", "App/user", {"user": USER, "token": None})
        self.on("GET", "App/about", {"version": "10.0.0"})

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Say what to answer."""
        self._answers[method, path] = list(answers)

    def has(self, entity_type: str, definitions: Mapping[str, Any]) -> None:
        """Say what the metadata holds about an entity type."""
        self._definitions[entity_type] = definitions

    def calls(self, method: str, path: str | None = None) -> list[Sent]:
        """Requests of a method, to a path."""
        return [one for one in self.sent if one.method == method and path in (None, one.path)]

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request, as the real one: JSON, or an error's status."""
        parts = urlsplit(url)
        path = parts.path.partition("/api/v1/")[2]
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        sent = Sent(method, path, query, {name.lower(): value for name, value in headers.items()}, body)
        self.sent.append(sent)
        if path == "Metadata" and (method, path) not in self._answers:
            return _reply(self._definitions.get(query["key"].removeprefix("entityDefs."), Reply()))
        if (method, path) not in self._answers:
            raise AssertionError(f"The test has no answer to {method} {path}")
        answers = self._answers[method, path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, type):
            raise answer
        return _reply(answer(sent) if callable(answer) else answer)


def page(*records: Mapping[str, Any]) -> dict[str, Any]:
    """A list with all there is, as EspoCRM sends it when told not to count."""
    return {"total": -2, "list": list(records)}


def refusal(status: int, reason: str | None = None, **body: Any) -> Reply:
    """An error as EspoCRM sends it."""
    headers = {"X-Status-Reason": reason} if reason else {}
    return Reply(status, body or b"", headers)


def _reply(answer: Any) -> Reply:
    if not isinstance(answer, Reply):
        return Reply(200, json.dumps(answer), {"Content-Type": "application/json"})
    if isinstance(answer.body, dict | list):
        return Reply(answer.status, json.dumps(answer.body), {"Content-Type": "application/json", **answer.headers})
    return answer


@contextmanager
def answering(crm: Crm) -> Iterator[Crm]:
    """Let the CRM answer to requests and to httpx."""

    def to_requests(request: Any, context: Any) -> bytes:
        try:
            reply = crm.answer(request.method, request.url, request.headers, _bytes(request.body))
        except tuple(_AS_REQUESTS) as failure:
            raise _AS_REQUESTS[type(failure)](_cause(failure)) from None
        context.status_code = reply.status
        context.headers.update(reply.headers)
        return _bytes(reply.body)

    async def to_httpx(_transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        # On a real wire other coroutines run meanwhile.
        await asyncio.sleep(0)
        try:
            reply = crm.answer(request.method, str(request.url), request.headers, await request.aread())
        except tuple(_AS_HTTPX) as failure:
            raise _AS_HTTPX[type(failure)]("for a test", request=request) from _cause(failure)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=_bytes(reply.body))

    with requests_mock.Mocker() as blocking, pytest.MonkeyPatch.context() as awaiting:
        blocking.register_uri(requests_mock.ANY, requests_mock.ANY, content=to_requests)
        awaiting.setattr(httpx.AsyncHTTPTransport, "handle_async_request", to_httpx)
        yield crm


_AS_REQUESTS: Mapping[type[Exception], type[Exception]] = {
    Lost: requests.exceptions.ConnectionError,
    TooLate: requests.exceptions.ReadTimeout,
    Refused: requests.exceptions.ConnectTimeout,
    Untrusted: requests.exceptions.SSLError,
}
_AS_HTTPX: Mapping[type[Exception], type[httpx.TransportError]] = {
    Lost: httpx.ReadError,
    TooLate: httpx.ReadTimeout,
    Refused: httpx.ConnectError,
    Untrusted: httpx.ConnectError,
}


def _cause(failure: Exception) -> Exception:
    """What the library found below it."""
    if not isinstance(failure, Untrusted):
        return Exception("for a test")
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def _bytes(body: Any) -> bytes:
    if isinstance(body, str | bytes | None):
        return body.encode() if isinstance(body, str) else body or b""
    # A file, which the library sends block by block.
    return b"".join(body)
