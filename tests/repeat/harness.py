"""Let a task die at a request, try it again, and look what is there afterwards."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import requests
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_espo.client.state import forget_shared_states
from tests.unit.running import Store, TaskInstance, context_of
from tests.unit.sandbox_crm import first_event
from tests.unit.sandbox_crm import stored as stored_json
from tests.unit.variables import variables_in

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from tests.repeat.crm import Crm

#: Retries that a task has here: it may be killed twice.
RETRIES = 2

#: File of a run with its Variables.
VARIABLES = "variables.json"

Send: TypeAlias = Callable[[requests.PreparedRequest], requests.Response]


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards is done."""


def raise_killed() -> None:
    """Die within this process."""
    raise Killed


@dataclass(frozen=True)
class Run:
    """One task instance, on records of its own.

    :param tag: word that the names of all its records hold.
    :param folder: folder of its files.
    :param made: what was made for it before.
    """

    tag: str
    folder: Path
    made: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A task that is killed.

    :param name: what it does.
    :param operator: its operator.
    :param arguments: the operator's arguments.
    :param key: how a later try knows what an earlier one did; for the table.
    :param prepare: makes what the task works on.
    :param look: looks at more than the records whose names hold the tag; is given the task's result, ``None`` before.
    :param repeatable: whether every retry ends where one clean run does.
    :param promise: what the operator's text says where it is not.
    :param through: stands between the task and the CRM, for one run.
    :param waits: whether it looks at a job until that is done, so that the number of its requests varies.
    :param changes: whether it changes anything that can be seen.
    """

    name: str
    operator: type[BaseOperator]
    arguments: Callable[[Run], dict[str, Any]]
    key: str
    prepare: Callable[[Crm, Run], dict[str, Any]] = lambda _crm, _run: {}
    look: Callable[[Crm, Run, Any], Any] = lambda _crm, _run, _result: None
    repeatable: bool = True
    promise: str = ""
    through: Callable[[], Callable[[Send], Send]] | None = None
    waits: bool = False
    changes: bool = True

    @property
    def title(self) -> str:
        """Operator and what it does."""
        return f"{self.operator.__name__.removeprefix('Espo').removesuffix('Operator')}: {self.name}"


class Wire:
    """The requests of one try, and the end of it.

    :param at: number of the request at which it dies, from 1.
    :param answered: whether the CRM answers that request before.
    :param die: how it dies.
    """

    def __init__(self, at: int | None = None, *, answered: bool = False, die: Callable[[], None] = raise_killed):
        self.sent: list[str] = []
        self.dead = False
        self._at = at
        self._answered = answered
        self._die = die
        self._lock = threading.Lock()

    def send(self, send: Send, request: requests.PreparedRequest) -> requests.Response:
        """Send a request, or die."""
        with self._lock:
            if self.dead:
                # Other threads, and what is cleaned up on the way out: a dead process does none of it.
                raise Killed
            self.sent.append(f"{request.method} {urlsplit(request.url or '').path}")
            last = len(self.sent) == self._at
            if last and not self._answered:
                self._end()
        answer = send(request)
        if last or self.dead:
            answer.close()
            self._end()
        return answer

    def _end(self) -> None:
        self.dead = True
        self._die()


@contextmanager
def on_the_wire(wire: Wire, scenario: Scenario | None = None) -> Iterator[None]:
    """Have every request of :mod:`requests` go through a wire."""
    library_send = requests.Session.send

    def send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        def to_crm(outgoing: requests.PreparedRequest) -> requests.Response:
            return library_send(session, outgoing, **options)

        return wire.send(to_crm if between is None else between(to_crm), request)

    between = None if scenario is None or scenario.through is None else scenario.through()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", send)
        yield


class FileStore(Store):
    """Airflow's task state store: values are JSON, outlive the process, and are stored at once or never.

    :param path: where they are kept.
    :param wire: the try that stores; a dead one stores nothing any more.
    """

    def __init__(self, path: Path, wire: Wire) -> None:
        super().__init__(json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
        self._path = path
        self._wire = wire

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        """Store a value."""
        assert value is not None, "Airflow stores no None"
        self[key] = json.loads(json.dumps(value, allow_nan=False))
        self._write()

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.pop(key, None)
        self._write()

    def _write(self) -> None:
        if not self._wire.dead:
            self._path.write_text(json.dumps(self), encoding="utf-8")


class FileVariables(dict[str, str]):
    """Airflow's Variables of one task instance: they outlive the process.

    :param path: where they are kept.
    :param wire: the try that stores; a dead one stores nothing any more.
    """

    def __init__(self, path: Path, wire: Wire) -> None:
        super().__init__(json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
        self._path = path
        self._wire = wire

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        self._write()

    def pop(self, key: str, *default: Any) -> Any:
        """Forget a value."""
        value = super().pop(key, *default)
        self._write()
        return value

    def _write(self) -> None:
        if not self._wire.dead:
            self._path.write_text(json.dumps(self), encoding="utf-8")


def one_try(scenario: Scenario, run: Run, number: int, wire: Wire, *, stored: bool = True) -> Any:
    """Run a try of a task as a process of its own does, which knows nothing of the one before.

    :param number: 1 for the first try.
    :param stored: whether there is a task state store (Airflow 3.3 and later).
    :return: the task's result.
    """
    forget_shared_states()
    store = FileStore(run.folder / "store.json", wire) if stored else None
    context: dict[str, Any] = {"ti": TaskInstance(try_number=number, max_tries=RETRIES), "store": store}
    task, given = _rendered(scenario, run, context)
    try:
        with variables_in(FileVariables(run.folder / VARIABLES, wire)):
            return _carry_out(task.execute, scenario, wire, given)
    except TaskDeferred as deferred:
        event = first_event(deferred)
        # Another worker goes on, with what Airflow stored.
        forget_shared_states()
        task, given = _rendered(scenario, run, context)
        kwargs = {**stored_json(deferred.kwargs or {}), "event": event}
        return _carry_out(partial(task.resume_execution, deferred.method_name, kwargs), scenario, wire, given)


def _rendered(scenario: Scenario, run: Run, context: Mapping[str, Any]) -> tuple[BaseOperator, Any]:
    task = copy.deepcopy(scenario.operator(task_id="task", retries=RETRIES, **scenario.arguments(run)))
    given = context_of(task, **context)
    given["dag_run"] = SimpleNamespace(start_date=datetime.fromisoformat(run.made["began"]))
    task.render_template_fields(given)
    return task, given


def _carry_out(work: Callable[[Any], Any], scenario: Scenario, wire: Wire, given: Any) -> Any:
    token = ExecutorSafeguard.tracker.set(given["task"])
    try:
        with on_the_wire(wire, scenario):
            return work(given)
    finally:
        ExecutorSafeguard.tracker.reset(token)


class Stage:
    """Where scenarios are played: a CRM and a folder.

    :param crm: the CRM.
    :param folder: for files.
    """

    def __init__(self, crm: Crm, folder: Path) -> None:
        self.crm = crm
        self._folder = folder
        self._number = 0

    def prepared(self, scenario: Scenario) -> Run:
        """Make what a task works on, under a new tag."""
        self._number += 1
        tag = f"tag{self._number:05d}"
        run = Run(tag, self._folder / tag)
        run.folder.mkdir()
        run.made.update(scenario.prepare(self.crm, run))
        # All tries belong to a DAG run that began once.
        run.made["began"] = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        return run

    def clean(self, scenario: Scenario, *, stored: bool = True) -> tuple[Any, list[str]]:
        """Run a task once; return what is there afterwards, and its requests."""
        run, wire = self.prepared(scenario), Wire()
        before = self.seen(scenario, run, None)
        after = self.seen(scenario, run, one_try(scenario, run, 1, wire, stored=stored))
        # Otherwise nothing that goes wrong would be seen either.
        assert (before != after) == scenario.changes
        return after, wire.sent

    def killed(self, scenario: Scenario, *deaths: Wire, stored: bool = True) -> Any:
        """Run a task whose tries die and then one that lives; return what is there afterwards.

        Where a try lives because it needs fewer requests than expected, it is the last one.
        """
        run = self.prepared(scenario)
        number = 0
        for number, wire in enumerate(deaths, start=1):
            try:
                return self.seen(scenario, run, one_try(scenario, run, number, wire, stored=stored))
            except Killed:
                continue
        return self.seen(scenario, run, one_try(scenario, run, number + 1, Wire(), stored=stored))

    def seen(self, scenario: Scenario, run: Run, result: Any) -> Any:
        """What is there, by names, without times and ids."""
        more: Mapping[str, Any] = {"more": scenario.look(self.crm, run, result)}
        return self.crm.snapshot(run.tag, more)
