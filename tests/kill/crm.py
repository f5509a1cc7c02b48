"""The sandbox as the CRM of a life: every request is two points, and meanwhile other people change records."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from airflow_provider_espo.sandbox import http
from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.http import Request
from airflow_provider_espo.sandbox.server import SandboxServer
from tests.kill.lives import Life
from tests.unit.crm import Reply, Sent, answering
from tests.unit.sandbox.asking import Asker
from tests.unit.sandbox_crm import SandboxCrm

FORMAT = "%Y-%m-%d %H:%M:%S"
ENTITY_TYPE = "Lead"
_STATUSES = ("New", "Assigned", "In Process")


class People:
    """Other people, who work in the CRM past everything that is being tested."""

    sandbox: Sandbox
    #: How far the CRM's clock is ahead of ours.
    ahead: timedelta
    _numbers = 0

    @property
    def now(self) -> datetime:
        """The CRM's time."""
        return datetime.now(UTC) + self.ahead

    @now.setter
    def now(self, value: datetime) -> None:
        """It goes on by itself."""

    @property
    def date(self) -> str:
        """The CRM's time as web servers tell it."""
        return format_datetime(self.now.replace(microsecond=0), usegmt=True)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(seconds=seconds)
        self.sandbox.jobs.run_due()

    def add(self, count: int, *, moments: Sequence[str] = ()) -> list[str]:
        """Create records.

        :param moments: when each was created and changed; now by default.
        """
        ids = []
        with self.sandbox.storage.transaction():
            for number in range(count):
                self._numbers += 1
                moment = moments[number] if moments else self.now.strftime(FORMAT)
                record_id = self.sandbox.storage.new_id()
                values = {"id": record_id, "deleted": 0, "firstName": "Zoë", "lastName": f'L"{self._numbers},\n'}
                values |= {"createdAt": moment, "modifiedAt": moment, "status": _STATUSES[self._numbers % 3]}
                self.sandbox.storage.insert(ENTITY_TYPE, values)
                ids.append(record_id)
        return ids

    def change(self, record_id: str, *, moment: str | None = None) -> None:
        """Change a record.

        :param moment: what its time of change becomes; now by default. An earlier one is a transaction that was
            committed late.
        """
        self._numbers += 1
        values = {"modifiedAt": moment or self.now.strftime(FORMAT), "accountName": f"Company {self._numbers}"}
        self.sandbox.storage.update(ENTITY_TYPE, record_id, values)

    def remove(self, record_id: str) -> None:
        """Delete a record, as EspoCRM does it: the row stays, and its time of change."""
        self.sandbox.storage.update(ENTITY_TYPE, record_id, {"deleted": 1})

    def rows(self, columns: Iterable[str] = ("modifiedAt", "lastName", "accountName")) -> dict[str, dict[str, Any]]:
        """Return all records that are there, by id."""
        names = ", ".join(f'"{name}"' for name in ("id", *columns))
        found = self.sandbox.storage.rows(f'SELECT {names} FROM "{ENTITY_TYPE}" WHERE deleted = 0')
        return {row["id"]: row for row in found}

    def unrest(self, chance: random.Random, *, late: float = 0) -> str:
        """Let somebody do something.

        :param late: how many seconds late a transaction may be committed.
        :return: what it was.
        """
        there = self.rows(("modifiedAt",))
        what = chance.choice(("add", "change", "change", "remove"))
        earliest = (self.now - timedelta(seconds=late)).strftime(FORMAT)
        moment = (self.now - timedelta(seconds=chance.uniform(0, late))).strftime(FORMAT)
        if what == "add" or not there:
            self.add(1, moments=[moment])
            return "add"
        chosen = chance.choice(sorted(there))
        if what == "remove":
            self.remove(chosen)
            return what
        # Two changes may have the same second, and the later one be committed long after the other.
        last = there[chosen]["modifiedAt"]
        self.change(chosen, moment=last if late and earliest <= last and chance.random() < 0.5 else moment)
        return what


class LivingCrm(People, SandboxCrm):
    """A CRM in this process whose answers are points of the task's life."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        super().__init__()
        self.life = Life()
        self._one_at_a_time = threading.RLock()
        self.before = self._arrives
        self.after = self._goes_out

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer to tasks of this process."""
        with answering(self):
            try:
                yield
            finally:
                self.sandbox.close()

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request."""
        date = self.date
        with self._one_at_a_time:
            reply = super().answer(method, url, headers, body)
        return Reply(reply.status, reply.body, {"Date": date, **reply.headers})

    def _arrives(self, sent: Sent) -> None:
        self.life.point(f"{sent.method} {sent.path} >")

    def _goes_out(self, sent: Sent) -> None:
        self.life.point(f"{sent.method} {sent.path} <")


class ServedCrm(People):
    """A CRM in this process that answers to others, on a port of its own."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._server = SandboxServer(clock=lambda: self.now, job_delay=0)
        # The CRM's time is not ours.
        self._server._server.config.date_header = False
        self.sandbox = self._server.sandbox
        self.credentials = self._server.credentials
        self.asker = Asker(self.sandbox, self.credentials, {"X-Api-Key": self.credentials["api_key"]})
        self.url = self._server.url
        #: Called at every request.
        self.meanwhile: Callable[[], object] = bool
        self._handle = self.sandbox.handle
        self._idle = threading.Condition()
        self._busy = 0
        self.sandbox.handle = self._answer  # type: ignore[method-assign]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer to tasks of other processes."""
        with self._server:
            yield

    def waiting(self) -> AbstractContextManager[None]:
        """Background jobs are done at once: nobody waits."""
        return nullcontext()

    def rest(self) -> None:
        """Wait until everything is done that a process had sent before it ended."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy)

    def _answer(self, request: Request) -> http.Reply:
        with self._idle:
            self._busy += 1
        try:
            self.meanwhile()
            date = self.date
            reply = self._handle(request)
            reply.headers["Date"] = date
            return reply
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()
