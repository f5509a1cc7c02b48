"""The blocking transport, over ``requests``."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy
from itertools import islice
from typing import TYPE_CHECKING, Self, TypeVar

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import (
    ConnectTimeout,
    InvalidProxyURL,
    InvalidURL,
    ProxyError,
    RequestException,
    SSLError,
    Timeout,
)

from airflow_provider_espo.client import failures
from airflow_provider_espo.client.errors import EspoError, EspoTransportError
from airflow_provider_espo.client.exchange import Outcome, Send, Wait, perform, perform_stream
from airflow_provider_espo.client.methods import BlockingMethods
from airflow_provider_espo.client.operations.system import log_out
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.wire import Emit, Operation, Response, Stream

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig

T = TypeVar("T")

# Raised before a byte of the request left this machine.
_NEVER_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class EspoClient(BlockingMethods):
    """Talks to EspoCRM and waits for the answers. May be used from several threads.

    :param config: where and as whom.
    :param state: what to share with other clients of the connection; its own by default.
    """

    def __init__(self, config: ClientConfig, state: ClientState | None = None) -> None:
        self.state = state or new_state(config)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation and return its result."""
        steps = perform(operation, self.state)
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as stop:
                result: T = stop.value
                return result
            outcome = self._do(step)

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

    def run_many(self, operations: Iterable[Operation[T]], max_workers: int | None = None) -> Iterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param operations: taken from as places get free, so that a long input is not held in memory.
        :param max_workers: how many at a time; by default the connection's ``max_workers``.
        """
        workers = max_workers or self.state.config.max_workers
        source = iter(operations)
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="espo") as pool:
            window: deque[Future[T | EspoError]] = deque(pool.submit(self._try, op) for op in islice(source, 2 * workers))
            try:
                while window:
                    result = window.popleft().result()
                    window.extend(pool.submit(self._try, op) for op in islice(source, 1))
                    yield result
            finally:
                for future in window:
                    future.cancel()

    def close(self) -> None:
        """Log out, if this connection logs in, and close all sockets."""
        if self.state.token.token is not None:
            self.run(log_out(self.state))
        with self._lock:
            sessions, self._sessions = self._sessions, []
            self._local = threading.local()
        for session in sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, operation: Operation[T]) -> T | EspoError:
        try:
            return self.run(operation)
        except EspoError as error:
            return error

    def _do(self, step: Send | Wait) -> Outcome | None:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        return self._send(step)

    def _send(self, step: Send) -> Outcome:
        config = self.state.config
        try:
            answer = self._session().request(
                step.method,
                step.url,
                headers=step.headers,
                data=step.body,
                timeout=(config.connect_timeout, config.timeout),
                allow_redirects=False,
            )
        except RequestException as error:
            return _failure(error)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = new_session(self.state.config)
            with self._lock:
                self._sessions.append(session)
        return session


def new_session(config: ClientConfig) -> requests.Session:
    """Return a session with the connection's TLS and proxy settings."""
    session = requests.Session()
    # A no-op, because without one requests would add a Basic header from ~/.netrc beside our own.
    session.auth = lambda prepared: prepared
    session.verify = config.ca_file or config.verify
    if config.client_cert:
        session.cert = (config.client_cert, config.client_key) if config.client_key else config.client_cert
    if config.proxies:
        session.proxies.update(config.proxies)
    if config.ca_file or not config.verify:
        # requests lets REQUESTS_CA_BUNDLE win over session.verify; what the connection says must win.
        session.trust_env = False
        if not config.proxies:
            session.proxies.update(requests.utils.get_environ_proxies(config.site_url))
    # A session cookie of an earlier answer must not stand in for the credentials.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _failure(error: RequestException) -> EspoTransportError:
    if isinstance(error, SSLError):
        return failures.untrusted(error)
    if isinstance(error, ConnectTimeout):
        return failures.no_connection_in_time()
    if isinstance(error, Timeout):
        return failures.no_answer_in_time()
    if isinstance(error, ProxyError):
        return failures.no_connection(error, "The proxy could not be reached or refused")
    if isinstance(error, InvalidURL | InvalidProxyURL):
        return failures.no_connection(error, "The address cannot be used")
    inner = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, RequestsConnectionError) and isinstance(inner, _NEVER_SENT):
        return failures.no_connection(error)
    return failures.broken(error)
