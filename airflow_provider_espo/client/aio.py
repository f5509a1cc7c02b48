"""The asynchronous transport, over ``httpx``, for triggers and other code on an event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Self, TypeVar

import httpx

from airflow_provider_espo.client import failures
from airflow_provider_espo.client.errors import EspoError, EspoTransportError
from airflow_provider_espo.client.exchange import Outcome, Send, Wait, perform, perform_stream
from airflow_provider_espo.client.methods import AsyncMethods
from airflow_provider_espo.client.operations.system import log_out
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.wire import Emit, Operation, Response, Stream

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig

T = TypeVar("T")


class EspoAsyncClient(AsyncMethods):
    """Talks to EspoCRM on the event loop it was made for.

    :param config: where and as whom.
    :param state: what to share with other clients of the connection; its own by default.
    """

    def __init__(self, config: ClientConfig, state: ClientState | None = None) -> None:
        self.state = state or new_state(config)
        self._http: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation and return its result."""
        steps = perform(operation, self.state)
        outcome: Outcome | None = None
        try:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                outcome = await self._do(step)
        finally:
            steps.close()

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out a stream and yield what it emits."""
        steps = perform_stream(stream, self.state)
        outcome: Outcome | None = None
        try:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    outcome = None
                    yield step.value
                else:
                    outcome = await self._do(step)
        finally:
            steps.close()

    async def run_many(
        self, operations: Iterable[Operation[T]], max_workers: int | None = None
    ) -> AsyncIterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param operations: taken from as places get free, so that a long input is not held in memory.
        :param max_workers: how many at a time; by default the connection's ``max_workers``.
        """
        workers = max_workers or self.state.config.max_workers
        source = iter(operations)
        window: list[asyncio.Task[T | EspoError]] = []
        try:
            while True:
                while len(window) < workers and (operation := next(source, None)) is not None:
                    window.append(asyncio.create_task(self._try(operation)))
                if not window:
                    return
                yield await window.pop(0)
        finally:
            for task in window:
                task.cancel()

    async def ready(self) -> ClientState:
        """Return what operations work with."""
        return self.state

    async def close(self) -> None:
        """Log out, if this connection logs in, and close all sockets."""
        if self.state.token.token is not None:
            await self.run(log_out(self.state))
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _try(self, operation: Operation[T]) -> T | EspoError:
        try:
            return await self.run(operation)
        except EspoError as error:
            return error

    async def _do(self, step: Send | Wait) -> Outcome | None:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        return await self._send(step)

    async def _send(self, step: Send) -> Outcome:
        http = await self._client()
        try:
            answer = await http.request(step.method, step.url, headers=step.headers, content=step.body)
        except httpx.InvalidURL as error:
            return failures.no_connection(error, "The address cannot be used")
        except httpx.TransportError as error:
            return _failure(error)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content)

    async def _client(self) -> httpx.AsyncClient:
        async with self._making:
            if self._http is None:
                # Reading the CA store takes tens of milliseconds, which would hold up every trigger of the loop.
                self._http = await asyncio.to_thread(new_async_client, self.state.config)
            return self._http


def new_async_client(config: ClientConfig) -> httpx.AsyncClient:
    """Return an HTTP client with the connection's TLS, proxy and time-out settings."""
    tls = _tls(config)
    client = httpx.AsyncClient(
        verify=tls,
        timeout=httpx.Timeout(config.timeout, connect=config.connect_timeout),
        limits=httpx.Limits(max_connections=config.max_workers, max_keepalive_connections=config.max_workers),
        mounts={
            f"{scheme}://": httpx.AsyncHTTPTransport(proxy=url, verify=tls) for scheme, url in config.proxies.items()
        },
        follow_redirects=False,
    )
    # A session cookie of an earlier answer must not stand in for the credentials.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _tls(config: ClientConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else httpx.create_ssl_context()
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.client_cert:
        context.load_cert_chain(config.client_cert, config.client_key)
    return context


def _failure(error: httpx.TransportError) -> EspoTransportError:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return failures.no_connection_in_time()
    if isinstance(error, httpx.TimeoutException):
        return failures.no_answer_in_time()
    if isinstance(error, httpx.ProxyError):
        return failures.no_connection(error, "The proxy could not be reached or refused")
    if isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol):
        return failures.no_connection(error)
    return failures.broken(error)
