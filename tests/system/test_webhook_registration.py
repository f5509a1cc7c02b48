"""Webhooks are registered by tasks in Airflow, with its real Variables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Crm

DAG_FILE = """
from airflow.sdk import DAG, Param

from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator, EspoUnregisterWebhookOperator

WEBHOOK = {"event": "{{ params.event }}", "url": "{{ params.url }}"}

with DAG("webhook_registration", schedule=None, params={"event": "Lead.create", "url": Param("", type="string")}):
    EspoRegisterWebhookOperator(task_id="register", **WEBHOOK)

with DAG("webhook_removal", schedule=None, params={"event": "Lead.create", "url": Param("", type="string")}):
    EspoUnregisterWebhookOperator(task_id="unregister", **WEBHOOK)
"""
#: An address that the sandbox allows.
URL = "http://127.0.0.1:18098/webhooks"


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    airflow_database: None,
    crm: Crm,
    result_of: Callable[[Any, str], Any],
) -> Callable[[str, str], Any]:
    """Run one of the two DAGs and return its run and its task's result."""
    (tmp_path / "webhook_dags.py").write_text(DAG_FILE, encoding="utf-8")
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [{"name": "webhooks", "classpath": local, "kwargs": {"path": str(tmp_path)}}]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))

    def run_one(dag_id: str, task_id: str) -> Any:
        from airflow.utils.cli import get_bagged_dag

        dag = get_bagged_dag(bundle_names=None, dag_id=dag_id)
        dag_run = dag.test(run_conf={"url": URL})
        assert str(dag_run.state) == "success"
        return dag_run, result_of(dag_run, task_id)

    return run_one


def variable(name: str) -> str | None:
    """A Variable as Airflow's database has it."""
    from airflow.models import Variable

    found: str | None = Variable.get(name, default_var=None)
    return found


def test_a_webhook_is_registered_once_and_its_key_is_in_airflow_until_it_is_unregistered(
    crm: Crm, run: Callable[[str, str], Any], kept_of: Callable[[Any], list[str]]
) -> None:
    first_run, first = run("webhook_registration", "register")
    second_run, second = run("webhook_registration", "register")
    assert second == {**first, "action": "unchanged"}

    [webhook] = crm.hook.list_webhooks(event="Lead.create", url=URL)
    assert webhook["id"] == first["id"]
    assert webhook["is_active"]
    kept = json.loads(variable(first["secret_variable"]) or "{}")
    assert kept["secret"] == webhook["secret_key"]
    assert not [text for one in (first_run, second_run) for text in kept_of(one) if kept["secret"] in text]

    _, removed = run("webhook_removal", "unregister")
    assert removed == {**first, "action": "deleted"}
    assert crm.hook.list_webhooks(event="Lead.create", url=URL) == []
    assert variable(first["secret_variable"]) is None


def test_a_key_that_was_deleted_in_airflow_is_replaced(crm: Crm, run: Callable[[str, str], Any]) -> None:
    from airflow.models import Variable

    _, first = run("webhook_registration", "register")
    Variable.delete(first["secret_variable"])
    _, second = run("webhook_registration", "register")
    assert second["action"] == "created"
    assert [webhook["id"] for webhook in crm.hook.list_webhooks(event="Lead.create", url=URL)] == [second["id"]]
    assert variable(second["secret_variable"]) is not None
    run("webhook_removal", "unregister")
