"""The sandbox in place of the CRM of the unit tests: on the wire of both HTTP libraries, without a socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.http import Request
from tests.unit.airflows import TaskDeferred
from tests.unit.crm import Crm, Reply, Sent
from tests.unit.running import context_of, run_task
from tests.unit.sandbox.asking import Asker

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards is done."""


class SandboxCrm(Crm):
    """A CRM that answers as the sandbox does, but for what a test says with ``on``.

    Time stands still but for :meth:`pass_time`, which does the background jobs that are due.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._answers = defaultdict(list)
        self.now = NOW
        self.sandbox = Sandbox(clock=lambda: self.now, job_delay=2)
        self.credentials = ensure_fixture(self.sandbox.storage)
        self.asker = Asker(self.sandbox, self.credentials, {"X-Api-Key": self.credentials["api_key"]})
        #: Called before a request is carried out, and before its answer goes out.
        self.before: Callable[[Sent], object] = bool
        self.after: Callable[[Sent], object] = bool

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request."""
        parts = urlsplit(url)
        path = parts.path.partition("/api/v1/")[2]
        if (method, path) in self._answers:
            return super().answer(method, url, headers, body)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        lowered = {name.lower(): value for name, value in headers.items()}
        sent = Sent(method, path, query, lowered, body)
        self.sent.append(sent)
        self.before(sent)
        reply = self.sandbox.handle(Request(method, f"/{path}", parts.query, lowered, body))
        self.after(sent)
        content = reply.content if reply.file is None else reply.file.read_bytes()
        # As a web server adds it.
        told = {"Date": format_datetime(self.now, usegmt=True), "Content-Type": reply.content_type}
        return Reply(reply.status, content, {**told, **reply.headers})

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is to happen in it."""
        self.now += timedelta(seconds=seconds)
        self.sandbox.jobs.run_due()

    def kill_at(self, number: int, *, carried_out: bool) -> None:
        """Let the process that sends the request of this number die, before or after the CRM carried it out."""
        first = len(self.sent)

        def die(_sent: Sent) -> None:
            if len(self.sent) == first + number:
                raise Killed

        self.before, self.after = (bool, die) if carried_out else (die, bool)

    def live(self) -> None:
        """Let nobody die any more."""
        self.before = self.after = bool

    def posts(self, path: str) -> list[Any]:
        """Bodies of the requests that were to change something."""
        return [one.json for one in self.calls("POST", path)]

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let whoever waits, on a worker or in the triggerer, make the time pass."""
        real_sleep = asyncio.sleep

        async def sleep(seconds: float, result: Any = None) -> Any:
            self.pass_time(seconds)
            await real_sleep(0)
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", self.pass_time)
            patch.setattr(time, "time", lambda: self.now.timestamp())  # noqa: PLW0108 - now is another one each time
            patch.setattr(asyncio, "sleep", sleep)
            yield


def stored(value: Any) -> Any:
    """A value as it comes back out of Airflow's database."""
    return json.loads(json.dumps(value))


def run_deferrable(task: Any, **given: Any) -> Any:
    """Run a task, its trigger and its end, each as a process of its own.

    :return: the task's result.
    """
    try:
        return run_task(task, **given)
    except TaskDeferred as deferred:
        event = first_event(deferred)
        return resume(task, deferred, event, **given)


def first_event(deferred: TaskDeferred) -> Any:
    """Run a trigger, made anew of what Airflow stored, and return its event."""
    _path, arguments = deferred.trigger.serialize()
    trigger = type(deferred.trigger)(**stored(arguments))

    async def first() -> Any:
        return stored((await anext(trigger.run())).payload)

    return asyncio.run(first())


def resume(task: Any, deferred: TaskDeferred, event: Any, **given: Any) -> Any:
    """Go on with a task after its trigger's event."""
    context = context_of(task, **given)
    task.render_template_fields(context)
    return task.resume_execution(deferred.method_name, {**stored(deferred.kwargs or {}), "event": event}, context)
