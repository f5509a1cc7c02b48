"""What transfers and bulk writes tell about what they read and wrote, and what their button opens."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_espo.assets.espo import espo_asset
from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
from airflow_provider_espo.operators.lineage import table_dataset
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.partitions import EspoCompletePartitionsOperator, EspoPlanPartitionsOperator
from airflow_provider_espo.transfers.sql import EspoToSqlOperator
from airflow_provider_espo.transfers.to_espo import ObjectStorageToEspoOperator, SqlToEspoOperator
from tests.unit.operators.test_lineage import LEADS, Ran, in_crm, ran
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.transfers.databases import CONN_ID, Database

OUT = Asset(name="out", uri="s3://bucket/leads")


@pytest.fixture
def leads(sandbox_crm: SandboxCrm) -> None:
    for name in ("Nowak", "Kowalska", "Zielinska"):
        sandbox_crm.asker.create("Lead", lastName=name)


def buttons(task: Ran) -> list[str]:
    return [link.get_link(task.task, ti_key=None) for link in task.task.operator_extra_links]


@pytest.mark.usefixtures("leads")
def test_an_extraction_goes_from_the_crm_to_a_folder_and_tells_its_outlet(tmp_path: Path) -> None:
    extract = EspoToObjectStorageOperator(
        task_id="t", entity_type="Lead", path=str(tmp_path / "leads"), primary_filter="actual", outlets=[OUT, LEADS]
    )
    task = ran(extract)
    assert task.inputs == {in_crm("Lead"): 3}
    assert task.outputs == {("file://", str(tmp_path / "leads")): 3}
    (written,) = task.lineage().outputs
    assert written.outputFacets["outputStatistics"].size == task.result["bytes"]
    assert task.extra(OUT) == {name: task.result[name] for name in ("records", "files", "bytes", "deleted")}
    # It wrote nothing into the CRM.
    assert task.extra() == {}
    assert buttons(task) == ["https://crm.example.com/#Lead/list/primaryFilter=actual"]


@pytest.mark.usefixtures("leads")
def test_of_a_mapped_extraction_the_mapped_tasks_have_read_and_the_last_one_has_written(tmp_path: Path) -> None:
    folder = str(tmp_path / "leads")
    plan = ran(EspoPlanPartitionsOperator(task_id="plan", entity_type="Lead", partitions=2, min_records=1))
    assert (plan.inputs, plan.outputs) == ({}, {})
    mapped = [
        ran(EspoToObjectStorageOperator(task_id="t", entity_type="Lead", path=folder, partition=part))
        for part in plan.result
    ]
    assert sum(one.inputs[in_crm("Lead")] or 0 for one in mapped) == 3
    complete = EspoCompletePartitionsOperator(
        task_id="c", entity_type="Lead", path=folder, partitions=plan.result, outlets=[OUT]
    )
    last = ran(complete)
    assert last.inputs == {}
    assert last.extra(OUT)["records"] == 3


@pytest.mark.usefixtures("leads")
def test_a_load_goes_from_the_crm_to_a_table(database: Database) -> None:
    task = ran(EspoToSqlOperator(task_id="t", entity_type="Lead", sql_conn_id=CONN_ID, table="leads", outlets=[OUT]))
    assert task.inputs == {in_crm("Lead"): 3}
    ((namespace, name), rows) = next(iter(task.outputs.items()))
    assert (name.rpartition(".")[2], rows) == ("leads", 3)
    assert "://" in namespace
    assert task.extra(OUT) == {"records": 3, "deleted": 0}


@pytest.mark.parametrize(
    ("backend", "host", "port", "default", "schema", "expected"),
    [
        ("postgresql", "db", None, "public", None, ("postgres://db:5432", "crm.public.leads")),
        ("postgresql", "db", 6432, "public", "sales", ("postgres://db:6432", "crm.sales.leads")),
        ("mysql", "db", None, "crm", None, ("mysql://db:3306", "crm.leads")),
        ("mariadb", "db", None, "crm", "sales", ("mysql://db:3306", "sales.leads")),
        ("mssql", "db", None, "dbo", None, ("mssql://db:1433", "crm.dbo.leads")),
        ("sqlite", None, None, "main", None, ("sqlite://", "crm.main.leads")),
    ],
)
def test_tables_are_named_as_openlineage_does(
    backend: str, host: str | None, port: int | None, default: str, schema: str | None, expected: tuple[str, str]
) -> None:
    url = SimpleNamespace(host=host, port=port, database="crm", password="secret", get_backend_name=lambda: backend)
    engine = SimpleNamespace(url=url, dialect=SimpleNamespace(default_schema_name=default))
    assert tuple(table_dataset(engine, "leads", schema).values()) == expected


def test_a_bulk_write_tells_each_number(sandbox_crm: SandboxCrm) -> None:
    rows = [{"lastName": name, "emailAddress": f"{name}@example.com"} for name in ("a", "b", "c")]
    sandbox_crm.asker.create("Lead", **rows[0])
    sandbox_crm.asker.create("Lead", **{**rows[1], "lastName": "other"})
    write = EspoBulkWriteOperator(
        task_id="t", entity_type="Lead", operation="upsert", match_by=["emailAddress"], rows=rows, outlets=[LEADS, OUT]
    )
    task = ran(write)
    found = task.extra()
    assert found.items() >= {"count": 2, "created": 1, "updated": 1, "unchanged": 1, "failed": 0}.items()
    assert task.outputs == {in_crm("Lead"): 2}
    assert task.extra(OUT) == {}
    assert buttons(task) == ["https://crm.example.com/#Lead"]


def test_a_file_that_is_written_into_the_crm_is_an_input(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    file = tmp_path / "leads.ndjson"
    file.write_text("".join(json.dumps({"lastName": name}) + "\n" for name in "ab"))
    task = ran(
        ObjectStorageToEspoOperator(
            task_id="t", entity_type="Lead", operation="create", path=str(file), outlets=[espo_asset("Lead", host="x")]
        )
    )
    assert list(task.inputs) == [("file://", str(file))]
    assert task.outputs == {in_crm("Lead"): 2}


@pytest.mark.parametrize("task", [EspoToSqlOperator, SqlToEspoOperator, EspoBulkWriteOperator])
def test_transfers_have_a_button(task: type[Any]) -> None:
    assert [link.name for link in task.operator_extra_links] == ["Open list in EspoCRM"]
