"""Runs a sandbox in this process, on a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.asgi import asgi_app
from airflow_provider_espo.sandbox.demo_user import DemoUser
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.jobs import DEFAULT_DELAY
from airflow_provider_espo.sandbox.pace import Pace
from airflow_provider_espo.sandbox.protocol import protocol_class
from airflow_provider_espo.sandbox.storage import utc_now
from airflow_provider_espo.sandbox.throttle import LoginThrottle
from airflow_provider_espo.sandbox.webhooks import DEFAULT_DELAY as WEBHOOK_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from types import TracebackType

    from airflow_provider_espo.sandbox.costs import Costs
    from airflow_provider_espo.sandbox.faults import Fault
    from airflow_provider_espo.sandbox.request_log import RequestLog
    from airflow_provider_espo.sandbox.settings import Settings

START_TIMEOUT = 20.0


class SandboxServer:
    """A sandbox that listens, started and stopped by this process; a context manager.

    :param host: address to listen on
    :param port: port to listen on; 0 for any free one
    :param database: SQLite file, or ``:memory:``
    :param throttle: whether too many failed logins block an address for a while
    :param demo_data: whether to fill in a small CRM, and let a demo user answer new leads
    :param answer_after: seconds after which the demo user answers a lead
    :param settings: settings of the CRM
    :param clock: gives the CRM's time
    :param job_delay: seconds until a background job is done; half of them it is Pending, then Running
    :param webhook_delay: seconds between a change and its delivery to webhooks, and between two deliveries
    :param latency: seconds before every answer
    :param costs: model of what requests cost, see :mod:`airflow_provider_espo.sandbox.costs`; none by default
    :param faults: what is to go wrong; more may be added to ``sandbox.faults`` while it runs
    :param request_log: where requests are written down, closed in the end; nowhere by default
    :raises OSError: if the port is in use
    :raises StorageError: if the database cannot be used
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        database: str = ":memory:",
        throttle: bool = True,
        demo_data: bool = False,
        answer_after: float = 4,
        settings: Settings | None = None,
        clock: Callable[[], datetime] = utc_now,
        job_delay: float = DEFAULT_DELAY,
        webhook_delay: float = WEBHOOK_DELAY,
        latency: float = 0.0,
        costs: Costs | None = None,
        faults: Iterable[Fault] = (),
        request_log: RequestLog | None = None,
    ) -> None:
        self._request_log = request_log
        self._socket = bound_socket(host, port)
        try:
            self.sandbox = Sandbox(
                database,
                settings=settings,
                throttle=LoginThrottle(enabled=throttle),
                clock=clock,
                job_delay=job_delay,
                webhook_delay=webhook_delay,
            )
            pace = Pace(latency, costs)
            self.sandbox.jobs.lasting = pace.wait_after_job
            for fault in faults:
                self.sandbox.faults.add(fault)
            self._credentials = ensure_fixture(self.sandbox.storage)
            self._demo_user: DemoUser | None = None
            if demo_data:
                from airflow_provider_espo.sandbox.demo import ensure_demo_data

                ensure_demo_data(self.sandbox, self._credentials["variables"])
                self._demo_user = DemoUser(self.sandbox, answer_after)
        except BaseException:
            self._socket.close()
            raise
        config = uvicorn.Config(
            asgi_app(self.sandbox, pace, lambda: self._server.should_exit, self._request_log),
            http=protocol_class(),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the site, without ``/api/v1``."""
        host, port = self._socket.getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    @property
    def credentials(self) -> dict[str, Any]:
        """Keys, passwords and ids of the users, and the address."""
        return {**self._credentials, "base_url": self.url}

    def add_field(self, entity_type: str, name: str, spec: str) -> None:
        """Add a custom field while the server runs.

        :param spec: a field line as in the data files, e.g. ``"varchar 100 required"``
        :raises DefinitionError: if it makes no sense
        """
        self.sandbox.add_field(entity_type, name, spec)

    def fill(self, entity_type: str, count: int) -> None:
        """Add synthetic records, fast.

        :raises ValueError: for a type that cannot be filled
        """
        from airflow_provider_espo.sandbox.fill import fill

        fill(self.sandbox.storage, entity_type, count)

    def _start_helpers(self) -> None:
        self.sandbox.start_helpers()
        if self._demo_user is not None:
            self._demo_user.start()

    def start(self) -> Self:
        """Start to listen; returns as soon as requests are answered.

        :raises RuntimeError: if the server does not come up
        """
        self._start_helpers()
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="espo-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.005)
        return self

    def run(self) -> None:
        """Serve in this thread until interrupted."""
        self._start_helpers()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop listening and close the database. Does nothing if it was stopped already."""
        if self._demo_user is not None:
            self._demo_user.stop()
        self.sandbox.stop_helpers()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(START_TIMEOUT)
            self._thread = None
        self._socket.close()
        self.sandbox.close()
        if self._request_log is not None:
            self._request_log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address: its port is known and taken before anything else starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(2048)
    except BaseException:
        bound.close()
        raise
    return bound
