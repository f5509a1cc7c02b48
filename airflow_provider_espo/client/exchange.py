"""How one request becomes an answer: log in, keep the budget, sign, send, judge, wait, try again.

Written once as generators. They yield the only three things a transport has to be able to do, :class:`Send`,
:class:`Wait` and :class:`Work`, so that blocking and asynchronous clients cannot differ in behaviour.
"""

from __future__ import annotations

from collections.abc import Generator
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from airflow_provider_espo.client.answers import error_from, retry_after
from airflow_provider_espo.client.auth import auth_headers
from airflow_provider_espo.client.bodies import Body, Sink, Work
from airflow_provider_espo.client.config import AuthMethod
from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoError,
    EspoLoginThrottledError,
    EspoTransportError,
)
from airflow_provider_espo.client.redirects import redirect_target
from airflow_provider_espo.client.retry import was_too_slow
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Emit,
    FileOperation,
    Request,
    Response,
    Stream,
    build_request,
    check_headers,
    expect_object,
    merge_headers,
    relay,
)

T = TypeVar("T")

_MAX_REDIRECTS = 3

#: How often in seconds to look whether another thread's or task's login is over.
_LOGIN_POLL = 0.05

#: Seconds that the end of a task may be held up to log out.
_LONGEST_WAIT_TO_LOG_OUT = 5.0


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the transport to send this. It sends back a :class:`Response`, or the error why there is none.

    A file, where there is a sink for one, goes there and not into the response. Its ``repr`` holds the method alone:
    the rest may hold secrets and personal data.
    """

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes | Body | None = field(repr=False)
    sink: Sink | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask the transport to wait."""

    seconds: float


Outcome: TypeAlias = Response | EspoTransportError
Steps: TypeAlias = Generator[Send | Wait, Any, T]
FileSteps: TypeAlias = Generator[Send | Wait | Work[Any], Any, T]
StreamSteps: TypeAlias = Generator[Send | Wait | Emit[T], Any, None]


def perform(operation: FileOperation[T], state: ClientState) -> FileSteps[T]:
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
        if delay := state.budget.reserve(state.clock()):
            yield Wait(delay)
        send = _prepare(request, state, token)
        outcome: Outcome = yield (send if url is None else replace(send, url=url))
        if isinstance(outcome, Response):
            state.budget.observe(outcome.headers, state.clock(), state.wall_clock())
            error = _judge(request, outcome, state)
            if error is None and 300 <= outcome.status < 400:
                redirects += 1
                url = _follow(request, outcome, url or send.url, state, redirects)
                continue
            if error is None:
                return outcome
        else:
            error = _named(outcome, request)
        if was_too_slow(error) and not request.repeat_when_slow:
            raise error
        if isinstance(error, EspoAuthenticationError) and token is not None and not renewed:
            # The token may have expired: log in once more, then believe the server.
            state.token.forget(token)
            renewed = True
            continue
        wait = state.retry.wait_before_retry(
            error,
            repeatable=request.repeatable,
            retries=retries,
            asked_to_wait=_asked_to_wait(outcome, state),
        )
        if wait is None:
            raise error
        retries += 1
        yield Wait(wait)


def farewell(state: ClientState) -> Steps[None]:
    """Give the auth token back, in one try. If that fails it is no error: the token ends by itself when idle."""
    token = state.token.token
    if token is None:
        return
    state.token.forget(token)
    delay = state.budget.reserve(state.clock())
    if delay > _LONGEST_WAIT_TO_LOG_OUT:
        return
    if delay:
        yield Wait(delay)
    yield _prepare(build_request("POST", "App/destroyAuthToken", json={"token": token}, proof="token"), state, token)


def _judge(request: Request, response: Response, state: ClientState) -> EspoError | None:
    error = error_from(request, response, state.config.auth_method)
    if isinstance(error, EspoAuthenticationError) and state.config.act_as and request.proof == "connection":
        error.hint = (
            f"{error.hint}. act_as must be the user name of an active regular user, and the connection's own user an "
            "administrator"
        )
    return error


def _follow(request: Request, response: Response, sent_to: str, state: ClientState, redirects: int) -> str:
    if redirects > _MAX_REDIRECTS:
        raise EspoBadAnswerError(
            "The server redirects again and again", status=response.status, method=request.method, path=request.path
        )
    api_path = state.config.api_url.removeprefix(state.config.site_url)
    return redirect_target(request, response, sent_to, api_path)


def _asked_to_wait(outcome: Outcome, state: ClientState) -> float | None:
    if not isinstance(outcome, Response):
        return None
    return retry_after(outcome, datetime.fromtimestamp(state.wall_clock(), UTC))


def _token(request: Request, state: ClientState) -> Steps[str | None]:
    """Token to use for a request, after a login if there is none yet."""
    if state.config.auth_method is not AuthMethod.TOKEN or request.proof != "connection":
        return None
    waited, refusals = 0.0, state.token.refusals
    while (token := state.token.token) is None:
        if state.token.refusal is not None and state.token.refusals != refusals:
            # Refused while we waited. Were each who waits to try for itself, EspoCRM would soon shut out everybody.
            raise copy(state.token.refusal)
        # Whoever logs in may be gone without a trace, such as a thread of the process this one was forked from.
        if state.token.may_log_in() or waited > state.config.timeout + state.config.connect_timeout:
            refusal = None
            try:
                token = yield from _log_in(state)
            except (EspoAuthenticationError, EspoLoginThrottledError) as error:
                refusal = error
                raise
            finally:
                state.token.login_over(token, refusal)
            return token
        yield Wait(_LOGIN_POLL)
        waited += _LOGIN_POLL
    return token


def _log_in(state: ClientState) -> Steps[str]:
    login = build_request("GET", "App/user", proof="password")
    response = yield from exchange(login, state)
    token = expect_object(login, response).get("token")
    if not isinstance(token, str) or not token:
        raise EspoBadAnswerError(
            "The login gave no token", status=response.status, method=login.method, path=login.path
        )
    return token


def _prepare(request: Request, state: ClientState, token: str | None) -> Send:
    config = state.config
    ours = {"Accept": "application/json"}
    if config.user_agent:
        ours["User-Agent"] = config.user_agent
    headers = merge_headers(ours, config.headers, request.headers)
    body: bytes | Body | None = request.content
    body_type = {"Content-Type": request.content.content_type} if request.content is not None else {}
    if body is None and (body := request.body()) is not None:
        # EspoCRM takes a JSON body of another type for an empty one.
        body_type = {"Content-Type": "application/json"}
    headers = merge_headers(headers, body_type, auth_headers(request, config, token))
    check_headers(headers)
    query = "?" + urlencode(request.query) if request.query else ""
    return Send(request.method, f"{config.api_url}/{request.path}{query}", headers, body, request.sink)


def _named(error: EspoTransportError, request: Request) -> EspoTransportError:
    """Say in a transport's error which call it was."""
    error.method, error.path = request.method, request.path
    return error
