"""A worker that died over its callback, and the DAG processor that runs it again, speak of the same failure."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from airflow.callbacks.callback_requests import TaskCallbackRequest
from airflow.dag_processing import processor
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_espo.notifications.espo import EspoRecordNotifier
from tests.unit.sandbox_crm import SandboxCrm

datamodels: Any = pytest.importorskip("airflow.api_fastapi.execution_api.datamodels.taskinstance")

STARTED = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class Bag:
    """DAGs as the DAG processor has them."""

    def __init__(self, dag: DAG) -> None:
        self.dags = {dag.dag_id: dag}


def server_context(max_tries: int) -> Any:
    """What the scheduler tells of a task instance, to workers and to the DAG processor alike."""
    run = datamodels.DagRun.model_construct(
        dag_id="sync",
        run_id="manual__1",
        start_date=STARTED,
        run_after=STARTED,
        logical_date=None,
        data_interval_start=None,
        data_interval_end=None,
        run_type="manual",
        state="running",
        conf={},
        consumed_asset_events=[],
        partition_key=None,
        partition_date=None,
    )
    return datamodels.TIRunContext.model_construct(dag_run=run, max_tries=max_tries, task_reschedule_count=0)


@pytest.fixture
def dag() -> DAG:
    with DAG("sync", schedule=None, start_date=STARTED) as dag:
        BaseOperator(task_id="load", retries=2, on_failure_callback=EspoRecordNotifier())
    return dag


def instance(try_number: int) -> Any:
    return datamodels.TaskInstance(
        id=uuid4(),
        task_id="load",
        dag_id="sync",
        run_id="manual__1",
        try_number=try_number,
        map_index=-1,
        dag_version_id=uuid4(),
        hostname="worker",
        context_carrier={},
    )


def on_a_worker(dag: DAG, max_tries: int) -> None:
    """Run the callback where the task failed."""
    task: Any = dag.get_task("load")
    ti = RuntimeTaskInstance.model_construct(
        **instance(3).model_dump(exclude_unset=True),
        task=task,
        _ti_context_from_server=server_context(max_tries),
        max_tries=max_tries,
    )
    context: dict[str, Any] = dict(ti.get_template_context())
    (callback,) = task.on_failure_callback
    callback({**context, "exception": ValueError("disk full")})


def in_the_dag_processor(dag: DAG, max_tries: int) -> None:
    """Run it as Airflow does when the worker is gone."""
    request = TaskCallbackRequest(
        filepath="sync.py",
        bundle_name="dags",
        bundle_version=None,
        msg="heartbeat timed out",
        ti=instance(3),
        context_from_server=server_context(max_tries),
    )
    log: Any = logging.getLogger(__name__)
    execute: Any = processor._execute_task_callbacks
    execute(Bag(dag), request, log)


def cases(crm: SandboxCrm) -> int:
    return len(crm.asker.find("Case")["list"])


def test_the_dag_processor_finds_the_case_of_the_worker(sandbox_crm: SandboxCrm, dag: DAG) -> None:
    on_a_worker(dag, max_tries=2)
    in_the_dag_processor(dag, max_tries=2)
    assert cases(sandbox_crm) == 1


def test_alone_it_makes_one(sandbox_crm: SandboxCrm, dag: DAG) -> None:
    in_the_dag_processor(dag, max_tries=2)
    in_the_dag_processor(dag, max_tries=2)
    assert cases(sandbox_crm) == 1


def test_after_the_task_was_cleared_it_is_another_failure(sandbox_crm: SandboxCrm, dag: DAG) -> None:
    on_a_worker(dag, max_tries=2)
    in_the_dag_processor(dag, max_tries=5)
    assert cases(sandbox_crm) == 2
