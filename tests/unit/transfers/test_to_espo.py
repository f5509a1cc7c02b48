"""Transfers into the CRM: from files that a transfer out of it wrote, and from a database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoInputError, EspoStorageError, EspoUnknownNameError
from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.query import from_query
from airflow_provider_espo.transfers.to_espo import ObjectStorageToEspoOperator, SqlToEspoOperator
from tests.unit.bulk_crm import actions, add, leads, there, writes
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.transfers.databases import CONN_ID, Database, databases

BY_EMAIL: dict[str, Any] = {"match_by": ["emailAddress"]}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A warehouse, and the connection to it."""
    for one in databases(tmp_path):
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", one.airflow_uri)
        yield one


@pytest.fixture
def scores(database: Database) -> Database:
    """A table of scores in the warehouse."""
    database("CREATE TABLE scores (mail VARCHAR(100), score DECIMAL(10, 2), lead_status VARCHAR(20))")
    for number in range(5):
        database(f"INSERT INTO scores VALUES ('l{number}@example.com', {number}.5, 'Assigned')")
    return database


def from_sql(sql: str, **arguments: Any) -> SqlToEspoOperator:
    given = {"task_id": "scores", "entity_type": "Lead", "sql_conn_id": CONN_ID, "operation": "update", **BY_EMAIL}
    return SqlToEspoOperator(**{**given, "sql": sql, **arguments})


# --- from files


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_what_was_extracted_is_written_back(sandbox_crm: SandboxCrm, tmp_path: Path, file_format: Any) -> None:
    ids = add(sandbox_crm, leads(7, opportunityAmount=10.5, doNotCall=True))
    out = EspoToObjectStorageOperator(
        task_id="out", entity_type="Lead", path=str(tmp_path / "leads"), file_format=file_format, records_per_file=3
    )
    run_task(out)
    back = ObjectStorageToEspoOperator(
        task_id="back",
        entity_type="Lead",
        path=str(tmp_path / "leads"),
        operation="update",
        columns=["id", "lastName", "emailAddress", "opportunityAmount", "doNotCall", "status"],
    )
    assert actions(run_task(back)) == {"unchanged": 7}
    for one in ids[:2]:
        sandbox_crm.asker.ok("PUT", f"Lead/{one}", {"lastName": "changed", "opportunityAmount": 1})
    assert actions(run_task(back)) == {"updated": 2, "unchanged": 5}
    assert {amount for (amount,) in there(sandbox_crm, "opportunityAmount")} == {10.5}


def test_a_damaged_dataset_is_refused_before_its_rows_are_written(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    add(sandbox_crm, leads(3))
    run_task(EspoToObjectStorageOperator(task_id="out", entity_type="Lead", path=str(tmp_path / "leads")))
    (file,) = (tmp_path / "leads").glob("*.ndjson")
    file.write_bytes(file.read_bytes().replace(b"Ida", b"Eve"))
    back = ObjectStorageToEspoOperator(
        task_id="back",
        entity_type="Lead",
        path=str(tmp_path / "leads"),
        operation="update",
        columns=["id", "firstName"],
    )
    with pytest.raises(EspoInputError, match="checksum"):
        run_task(back)
    assert writes(sandbox_crm) == {}


# --- from a database


def test_scores_of_a_warehouse_come_back_to_the_crm(sandbox_crm: SandboxCrm, scores: Database, tmp_path: Path) -> None:
    add(sandbox_crm, leads(4))
    task = from_sql(
        "SELECT mail, score, lead_status FROM scores ORDER BY mail",
        columns={"mail": "emailAddress", "score": "opportunityAmount", "lead_status": "status"},
        max_failures=1,
        results_path=str(tmp_path),
    )
    assert actions(run_task(task)) == {"updated": 4, "failed": 1}
    found = there(sandbox_crm, "emailAddress", "opportunityAmount", "status")
    assert found == [(f"l{number}@example.com", number + 0.5, "Assigned") for number in range(4)]
    failed = json.loads((tmp_path / "failed-00000.ndjson").read_text())
    assert failed["row"]["mail"] == "l4@example.com"


def test_the_same_by_the_operator_of_many_sources(sandbox_crm: SandboxCrm, scores: Database) -> None:
    add(sandbox_crm, leads(5))
    task = EspoBulkWriteOperator(
        task_id="scores",
        entity_type="Lead",
        operation="update",
        sql='SELECT mail AS "emailAddress", score AS "opportunityAmount" FROM scores WHERE mail <> ?',
        sql_conn_id=CONN_ID,
        sql_parameters=["l0@example.com"],
        **BY_EMAIL,
    )
    assert actions(run_task(task)) == {"updated": 4}


def test_sql_columns_that_are_no_attributes_are_refused_before_anything_is_written(
    sandbox_crm: SandboxCrm, scores: Database
) -> None:
    sql = 'SELECT mail AS "emailAddress", score FROM scores'
    with pytest.raises(EspoUnknownNameError, match="score"):
        run_task(from_sql(sql))
    assert writes(sandbox_crm) == {}
    add(sandbox_crm, leads(5))
    assert actions(run_task(from_sql(sql, columns={"score": "opportunityAmount"}))) == {"updated": 5}


@pytest.mark.parametrize(
    ("sql", "error", "word"),
    [
        ("", EspoInputError, "statement"),
        ("SELECT mail, mail FROM scores", EspoInputError, "more than one column mail"),
        ("DELETE FROM scores WHERE mail = 's3cret'", EspoInputError, "returns no rows"),
        ("SELECT mail FROM nowhere WHERE mail = 's3cret'", EspoStorageError, "query failed"),
        ("SELEKT 's3cret'", EspoStorageError, "query failed"),
    ],
)
def test_a_query_that_gives_no_rows_of_attributes_is_refused(
    sandbox_crm: SandboxCrm, scores: Database, sql: str, error: Any, word: str
) -> None:
    with pytest.raises(error, match=word) as caught:
        run_task(from_sql(sql, **BY_EMAIL))
    assert "s3cret" not in str(caught.value)
    assert writes(sandbox_crm) == {}


def test_a_query_that_changes_the_database_is_not_committed(sandbox_crm: SandboxCrm, scores: Database) -> None:
    with pytest.raises(EspoInputError):
        run_task(from_sql("DELETE FROM scores"))
    assert len(scores("SELECT mail FROM scores")) == 5


def test_rows_are_fetched_as_they_are_needed(scores: Database) -> None:
    numbers = " UNION ALL ".join(f"SELECT {number} AS n" for number in range(10))
    many = f"SELECT a.n FROM ({numbers}) a, ({numbers}) b, ({numbers}) c, ({numbers}) d, ({numbers}) e, ({numbers}) f"
    rows = iter(from_query(many, CONN_ID, None).rows)
    # A million rows; whoever fetches them all at once is still at it.
    assert next(rows) == {"n": 0}
    rows.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("conn_id", ["", None, "espo_default"])
def test_a_connection_that_is_no_database_is_refused(sandbox_crm: SandboxCrm, conn_id: Any) -> None:
    with pytest.raises(EspoInputError):
        run_task(from_sql("SELECT 1", sql_conn_id=conn_id))
    assert sandbox_crm.sent == []
