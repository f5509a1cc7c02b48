"""Leads that come, change and go, and the task that extracts what is new of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from tests.unit.sandbox_crm import SandboxCrm


def extraction(folder: Path | str, **given: Any) -> EspoToObjectStorageOperator:
    arguments: dict[str, Any] = {
        "entity_type": "Lead",
        "select": ["status"],
        "page_size": 5,
        "incremental_by": "modifiedAt",
    }
    return EspoToObjectStorageOperator(task_id="extract", path=str(folder), **(arguments | given))


def lead(crm: SandboxCrm, **values: Any) -> str:
    return str(crm.asker.create("Lead", lastName="Lead", **values)["id"])


def leads(crm: SandboxCrm, count: int, **values: Any) -> list[str]:
    return sorted(crm.asker.create("Lead", lastName=f"Lead {number}", **values)["id"] for number in range(count))


def change(crm: SandboxCrm, record_id: str, **values: Any) -> None:
    crm.asker.ok("PUT", f"Lead/{record_id}", values)


def delete(crm: SandboxCrm, record_id: str) -> None:
    crm.asker.ok("DELETE", f"Lead/{record_id}")
