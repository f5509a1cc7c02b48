"""Tries in processes of their own, which end by ``SIGKILL``: at a point of their life, or at any call of a function.

To start Airflow takes a second. So one helper process has all imported and waits; for each try it forks, and what it
forks runs the task. Run as ``python -m tests.kill.processes FOLDER``; orders and answers are lines of JSON.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import pickle
import pkgutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

import requests
from airflow.sdk import BaseOperator

from airflow_provider_espo import client, operators, transfers
from tests.kill.lives import Life
from tests.kill.world import World


@dataclass(frozen=True, kw_only=True)
class Order:
    """A try.

    :param task: the operator, pickled, in Base64.
    :param folder: of the world.
    :param stores: whether the world's Airflow has state stores.
    :param connections: Airflow connections, as variables of the environment.
    :param number: of the try.
    :param ti: more that the task instance has.
    :param at_point: number of the point at which the process is killed.
    :param at_call: number of the call of a Python function at which it is killed; 0 to count them only.
    """

    task: str
    folder: str
    stores: bool
    connections: Mapping[str, str]
    number: int
    run_id: str
    ti: Mapping[str, Any]
    at_point: int | None = None
    at_call: int | None = None


def pickled(task: BaseOperator) -> str:
    """Return an operator as text."""
    return base64.b64encode(pickle.dumps(task)).decode()


@dataclass(frozen=True)
class Ended:
    """What became of a try.

    :param signal: that ended the process.
    :param result: of the task.
    :param points: how many points it passed.
    :param calls: how many calls of functions there were.
    """

    signal: int | None = None
    result: Any = None
    points: int = 0
    calls: int = 0


class Processes:
    """The helper, seen from the test.

    :param folder: folder for what tries leave behind.
    """

    def __init__(self, folder: Path) -> None:
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.processes", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._orders: IO[str] = self._helper.stdin
        self._answers: IO[str] = self._helper.stdout

    def one_try(self, order: Order) -> Ended:
        """Run a try in a process."""
        self._orders.write(json.dumps(asdict(order)) + "\n")
        self._orders.flush()
        line = self._answers.readline()
        assert line, "the helper has ended: the task failed"
        return Ended(**json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        self._helper.wait(30)
        self._answers.close()


class _Calls:
    """Counts calls of functions, on all threads that begin from now on, and on this one."""

    def __init__(self, at: int | None) -> None:
        self.count = 0
        self._at = at

    def watch(self) -> None:
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)

    def _on_event(self, _frame: object, event: str, _argument: object) -> None:
        if event != "call":
            return
        self.count += 1
        if self.count == self._at:
            kill_this_process()


def kill_this_process() -> None:
    """End at once, with nothing cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def serve(folder: Path) -> None:
    """Fork for each order, wait, and answer."""
    _import_all()
    said = folder / "said.json"
    for line in sys.stdin:
        said.write_text("{}", encoding="utf-8")
        child = os.fork()
        if not child:
            _play(Order(**json.loads(line)), said)
        _, status = os.waitpid(child, 0)
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if ended_by is None:
            assert os.waitstatus_to_exitcode(status) == 0, "the task failed"
        print(json.dumps({"signal": ended_by, **json.loads(said.read_text(encoding="utf-8"))}), flush=True)


def _import_all() -> None:
    """Import what tasks import when they run, once for all of them."""
    for package in (client, operators, transfers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("pyarrow.parquet")
    importlib.import_module("airflow.providers.sqlite.hooks.sqlite")


def _watch_requests(life: Life) -> None:
    """Make every request of this process two points."""
    library_send = requests.Session.send

    def send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        life.point(f"{request.method} {request.path_url.partition('?')[0]} >")
        answer = library_send(session, request, **options)
        life.point(f"{request.method} {request.path_url.partition('?')[0]} <")
        return answer

    requests.Session.send = send  # type: ignore[method-assign,assignment]


def _play(order: Order, said: Path) -> None:
    code = 1
    try:
        # Where the answers go, nothing else may be written.
        os.dup2(2, 1)
        os.environ.update(order.connections)
        world = World(Path(order.folder), stores=order.stores)
        life = Life(order.at_point, folders=world.folders, die=kill_this_process)
        task = pickle.loads(base64.b64decode(order.task))
        _watch_requests(life)
        calls = _Calls(order.at_call)
        if order.at_call is not None:
            calls.watch()
        result = world.life(task, life, run_id=order.run_id, number=order.number, **order.ti)
        sys.setprofile(None)
        found = {"result": result, "points": len(life.passed), "calls": calls.count}
        said.write_text(json.dumps(found), encoding="utf-8")
        code = 0
    except BaseException as error:
        print(f"{order.run_id}: {error!r}", file=sys.stderr, flush=True)
    os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
