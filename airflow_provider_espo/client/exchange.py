"""How one request becomes an answer: log in, keep the budget, sign, send, judge, wait, try again.

Written once as generators. They yield the only two things a transport has to be able to do, :class:`Send` and
:class:`Wait`, so that blocking and asynchronous clients cannot differ in behaviour.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

from airflow_provider_espo.client.answers import error_from, retry_after
from airflow_provider_espo.client.auth import auth_headers
from airflow_provider_espo.client.config import AuthMethod
from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoError,
    EspoTransportError,
)
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Emit,
    Operation,
    Request,
    Response,
    Stream,
    build_request,
    check_headers,
    expect_object,
    relay,
)

T = TypeVar("T")

_MAX_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the transport to send this. It sends back a :class:`Response`, or the error why there is none."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask the transport to wait."""

    seconds: float


Outcome: TypeAlias = Response | EspoTransportError
Steps: TypeAlias = Generator[Send | Wait, Any, T]
StreamSteps: TypeAlias = Generator[Send | Wait | Emit[T], Any, None]


def perform(operation: Operation[T], state: ClientState) -> Steps[T]:
    """Turn an operation into steps for a transport."""
    return relay(operation, lambda request: exchange(request, state))


def perform_stream(stream: Stream[T], state: ClientState) -> StreamSteps[T]:
    """Turn a stream into steps for a transport; what it emits passes through."""
    return relay(stream, lambda request: exchange(request, state))


def exchange(request: Request, state: ClientState) -> Steps[Response]:
    """Bring one request to an answer that is a success, or raise what it means."""
    retries = redirects = 0
    renewed = False
    url: str | None = None
    while True:
        token = yield from _token(request, state)
        if delay := state.budget.reserve(time.monotonic()):
            yield Wait(delay)
        send = _prepare(request, state, token)
        outcome: Outcome = yield (send if url is None else replace(send, url=url))
        if isinstance(outcome, Response):
            state.budget.observe(outcome.headers, time.monotonic(), time.time())
            error = error_from(request, outcome, state.config.auth_method)
            if error is None and 300 <= outcome.status < 400:
                redirects += 1
                url = _redirect_target(request, outcome, url or send.url, redirects)
                continue
            if error is None:
                return outcome
        else:
            error = _named(outcome, request)
        if isinstance(error, EspoAuthenticationError) and token is not None and not renewed:
            # The token may have expired: log in once more, then believe the server.
            state.token.forget(token)
            renewed = True
            continue
        wait = state.retry.wait_before_retry(
            error,
            repeatable=request.repeatable,
            retries=retries,
            asked_to_wait=retry_after(outcome) if isinstance(outcome, Response) else None,
        )
        if wait is None:
            raise error
        retries += 1
        yield Wait(wait)


def _token(request: Request, state: ClientState) -> Steps[str | None]:
    """Token to use for a request, after a login if there is none yet."""
    if state.config.auth_method is not AuthMethod.TOKEN or request.proof != "connection":
        return None
    if state.token.token is None:
        login = build_request("GET", "App/user", proof="password")
        answer = expect_object(login, (yield from exchange(login, state)))
        token = answer.get("token")
        if not isinstance(token, str) or not token:
            raise EspoBadAnswerError("The login gave no token", method=login.method, path=login.path)
        state.token.token = token
    return state.token.token


def _prepare(request: Request, state: ClientState, token: str | None) -> Send:
    config = state.config
    headers = {"Accept": "application/json", "User-Agent": config.user_agent, **config.headers, **request.headers}
    body = request.body()
    if body is not None:
        # EspoCRM takes a body of another type for an empty one.
        headers["Content-Type"] = "application/json"
    headers |= auth_headers(request, config, token)
    check_headers(headers)
    query = "?" + urlencode(request.query) if request.query else ""
    return Send(request.method, f"{config.api_url}/{request.path}{query}", headers, body)


def _named(error: EspoTransportError, request: Request) -> EspoTransportError:
    """Say in a transport's error which call it was."""
    error.method, error.path = request.method, request.path
    return error


def _redirect_target(request: Request, response: Response, sent_to: str, redirects: int) -> str:
    """Where to send a request again. Only reads follow, and only on the same host: nobody else gets the secret."""
    location = response.headers.get("location", "")
    old, new = urlsplit(sent_to), urlsplit(location)
    same_host = new.hostname in (None, old.hostname)
    upgrade = (old.scheme, new.scheme) == ("http", "https")
    same_origin = not new.scheme or (new.scheme == old.scheme and new.port == old.port)
    site = f"{new.scheme or old.scheme}://{new.hostname or old.hostname}" + (f":{new.port}" if new.port else "")
    if request.method != "GET" or not location or not same_host or not (same_origin or upgrade) or redirects > _MAX_REDIRECTS:
        raise EspoBadAnswerError(
            f"The server redirects to {site}",
            status=response.status,
            method=request.method,
            path=request.path,
            hint=f"Give the address it redirects to as host in the connection, if that ({site}) is your EspoCRM",
        )
    if request.path not in new.path:
        raise EspoBadAnswerError(
            "The server redirects to another page, such as a login page",
            status=response.status,
            method=request.method,
            path=request.path,
        )
    return location if new.scheme else f"{old.scheme}://{old.netloc}{location}"
