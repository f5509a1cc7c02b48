"""Tables of a database follow the CRM, run after run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from crm_to_warehouse import OPEN_BY_CUSTOMER

from airflow_provider_espo.sandbox.fill import fill
from tests.system.conftest import Crm, next_second


def test_the_tables_have_what_the_crm_has(
    crm: Crm,
    run_dag: Callable[..., Any],
    result_of: Callable[[Any, str], Any],
    kept_of: Callable[[Any], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    tag = uuid4().hex

    def rows(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute(sql).fetchall()

    def run() -> Any:
        dag_run = run_dag("crm_to_warehouse")
        assert str(dag_run.state) == "success"
        return dag_run

    if crm.sandbox is not None:
        fill(crm.sandbox.storage, "Opportunity", 1_500)
        fill(crm.sandbox.storage, "Contact", 1_500)
    account = str(crm.hook.create_record("Account", {"name": f"{tag} Ltd"})["id"])
    contact = str(crm.hook.create_record("Contact", {"lastName": tag, "accountId": account})["id"])
    first, second = (_opportunity(crm, f"{tag} {number}", account) for number in range(2))
    next_second()
    first_run = run()
    assert result_of(first_run, "opportunities")["records"] > 0
    if not crm.is_real:
        assert len([one for one in first_run.get_task_instances() if one.task_id == "contacts"]) > 1
        assert len(rows("SELECT id FROM crm_contact")) == crm.hook.count_records("Contact")
    crm.hook.update_record("Contact", contact, {"lastName": f"{tag} new"})
    crm.hook.update_record("Opportunity", first, {"amount": 700})
    crm.hook.delete_record("Opportunity", second)
    third = _opportunity(crm, f"{tag} new", account)
    next_second()
    run()
    dag_run = run()
    found = dict(rows("SELECT id, espo_deleted_at IS NOT NULL FROM crm_opportunity"))
    assert (found[first], found[second], found[third]) == (0, 1, 0)
    assert rows(f"SELECT amount FROM crm_opportunity WHERE id = '{first}'") == [(700.0,)]
    assert result_of(dag_run, "in_hand")
    assert (f"{tag} Ltd", 2, 1200.0, 1) in rows(OPEN_BY_CUSTOMER)
    assert rows(f"SELECT name FROM crm_contact WHERE id = '{contact}'") == [(f"{tag} new",)]
    # Only what the query brings goes through Airflow's database, and nothing into the log.
    assert f"{tag} new" not in " ".join(kept_of(dag_run))
    if not crm.is_real:
        there = {one["id"]: one["name"] for one in crm.hook.list_records("Opportunity", select=["name"])}
        loaded = dict(rows("SELECT id, name FROM crm_opportunity WHERE espo_deleted_at IS NULL"))
        assert loaded == there
        assert len(rows("SELECT id FROM crm_account")) == crm.hook.count_records("Account")


def _opportunity(crm: Crm, name: str, account: str) -> str:
    values = {"name": name, "amount": 500, "amountCurrency": "USD", "stage": "Proposal", "closeDate": "2026-12-01"}
    return str(crm.hook.create_record("Opportunity", {**values, "accountId": account}, on_duplicate="force")["id"])
