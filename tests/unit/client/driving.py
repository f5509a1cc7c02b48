"""Ways to run operations on the fake EspoCRM: by hand, over ``requests`` and over ``httpx``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import requests
import requests_mock
import respx

from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.answers import error_from
from airflow_provider_espo.client.bodies import Work
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import EspoConnectionError, EspoError, EspoTimeoutError
from airflow_provider_espo.client.retry import RetryPolicy
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.client.wire import Emit, FileOperation, Request, Response, Stream
from tests.unit.client.fake_espo import Broken, FakeEspo

T = TypeVar("T")

HOST = "https://crm.example.com"


def make_state(**settings: Any) -> ClientState:
    """State of a connection whose retries do not wait."""
    state = new_state(ClientConfig(site_url=HOST, secret="key123", **settings))
    state.retry = RetryPolicy(max_retries=settings.get("max_retries", 4), uniform=lambda low, high: 0.0)
    return state


# -- by hand -------------------------------------------------------------------------------------------------------


def answer_of(fake: FakeEspo, request: Request) -> Response:
    """Send a request as a transport does, without repeating it."""
    url = f"{HOST}/api/v1/{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
    try:
        answer = fake.answer(request.method, url, dict(request.headers), request.body())
    except Broken as broken:
        error: EspoError = (EspoTimeoutError if broken.timed_out else EspoConnectionError)(
            "No answer", outcome_unknown=True, method=request.method, path=request.path
        )
        raise error from None
    response = Response(answer.status, answer.headers, answer.content)
    if (refusal := error_from(request, response, AuthMethod.API_KEY)) is not None:
        raise refusal
    return response


class Hand:
    """Runs an operation or stream step by step."""

    def __init__(self, fake: FakeEspo, source: FileOperation[T] | Stream[T]) -> None:
        self.fake = fake
        self.source: Any = source
        self.emitted: list[Any] = []
        self.result: Any = None
        self.over = False
        self._outcome: Any = None

    def step(self) -> None:
        """Go on to the next request's answer or the next thing emitted."""
        try:
            item = (
                self.source.throw(self._outcome)
                if isinstance(self._outcome, EspoError)
                else self.source.send(self._outcome)
            )
        except StopIteration as stop:
            self.result, self.over = stop.value, True
            return
        self._outcome = None
        if isinstance(item, Emit):
            self.emitted.append(item.value)
            return
        if isinstance(item, Work):
            self._outcome = item.do()
            return
        try:
            self._outcome = answer_of(self.fake, item)
        except EspoError as error:
            self._outcome = error


def run(fake: FakeEspo, operation: FileOperation[T]) -> T:
    """Run an operation to its end."""
    hand = Hand(fake, operation)
    while not hand.over:
        hand.step()
    result: T = hand.result
    return result


def emitted(fake: FakeEspo, stream: Stream[T]) -> list[T]:
    """Everything that a stream emits."""
    hand = Hand(fake, stream)
    while not hand.over:
        hand.step()
    return hand.emitted


def run_all(fake: FakeEspo, operations: Iterable[FileOperation[T]]) -> list[T]:
    """Run operations side by side, each one request further in turn: as much at once as there can be."""
    hands = [Hand(fake, operation) for operation in operations]
    while not all(hand.over for hand in hands):
        for hand in hands:
            if not hand.over:
                hand.step()
    return [hand.result for hand in hands]


# -- over the HTTP libraries ---------------------------------------------------------------------------------------


@contextmanager
def over_requests(fake: FakeEspo, state: ClientState | None = None) -> Iterator[EspoClient]:
    """A blocking client whose requests end at the fake."""

    def matcher(sent: requests.PreparedRequest) -> requests.Response | None:
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        try:
            answer = fake.answer(str(sent.method), str(sent.url), dict(sent.headers), body)
        except Broken as broken:
            if broken.timed_out:
                raise requests.exceptions.ReadTimeout("no answer") from None
            raise requests.exceptions.ConnectionError("Connection aborted") from None
        return requests_mock.create_response(
            sent, status_code=answer.status, headers=answer.headers, content=answer.content
        )

    state = state or make_state()
    with requests_mock.Mocker() as mocker:
        mocker.add_matcher(matcher)
        with EspoClient(state.config, state) as client:
            yield client


@asynccontextmanager
async def over_httpx(fake: FakeEspo, state: ClientState | None = None) -> AsyncIterator[EspoAsyncClient]:
    """An asynchronous client whose requests end at the fake."""

    def respond(sent: httpx.Request) -> httpx.Response:
        try:
            answer = fake.answer(sent.method, str(sent.url), dict(sent.headers), sent.content)
        except Broken as broken:
            if broken.timed_out:
                raise httpx.ReadTimeout("no answer") from None
            raise httpx.ReadError("connection broke") from None
        return httpx.Response(answer.status, headers=answer.headers, content=answer.content)

    state = state or make_state()
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=respond)
        async with EspoAsyncClient(state.config, state) as client:
            yield client
