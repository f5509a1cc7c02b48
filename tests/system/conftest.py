"""Runs example DAGs in Airflow, against the sandbox or against a real server given by ``ESPO_CREDENTIALS``."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.sensors.base import EspoSensor

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox


@dataclass(frozen=True)
class Crm:
    """The EspoCRM that the DAGs work on.

    :param sandbox: what is behind it, unless it is a real server.
    """

    hook: EspoHook
    sandbox: Sandbox | None = None

    @property
    def is_real(self) -> bool:
        """Whether it is not the sandbox."""
        return self.sandbox is None


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's tables, made once for the test run."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """A sandbox with demo data, whose demo user answers new leads after a second; or the real server."""
    if given := os.environ.get("ESPO_CREDENTIALS"):
        credentials = json.loads(Path(given).read_text(encoding="utf-8"))
        monkeypatch.setenv("AIRFLOW_CONN_ESPO_DEFAULT", _connection(credentials))
        yield Crm(EspoHook())
        return
    from airflow_provider_espo.client.state import forget_shared_states
    from airflow_provider_espo.sandbox.server import SandboxServer

    with SandboxServer(demo_data=True, answer_after=1) as server:
        monkeypatch.setenv("AIRFLOW_CONN_ESPO_DEFAULT", _connection(server.credentials))
        with EspoHook() as hook:
            yield Crm(hook, server.sandbox)
    forget_shared_states()


@pytest.fixture
def run_dag(airflow_database: None, crm: Crm) -> Callable[..., Any]:
    """Run an example DAG to its end and return its DagRun.

    With ``patience``: seconds that its sensors wait, looking every second.
    """

    def run(dag_id: str, patience: float | None = None, **params: Any) -> Any:
        from airflow.utils.cli import get_bagged_dag

        dag = get_bagged_dag(bundle_names=None, dag_id=dag_id)
        for task in dag.tasks:
            # What fails here is meant to: nobody has to wait for the next try.
            task.retries = 0
            if patience is not None and isinstance(task, EspoSensor):
                task.timeout, task.poll_interval = patience, 1
        return dag.test(run_conf=params)

    return run


@pytest.fixture
def result_of() -> Callable[[Any, str], Any]:
    """Return what a task of a DagRun returned."""

    def pull(dag_run: Any, task_id: str) -> Any:
        task_instance = dag_run.get_task_instance(task_id)
        return task_instance.xcom_pull(task_ids=task_id)

    return pull


@pytest.fixture
def kept_of(caplog: pytest.LogCaptureFixture) -> Callable[[Any], list[str]]:
    """Return what Airflow keeps of a DagRun: results, rendered fields, and the log."""

    def read(dag_run: Any) -> list[str]:
        from airflow.models.renderedtifields import RenderedTaskInstanceFields
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        of_the_run = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}
        with create_session() as session:
            xcoms = [str(one.value) for one in session.query(XComModel).filter_by(**of_the_run)]
            rendered = session.query(RenderedTaskInstanceFields).filter_by(**of_the_run)
            return [*xcoms, *(str(one.rendered_fields) for one in rendered), caplog.text]

    return read


def _connection(credentials: dict[str, Any]) -> str:
    return json.dumps({"conn_type": "espo", "host": credentials["base_url"], "password": credentials["api_key"]})


def next_second() -> None:
    """Let the second pass: what changed in the one in which a run begins comes with the run after it."""
    now = time.time()
    time.sleep(math.floor(now) + 1.01 - now)
