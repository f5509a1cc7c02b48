"""Notifiers where something is the matter: a CRM that is down, and texts with secrets."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
from airflow.sdk import BaseNotifier

from airflow_provider_espo import compat
from airflow_provider_espo.exceptions import EspoError
from airflow_provider_espo.notifications.espo import EspoRecordNotifier, EspoStreamNotifier
from tests.unit.crm import API_KEY, Refused, Reply, TooLate
from tests.unit.notifications.test_espo import WAYS, Notify, posts, records
from tests.unit.notifications.test_happening import of_run, of_task
from tests.unit.sandbox_crm import SandboxCrm

#: Airflow's bound for one DAG file in the DAG processor, where callbacks of runs and of killed tasks are called.
FILE_TIMEOUT = 50.0

NOTIFIERS: list[Callable[[], BaseNotifier]] = [EspoRecordNotifier, lambda: EspoStreamNotifier(audience="self")]


@pytest.fixture
def granted(sandbox_crm: SandboxCrm) -> Iterator[list[float]]:
    """Seconds that each request was ready to wait, for the connection and for the answer."""
    seconds: list[float] = []
    send, handle = requests.Session.send, httpx.AsyncHTTPTransport.handle_async_request

    def noting(self: requests.Session, request: Any, **kwargs: Any) -> Any:
        seconds.append(sum(kwargs["timeout"]))
        return send(self, request, **kwargs)

    async def anoting(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions["timeout"]
        seconds.append(timeout["connect"] + timeout["read"])
        return await handle(self, request)

    # Undone before the CRM's own patch of the same method is.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", noting)
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", anoting)
        yield seconds


@WAYS
@pytest.mark.parametrize("make", NOTIFIERS)
@pytest.mark.parametrize("trouble", [TooLate, Refused, Reply(429, b"", {"Retry-After": "60"}), Reply(503)])
def test_a_crm_that_is_down_holds_nobody_up_for_long(
    sandbox_crm: SandboxCrm, granted: list[float], notify: Notify, make: Callable[[], BaseNotifier], trouble: Any
) -> None:
    for path in ("App/user", "Case"):
        sandbox_crm.on("GET", path, trouble)
    began = sandbox_crm.now
    with sandbox_crm.waiting(), pytest.raises(EspoError):
        notify(make(), of_task())
    assert granted
    assert sum(granted) + (sandbox_crm.now - began).total_seconds() < FILE_TIMEOUT


@WAYS
def test_what_the_log_says_of_a_crm_that_is_down_has_no_secret(
    sandbox_crm: SandboxCrm, notify: Notify, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox_crm.on("GET", "Case", Refused)
    with caplog.at_level(logging.DEBUG), sandbox_crm.waiting(), pytest.raises(EspoError) as caught:
        notify(EspoRecordNotifier(attributes={"name": "{{ exception }}"}), of_task())
    for value in ("somebody@example.com", API_KEY, sandbox_crm.credentials["api_key"]):
        assert value not in f"{caplog.text} {caught.value!r} {caught.value}"


@WAYS
def test_a_secret_that_airflow_knows_of_is_in_no_text(sandbox_crm: SandboxCrm, notify: Notify) -> None:
    compat.mask("pass-7f3e1a90")
    account = sandbox_crm.asker.create("Account", name="ACME")["id"]
    context = of_task(error=ValueError("no connection to postgresql://etl:pass-7f3e1a90@db"))
    attributes = {"name": "Failed: {{ exception }}", "description": "{{ exception }}"}
    notify(EspoRecordNotifier(attributes=attributes), dict(context))
    notify(EspoStreamNotifier(post="{{ exception }}", entity_type="Account", record_id=account), dict(context))
    (case,) = records(sandbox_crm)
    for text in (case["name"], case["description"], *posts(sandbox_crm, f"Account/{account}")):
        assert "no connection to postgresql://etl:***@db" in text


def test_a_dag_that_cannot_render_is_no_hindrance(sandbox_crm: SandboxCrm) -> None:
    # What dag.test() of Airflow 3.3 gives to the callback of a run.
    dag = SimpleNamespace(dag_id="sync", render_template_as_native_obj=False)
    EspoStreamNotifier(post="{{ dag_run.run_id }} failed", audience="self")({**of_run(), "dag": dag})
    (sent,) = sandbox_crm.posts("Note")
    assert sent["post"] == "manual__1 failed"


def test_that_a_task_began_or_was_tried_hides_no_failure(sandbox_crm: SandboxCrm) -> None:
    notifier = EspoRecordNotifier()
    for context in (of_task(error=None, state="running"), of_task(state="up_for_retry"), of_task()):
        notifier(context)
    names = sorted(case["name"] for case in records(sandbox_crm))
    assert names == ["Airflow: sync.load failed and will be tried again", "Airflow: sync.load started"]


_IMPORTS = """
import asyncio, sys, threading
from airflow_provider_espo.exceptions import EspoConnectionError
from airflow_provider_espo.notifications.espo import EspoRecordNotifier, EspoStreamNotifier

LARGE = ("airflow_provider_espo.client.aio", "airflow_provider_espo.client.operations", "httpx", "msgspec")

class Watching:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(LARGE) and threading.current_thread() is loops:
            print("on the loop:", name)

async def main():
    global loops
    loops = threading.current_thread()
    import airflow_provider_espo.hooks.espo
    sys.meta_path.insert(0, Watching())
    for notifier in (EspoRecordNotifier(), EspoStreamNotifier(audience="self")):
        try:
            await notifier
        except EspoConnectionError:
            print("asked")

asyncio.run(main())
"""


def test_on_an_event_loop_nothing_large_is_imported() -> None:
    connection = {"conn_type": "espo", "host": "http://127.0.0.1:1", "password": API_KEY, "extra": {"max_retries": 0}}
    environment = {**os.environ, "AIRFLOW_CONN_ESPO_DEFAULT": json.dumps(connection)}
    result = subprocess.run(
        [sys.executable, "-c", _IMPORTS], env=environment, capture_output=True, text=True, check=True
    )
    said = [line for line in result.stdout.splitlines() if line.startswith(("asked", "on the loop"))]
    assert said == ["asked", "asked"]
