"""Records into tables of a database."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.transfers.sql import EspoToSqlOperator
from airflow_provider_espo.where import contains
from tests.repeat.harness import Run, Scenario

if TYPE_CHECKING:
    from tests.repeat.crm import Crm

WAREHOUSE = "warehouse"


def database() -> sqlite3.Connection:
    """Open the database that the connection leads to."""
    return sqlite3.connect(json.loads(os.environ[f"AIRFLOW_CONN_{WAREHOUSE.upper()}"])["host"])


def seven_leads(crm: Crm, run: Run) -> dict[str, Any]:
    """Leads, one of them in the table as it was, beside one that is gone from the CRM."""
    ids = [crm.create("Lead", firstName=f"No {number}", lastName=run.tag) for number in range(7)]
    with closing(database()) as connection, connection:
        connection.execute(
            f'CREATE TABLE {run.tag} (id VARCHAR(64) PRIMARY KEY, "firstName" TEXT, "createdAt" DATETIME)'
        )
        rows = [(ids[3], "old"), ("0123456789abcdef0", "gone")]
        connection.executemany(f'INSERT INTO {run.tag} (id, "firstName") VALUES (?, ?)', rows)
    return {"ids": ids}


def _rows(_crm: Crm, run: Run, result: Any) -> Any:
    """What is in the table, without ids, and whether it is the only one."""
    with closing(database()) as connection:
        rows = connection.execute(f'SELECT "firstName", "createdAt" IS NULL FROM {run.tag} ORDER BY 1').fetchall()
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        "rows": rows,
        "tables": sum(name.startswith(run.tag) for (name,) in names),
        "result": result and {name: result[name] for name in ("records", "deleted", "action")},
    }


def _load(run: Run, **more: Any) -> dict[str, Any]:
    return {
        "entity_type": "Lead",
        "where": [contains("name", run.tag)],
        "select": ["firstName", "createdAt"],
        "page_size": 3,
        "batch_rows": 3,
        "parts": 2,
        "sql_conn_id": WAREHOUSE,
        "table": run.tag,
        **more,
    }


SCENARIOS = (
    Scenario(
        "upsert, rows of deleted records removed",
        EspoToSqlOperator,
        lambda run: _load(run, deleted="remove"),
        "the ids: a row that is written again is the same; the last commits in the task state store",
        seven_leads,
        _rows,
    ),
    Scenario(
        "replace",
        EspoToSqlOperator,
        lambda run: _load(run, mode="replace"),
        "the table beside, and its last commits in the task state store",
        seven_leads,
        _rows,
    ),
)
