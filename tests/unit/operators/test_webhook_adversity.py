"""Runs that register the same webhook at once leave one, whichever requests meet; Airflow falters, others interfere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from airflow.sdk import Variable

from airflow_provider_espo.exceptions import EspoError
from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator
from airflow_provider_espo.sandbox.http import Reply, Request
from airflow_provider_espo.sandbox.server import SandboxServer
from airflow_provider_espo.sandbox.settings import Settings
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import Sent
from tests.unit.running import run_task
from tests.unit.sandbox.asking import Asker
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.variables import variables_in

URL = "http://127.0.0.1:18098/airflow"
#: Registering sends five requests, and more if others are at it.
MOST = 9
PATIENCE = 20


class Run:
    """A run that stops at one of its requests until it is let go.

    :param name: its connection, whose requests tell it by a header.
    :param at: number of the request, from 1.
    :param answered: whether the CRM has carried the request out by then.
    """

    def __init__(self, name: str, at: int, *, answered: bool) -> None:
        self._name, self._at, self._answered = name, at, answered
        self._passed = 0
        self._stopped, self._go_on = threading.Event(), threading.Event()

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Begin to register, and return when it stopped or is through."""

        def register() -> Any:
            task = EspoRegisterWebhookOperator(
                task_id="register", event="Lead.create", url=URL, espo_conn_id=self._name
            )
            try:
                return run_task(task)
            finally:
                self._stopped.set()

        self._result = pool.submit(register)
        assert self._stopped.wait(PATIENCE)

    def end(self) -> Any:
        """Let it go on to its end, and return its result."""
        self._go_on.set()
        return self._result.result(PATIENCE)

    def before(self) -> None:
        self._passed += 1
        if not self._answered:
            self._stop()

    def after(self) -> None:
        if self._answered:
            self._stop()

    def _stop(self) -> None:
        if self._passed == self._at:
            self._stopped.set()
            assert self._go_on.wait(PATIENCE)


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    kept: dict[str, str] = {}
    with variables_in(kept):
        yield kept


@pytest.fixture
def runs() -> dict[str, Run]:
    """Those that are told of their requests, by their names."""
    return {}


@pytest.fixture
def crm(runs: dict[str, Run], connect: ConnectionSetter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    with SandboxServer(settings=Settings(webhooks_internal=True)) as server:
        handle, key = server.sandbox.handle, server.credentials["api_key"]

        def stopping(request: Request) -> Reply:
            run = runs[str(request.header("x-run"))]
            run.before()
            reply = handle(request)
            run.after()
            return reply

        for name in ("first", "second"):
            connect(name, host=server.url, password=key, extra={"headers": {"X-Run": name}})
        crm = Asker(server.sandbox, server.credentials, {"X-Api-Key": key})
        monkeypatch.setattr(server.sandbox, "handle", stopping)
        yield crm


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("first_at", range(1, MOST))
def test_of_two_runs_at_once_one_webhook_is_left_and_its_key_is_kept(
    crm: Asker, runs: dict[str, Run], variables: dict[str, str], first_at: int, answered: bool
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for second_at in range(1, MOST):
            first = runs["first"] = Run("first", first_at, answered=answered)
            second = runs["second"] = Run("second", second_at, answered=answered)
            first.begin(pool)
            second.begin(pool)
            first.end()
            last = second.end()

            [webhook] = crm.sandbox.storage.rows('SELECT * FROM "Webhook" WHERE deleted = 0')
            assert webhook["isActive"]
            assert last["id"] == webhook["id"]
            [(name, kept)] = variables.items()
            assert name == last["secret_variable"]
            assert json.loads(kept)["secret"] == webhook["secretKey"]
            crm.sandbox.storage.execute('UPDATE "Webhook" SET deleted = 1')
            variables.clear()


def test_a_key_that_airflow_does_not_tell_for_a_moment_is_not_taken_for_lost(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    task = EspoRegisterWebhookOperator(task_id="register", event="Lead.create", url=URL)
    first, told, get = run_task(task), [], Variable.get

    # A task is told that there is no such Variable, too, where Airflow's API server fails.
    def failing_once(key: str, default: Any = None) -> Any:
        told.append(key)
        return get(key, default=default) if len(told) > 1 else default

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variable, "get", failing_once)
        assert run_task(task) == {**first, "action": "unchanged"}


def test_where_others_remove_it_again_and_again_it_says_so_and_keeps_no_key(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    def remove(sent: Sent) -> None:
        if sent.method == "PUT":
            sandbox_crm.asker.ok("DELETE", sent.path)

    sandbox_crm.before = remove
    with pytest.raises(EspoError, match=r"remove the webhook for Lead\.create at the same time"):
        run_task(EspoRegisterWebhookOperator(task_id="register", event="Lead.create", url=URL))
    assert variables == {}
