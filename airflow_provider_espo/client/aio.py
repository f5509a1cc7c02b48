"""The asynchronous transport, over ``httpx``, for triggers and other code on an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from airflow_provider_espo.client import environment, failures
from airflow_provider_espo.client.bodies import BLOCK_SIZE, Incoming, LocalFailure, Outgoing, Sink, Work, is_file
from airflow_provider_espo.client.errors import EspoError, EspoTransportError
from airflow_provider_espo.client.exchange import FileSteps, Outcome, Send, Wait, farewell, perform, perform_stream
from airflow_provider_espo.client.log_privacy import hide_queries
from airflow_provider_espo.client.methods import AsyncMethods
from airflow_provider_espo.client.side_by_side import Source, check_workers
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.wire import Emit, FileOperation, Response, Stream, header_map

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig

T = TypeVar("T")

# Where a redirect leads is put here, out of the HTTP client's reach: it looks at it even where it does not follow.
_LOCATION = "espo_location"

hide_queries("httpx")


class EspoAsyncClient(AsyncMethods):
    """Talks to EspoCRM on the event loop it was made for.

    :param config: where and as whom.
    :param state: what to share with other clients of the connection; its own by default.
    """

    def __init__(self, config: ClientConfig, state: ClientState | None = None) -> None:
        self.state = state or new_state(config)
        self.state.token.join(self)
        self._http: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()
        # Who waits for a connection waits here: the HTTP library looks through all that wait for one whenever a
        # request begins or ends, and a thousand waiting sensors would hold up the loop.
        self._places = asyncio.Semaphore(self.state.config.max_workers)

    async def run(self, operation: FileOperation[T]) -> T:
        """Carry out an operation and return its result."""
        return await self._drive(perform(operation, self.state))

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
        self, operations: Iterable[FileOperation[T]], max_workers: int | None = None
    ) -> AsyncIterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param operations: taken from as places get free, so that a long input is not held in memory.
        :param max_workers: how many at a time; by default the connection's ``max_workers``.
        """
        workers = check_workers(max_workers, self.state.config.max_workers)
        source = Source(operations)
        places = asyncio.Semaphore(workers)
        window: deque[asyncio.Task[T | EspoError]] = deque()
        try:
            while True:
                for operation in source.take(2 * workers - len(window)):
                    window.append(asyncio.create_task(self._try(operation, places)))
                if not window:
                    break
                yield await window.popleft()
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)
        source.end()

    async def ready(self) -> ClientState:
        """Return what operations work with."""
        return self.state

    async def close(self) -> None:
        """Close all sockets; log out before, if this connection logs in and nobody else uses its token."""
        try:
            if self.state.token.leave(self):
                await self._drive(farewell(self.state))
        finally:
            http, self._http = self._http, None
            if http is not None:
                await http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _try(self, operation: FileOperation[T], places: asyncio.Semaphore) -> T | EspoError:
        async with places:
            try:
                return await self.run(operation)
            except EspoError as error:
                return error

    async def _drive(self, steps: FileSteps[T]) -> T:
        outcome: Outcome | None = None
        try:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration as end:
                    result: T = end.value
                    return result
                outcome = await self._do(step)
        finally:
            steps.close()

    async def _do(self, step: Send | Wait | Work[Any]) -> Any:
        if isinstance(step, Work):
            return await asyncio.to_thread(step.do)
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        return await self._send(step)

    async def _send(self, step: Send) -> Outcome:
        http = await self._client()
        content, length = _content(step)
        try:
            async with (
                self._places,
                http.stream(step.method, step.url, headers={**step.headers, **length}, content=content) as answer,
            ):
                headers = header_map(answer.headers.raw)
                in_sink = step.sink is not None and is_file(answer.status_code, headers)
                body = await _pour(answer, step.sink) if in_sink and step.sink is not None else await answer.aread()
        except LocalFailure as failure:
            failure.reraise()
        except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return _failure(error, step.method)
        if location := answer.extensions.get(_LOCATION):
            headers["location"] = location
        return Response(answer.status_code, headers, body, in_sink)

    async def _client(self) -> httpx.AsyncClient:
        async with self._making:
            if self._http is None:
                # Reading the CA store takes tens of milliseconds, which would hold up every trigger of the loop.
                self._http = await asyncio.to_thread(new_async_client, self.state.config)
            return self._http


def _content(step: Send) -> tuple[Any, dict[str, str]]:
    """Body as the HTTP library wants it, and the header with its length where only we know that."""
    if step.body is None or isinstance(step.body, bytes):
        return step.body, {}
    return _blocks(Outgoing(step.body)), {"Content-Length": str(step.body.size)}


async def _blocks(body: Outgoing) -> AsyncIterator[bytes]:
    blocks = iter(body)
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block


async def _pour(answer: httpx.Response, sink: Sink) -> bytes:
    """Hand an answer's body on in blocks; nothing is left of it."""
    to = Incoming(sink)
    await asyncio.to_thread(to.begin)
    async for block in answer.aiter_bytes(BLOCK_SIZE):
        await asyncio.to_thread(to.write, block)
    return b""


def new_async_client(config: ClientConfig) -> httpx.AsyncClient:
    """Return an HTTP client with the connection's TLS, proxy and time-out settings.

    :raises EspoConfigError: a certificate file or the environment's proxy cannot be used.
    """
    tls = environment.tls_context(config)
    limits = httpx.Limits(max_connections=config.max_workers, max_keepalive_connections=config.max_workers)
    proxies = {
        f"{scheme}://": httpx.AsyncHTTPTransport(proxy=url, verify=tls, limits=limits)
        for scheme, url in environment.proxies(config).items()
    }
    client = httpx.AsyncClient(
        verify=tls,
        # There is no time-out for a place in the pool: to wait for one's turn is no failure of the server.
        timeout=httpx.Timeout(config.timeout, connect=config.connect_timeout, pool=None),
        limits=limits,
        mounts=proxies,
        follow_redirects=False,
        # Environment variables would win over the connection's settings, and ~/.netrc would add another proof.
        trust_env=False,
        event_hooks={"response": [_keep_redirect]},
    )
    # A session cookie of an earlier answer must not stand in for the credentials.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


async def _keep_redirect(answer: httpx.Response) -> None:
    location = answer.headers.pop("location", None)
    if location is not None:
        answer.extensions[_LOCATION] = location


def _failure(error: Exception, method: str) -> EspoTransportError:
    if isinstance(error, httpx.DecodingError):
        return failures.undecodable(method)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return failures.no_address()
    if isinstance(error, httpx.ConnectTimeout):
        return failures.no_connection_in_time()
    if isinstance(error, httpx.TimeoutException):
        return failures.no_answer_in_time()
    if isinstance(error, httpx.ProxyError):
        return failures.no_proxy(error)
    if isinstance(error, httpx.ConnectError):
        return failures.no_connection(error)
    return failures.broken(error)
