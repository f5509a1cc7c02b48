"""The blocking transport, over ``requests``."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
import urllib3.exceptions
from requests.exceptions import (
    ConnectTimeout,
    ContentDecodingError,
    InvalidSchema,
    InvalidURL,
    MissingSchema,
    ProxyError,
    Timeout,
)

from airflow_provider_espo.client import environment, failures
from airflow_provider_espo.client.bodies import BLOCK_SIZE, Incoming, LocalFailure, Outgoing, Sink, Work, is_file
from airflow_provider_espo.client.errors import EspoError, EspoTransportError
from airflow_provider_espo.client.exchange import FileSteps, Outcome, Send, Wait, farewell, perform, perform_stream
from airflow_provider_espo.client.log_privacy import hide_queries
from airflow_provider_espo.client.methods import BlockingMethods
from airflow_provider_espo.client.side_by_side import Source, check_workers
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.sync_connection import Adapter
from airflow_provider_espo.client.wire import Emit, FileOperation, Response, Stream, header_map

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig

T = TypeVar("T")

hide_queries("urllib3.connectionpool")


class EspoClient(BlockingMethods):
    """Talks to EspoCRM and waits for the answers. May be used from several threads.

    :param config: where and as whom.
    :param state: what to share with other clients of the connection; its own by default.
    """

    def __init__(self, config: ClientConfig, state: ClientState | None = None) -> None:
        self.state = state or new_state(config)
        self.state.token.join(self)
        # Sessions that no thread uses at the moment. A thread takes the one used last, or makes one.
        self._idle: deque[requests.Session] = deque()

    def run(self, operation: FileOperation[T]) -> T:
        """Carry out an operation and return its result."""
        return self._drive(perform(operation, self.state))

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
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
                    outcome = self._do(step)
        finally:
            steps.close()

    def run_many(
        self, operations: Iterable[FileOperation[T]], max_workers: int | None = None
    ) -> Iterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        When the results are not wanted to the end, requests under way are finished and no more are sent.

        :param operations: taken from as places get free, so that a long input is not held in memory.
        :param max_workers: how many at a time; by default the connection's ``max_workers``.
        """
        workers = check_workers(max_workers, self.state.config.max_workers)
        return self._run_many(Source(operations), workers)

    def _run_many(self, source: Source[FileOperation[T]], workers: int) -> Iterator[T | EspoError]:
        stop = threading.Event()
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="espo") as pool:
            window: deque[Future[T | EspoError]] = deque()
            try:
                while True:
                    for operation in source.take(2 * workers - len(window)):
                        window.append(pool.submit(self._try, operation, stop))
                    if not window:
                        break
                    yield window.popleft().result()
            finally:
                stop.set()
                for future in window:
                    future.cancel()
        source.end()

    def close(self) -> None:
        """Close all sockets; log out before, if this connection logs in and nobody else uses its token."""
        try:
            if self.state.token.leave(self):
                self._drive(farewell(self.state))
        finally:
            while (session := self._idle_session()) is not None:
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, operation: FileOperation[T], stop: threading.Event) -> T | EspoError:
        try:
            return self._drive(perform(operation, self.state), stop)
        except EspoError as error:
            return error

    def _drive(self, steps: FileSteps[T], stop: threading.Event | None = None) -> T:
        outcome: Outcome | None = None
        try:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration as end:
                    result: T = end.value
                    return result
                outcome = self._do(step, stop)
        finally:
            steps.close()

    def _do(self, step: Send | Wait | Work[Any], stop: threading.Event | None = None) -> Any:
        if isinstance(step, Work):
            return step.do()
        if isinstance(step, Wait) and stop is None:
            time.sleep(step.seconds)
        elif isinstance(step, Wait) and stop is not None:
            stop.wait(step.seconds)
        if stop is not None and stop.is_set():
            raise CancelledError
        return self._send(step) if isinstance(step, Send) else None

    def _idle_session(self) -> requests.Session | None:
        # Not looked at before it is taken: another thread may be faster.
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _send(self, step: Send) -> Outcome:
        config = self.state.config
        session = self._idle_session() or new_session(config)
        try:
            request = _prepared(session, step)
            answer = session.send(
                request,
                timeout=(config.connect_timeout, config.timeout),
                allow_redirects=False,
                **session.merge_environment_settings(request.url, {}, True, None, None),
            )
            headers = header_map(
                (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
                for name, value in answer.headers.items()
            )
            in_sink = step.sink is not None and is_file(answer.status_code, headers)
            content = _pour(answer, step.sink) if in_sink and step.sink is not None else _whole(answer)
        except LocalFailure as failure:
            session.close()
            failure.reraise()
        except (OSError, urllib3.exceptions.HTTPError, UnicodeError) as error:
            self._idle.append(session)
            return _failure(error, step.method)
        except BaseException:
            # Interrupted: what stands in its sockets belongs to nobody.
            session.close()
            raise
        self._idle.append(session)
        return Response(answer.status_code, headers, content, in_sink)


def _prepared(session: requests.Session, step: Send) -> requests.PreparedRequest:
    """Prepare the request without its query, which is encoded already: to look at each of its letters takes long."""
    address, mark, query = step.url.partition("?")
    request = session.prepare_request(requests.Request(step.method, address, headers=step.headers, data=_data(step)))
    request.url = f"{request.url}{mark}{query}"
    return request


def _whole(answer: requests.Response) -> bytes:
    """Read an answer in larger blocks than the library would."""
    return b"".join(answer.iter_content(BLOCK_SIZE))


def _data(step: Send) -> Any:
    # An empty body would be announced as one of unknown length.
    return (
        step.body
        if step.body is None or isinstance(step.body, bytes)
        else (Outgoing(step.body) if step.body.size else b"")
    )


def _pour(answer: requests.Response, sink: Sink) -> bytes:
    """Hand an answer's body on in blocks; nothing is left of it."""
    to = Incoming(sink)
    # Closing after all was read leaves the connection as it is.
    with closing(answer):
        to.begin()
        for block in answer.iter_content(BLOCK_SIZE):
            to.write(block)
    return b""


class _Session(requests.Session):
    """A session that leaves redirects to us."""

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        """Follow none, and do not even look where they lead: that may be no address."""
        return iter(())


def new_session(config: ClientConfig) -> requests.Session:
    """Return a session with the connection's TLS and proxy settings.

    :raises EspoConfigError: a certificate file cannot be used.
    """
    session = _Session()
    # Environment variables would win over the connection's settings, and ~/.netrc would add a proof beside ours.
    session.trust_env = False
    session.proxies.update(environment.proxies(config))
    session.verify = (environment.ca_bundle(config) or True) if config.verify else False
    if config.ca_file or config.client_cert:
        # Only to find now, and not in the middle of a request, that a file is no certificate.
        environment.tls_context(config)
    if config.client_cert:
        session.cert = (config.client_cert, config.client_key) if config.client_key else config.client_cert
    # A session cookie of an earlier answer must not stand in for the credentials.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = Adapter()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _failure(error: Exception, method: str) -> EspoTransportError:
    if isinstance(error, ContentDecodingError):
        return failures.undecodable(method)
    if isinstance(
        error, InvalidURL | InvalidSchema | MissingSchema | urllib3.exceptions.LocationValueError | UnicodeError
    ):
        return failures.no_address()
    never_connected = failures.find(error, urllib3.exceptions.NewConnectionError)
    if isinstance(error, ConnectTimeout) or (
        not never_connected and failures.find(error, urllib3.exceptions.ConnectTimeoutError)
    ):
        return failures.no_connection_in_time()
    if isinstance(error, ProxyError):
        return failures.no_proxy(error)
    if never_connected:
        return failures.no_connection(error)
    # A time-out in the middle of the answer is not a Timeout to requests.
    if isinstance(error, Timeout) or failures.find(error, TimeoutError, urllib3.exceptions.ReadTimeoutError):
        return failures.no_answer_in_time()
    return failures.broken(error)
