"""The task that loads leads into a table."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

from airflow_provider_espo.transfers.sql import EspoToSqlOperator
from tests.unit.transfers.databases import CONN_ID

SELECT = ["name", "status", "createdAt", "modifiedAt"]


def load(**given: Any) -> EspoToSqlOperator:
    arguments: dict[str, Any] = {
        "entity_type": "Lead",
        "select": SELECT,
        "page_size": 4,
        "parts": 3,
        "batch_rows": 4,
        "sql_conn_id": CONN_ID,
        "table": "leads",
    }
    return EspoToSqlOperator(task_id="load", **(arguments | given))


def incremental(**given: Any) -> EspoToSqlOperator:
    asset = Asset("espo://crm.example.com/Lead")
    return load(incremental_by="modifiedAt", lag=5, outlets=[asset], **given)
