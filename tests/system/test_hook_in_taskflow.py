"""The example that uses nothing but the hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from airflow_provider_espo.where import equals
from tests.system.conftest import Crm


def test_unassigned_leads_are_dealt_out_and_a_second_run_finds_none(
    crm: Crm, run_dag: Callable[..., Any], result_of: Callable[[Any, str], Any]
) -> None:
    tag = uuid4().hex
    # Not "New", so that the demo user leaves them alone.
    made = [
        crm.hook.create_record(
            "Lead", {"lastName": f"{tag} {n}", "source": "Partner", "status": "In Process"}, on_duplicate="force"
        )
        for n in range(3)
    ]
    for lead in made:
        crm.hook.update_record("Lead", lead["id"], {"assignedUserId": None})
    first = run_dag("hook_in_taskflow", source="Partner")
    assert str(first.state) == "success"
    assert result_of(first, "assign")["updated"] >= 3
    leads = crm.hook.list_records("Lead", where=[equals("source", "Partner")], select=["assignedUserId"])
    assert {lead["id"] for lead in made} <= {lead["id"] for lead in leads if lead["assignedUserId"]}

    second = run_dag("hook_in_taskflow", source="Partner")

    assert str(second.state) == "success"
    assert sum(result_of(second, "assign").values()) == 0
