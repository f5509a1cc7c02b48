"""A failure becomes one case, which a later run closes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_espo.where import contains
from tests.system.conftest import Crm

Run = Callable[..., Any]


@pytest.fixture
def name(crm: Crm) -> Iterator[str]:
    """Last name of a lead without an e-mail address, which nobody else has."""
    last_name = uuid4().hex
    lead = crm.hook.create_record("Lead", {"lastName": last_name}, on_duplicate="force")["id"]
    yield last_name
    crm.hook.delete_record("Lead", lead)
    crm.hook.mass_delete("Case", ids=[case["id"] for case in _cases(crm, last_name)])


def _cases(crm: Crm, name: str) -> list[dict[str, Any]]:
    return crm.hook.list_records("Case", where=[contains("name", name)])


def _callbacks_know_the_exception() -> bool:
    """Whether ``dag.test()`` tells callbacks of it, as workers do: since Airflow 3.3."""
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    return 'context["exception"]' in inspect.getsource(InProcessTestSupervisor.start)


def test_a_failure_makes_a_case_and_the_run_that_passes_closes_it(crm: Crm, run_dag: Run, name: str) -> None:
    failed = run_dag("failure_to_crm_case", leads=name)

    assert str(failed.state) == "failed"
    (case,) = _cases(crm, name)
    assert (case["status"], case["priority"], case["type"]) == ("New", "High", "Problem")
    text = crm.hook.get_record("Case", case["id"])["description"]
    reason = "1 leads have no e-mail address, 0 may have none." if _callbacks_know_the_exception() else "See the log."
    assert text.startswith(reason)
    assert f"Run {failed.run_id}: http" in text

    passed = run_dag("failure_to_crm_case", leads=name, allowed=1)

    assert str(passed.state) == "success"
    assert [case["status"] for case in _cases(crm, name)] == ["Closed"]


def test_another_run_that_fails_makes_a_case_of_its_own(crm: Crm, run_dag: Run, name: str) -> None:
    for _ in range(2):
        run_dag("failure_to_crm_case", leads=name)
    assert [case["status"] for case in _cases(crm, name)] == ["New", "New"]


def test_a_task_leaves_the_address_of_what_it_worked_on(crm: Crm, run_dag: Run, name: str) -> None:
    dag_run = run_dag("failure_to_crm_case", leads=name, allowed=1)
    closing = dag_run.get_task_instance("close_cases")
    site = crm.hook.config.site_url
    assert closing.xcom_pull(task_ids="close_cases", key="_link_EspoListLink") == f"{site}/#Case"
