"""Records come into a table, each once, over one task or several; what cannot be is refused before data move."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoInputError,
    EspoStorageError,
    EspoUnknownNameError,
)
from airflow_provider_espo.transfers.partitions import EspoPlanPartitionsOperator
from airflow_provider_espo.where import equals
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import page
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.transfers.changes import leads
from tests.unit.transfers.databases import CONN_ID, Database
from tests.unit.transfers.loading import SELECT, load
from tests.unit.transfers.running import Runs


def test_every_record_arrives_once_in_a_table_made_by_the_metadata(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 23)
    result = run_task(load())
    assert database.ids() == made
    assert result == {
        "table": "leads",
        "records": 23,
        "deleted": 0,
        "added_columns": [],
        "left_out": [],
        "watermark": None,
        "action": "upserted",
    }
    assert list(database.columns()) == ["id", *SELECT]


def test_without_select_all_that_the_entity_type_holds_arrives_in_its_types(
    sandbox_crm: SandboxCrm, database: Database
) -> None:
    lead = sandbox_crm.asker.create(
        "Lead",
        lastName="Zoë",
        opportunityAmount=12.5,
        doNotCall=True,
        emailAddress="zoe@example.com",
        description="long\ntext",
    )
    run_task(load(select=None))
    import sqlalchemy as sa

    table = sa.Table("leads", sa.MetaData(), autoload_with=database.engine)
    with database.engine.connect() as connection:
        (row,) = connection.execute(sa.select(table)).mappings().all()
    assert {
        name: row[name] for name in ("id", "lastName", "opportunityAmount", "doNotCall", "emailAddress", "description")
    } == {
        "id": lead["id"],
        "lastName": "Zoë",
        "opportunityAmount": 12.5,
        "doNotCall": True,
        "emailAddress": "zoe@example.com",
        "description": "long\ntext",
    }
    assert row["createdAt"].replace(tzinfo=None) == datetime.fromisoformat(lead["createdAt"])
    assert row["convertedAt"] is None
    assert "createdByName" not in row


def test_dates_decimals_lists_and_maps_arrive(sandbox_crm: SandboxCrm, database: Database) -> None:
    import sqlalchemy as sa

    asker = sandbox_crm.asker.as_user("admin")
    account = asker.create("Account", name="Acme")
    asker.create(
        "Contact", lastName="Ada", accountsIds=[account["id"]], accountsColumns={account["id"]: {"role": "CEO"}}
    )
    opportunity = asker.create("Opportunity", name="Deal", amount=1000.5, closeDate="2026-04-30")
    columns = ["accountsIds", "accountsNames", "accountsColumns", "emailAddressData"]
    run_task(load(entity_type="Contact", table="contacts", select=columns))
    run_task(load(entity_type="Opportunity", table="deals", select=["amount", "closeDate"]))
    meta = sa.MetaData()
    contacts, deals = (sa.Table(name, meta, autoload_with=database.engine) for name in ("contacts", "deals"))
    with database.engine.connect() as connection:
        (contact,) = connection.execute(sa.select(contacts)).mappings().all()
        (deal,) = connection.execute(sa.select(deals)).mappings().all()
    assert contact["accountsIds"] == [account["id"]]
    assert contact["accountsNames"] == {account["id"]: "Acme"}
    assert contact["accountsColumns"][account["id"]]["role"] == "CEO"
    assert contact["emailAddressData"] == []
    assert (deal["id"], float(deal["amount"]), deal["closeDate"]) == (opportunity["id"], 1000.5, date(2026, 4, 30))


def test_only_what_matches_arrives_and_other_rows_stay(sandbox_crm: SandboxCrm, database: Database) -> None:
    leads(sandbox_crm, 3)
    dead = leads(sandbox_crm, 2, status="Dead")
    run_task(load(where=[equals("status", "{{ params.status }}")]), params={"status": "Dead"})
    assert database.ids() == dead
    database("UPDATE leads SET name = 'kept'")
    run_task(load(where=[equals("status", "Recycled")]))
    assert {name for (name,) in database.rows("leads", "name")} == {"kept"}


def test_a_second_load_brings_changes_and_doubles_nothing(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 9)
    run_task(load())
    sandbox_crm.asker.ok("PUT", f"Lead/{made[4]}", {"status": "Assigned"})
    more = leads(sandbox_crm, 2)
    run_task(load())
    assert database.ids() == sorted([*made, *more])
    assert dict(database.rows("leads", "id", "status"))[made[4]] == "Assigned"


def test_only_ids_can_be_loaded(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 3)
    run_task(load(select=["id"]))
    run_task(load(select=["id"]))
    assert database.ids() == made


def test_no_records_make_an_empty_table(sandbox_crm: SandboxCrm, database: Database) -> None:
    assert run_task(load())["records"] == 0
    assert database.rows() == []


def test_columns_in_snake_case(sandbox_crm: SandboxCrm, database: Database) -> None:
    leads(sandbox_crm, 1)
    run_task(load(select=["emailAddressIsOptedOut", "createdAt"], column_names="snake"))
    assert list(database.columns()) == ["id", "email_address_is_opted_out", "created_at"]


def test_the_result_and_the_logs_hold_no_value(
    sandbox_crm: SandboxCrm, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    sandbox_crm.asker.create("Lead", lastName="Hypatia")
    assert "Hypatia" not in str(run_task(load()))
    assert "Hypatia" not in caplog.text


# --- mapped tasks


def test_mapped_tasks_load_one_table(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    made = leads(sandbox_crm, 23)
    plan = EspoPlanPartitionsOperator(
        task_id="plan", entity_type="Lead", partitions=3, min_records=1, where=[equals("status", "New")]
    )
    partitions = runs(plan)
    assert len(partitions) == 3
    counts = [
        runs(load(partition=one, where=[equals("status", "New")], parts=None), map_index=index)["records"]
        for index, one in enumerate(partitions)
    ]
    assert sum(counts) == 23
    assert all(counts)
    assert database.ids() == made


def test_a_mapped_task_refuses_what_it_cannot_know(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    leads(sandbox_crm, 4)
    (one,) = runs(EspoPlanPartitionsOperator(task_id="plan", entity_type="Lead", partitions=1))
    for given in ({"mode": "replace"}, {"deleted": "remove"}):
        with pytest.raises(EspoInputError, match="cannot replace or remove others"):
            runs(load(partition=one, **given))
    with pytest.raises(EspoInputError, match="another entity type or filter"):
        runs(load(partition=one, where=[equals("status", "New")]))
    plan = EspoPlanPartitionsOperator(task_id="plan", entity_type="Lead", partitions=1, incremental_by="modifiedAt")
    (one,) = runs(plan)
    with pytest.raises(EspoInputError, match="goes on from a watermark"):
        runs(load(partition=one))
    assert database.tables() == []


# --- bad input


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "append"}, "mode"),
        ({"column_names": "camel"}, "column_names"),
        ({"schema_drift": "ignore"}, "schema_drift"),
        ({"deleted": "detect"}, "deleted"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"max_deleted_share": 2}, "max_deleted_share"),
        ({"table": ""}, "table is empty"),
        ({"table": "sqlite_master"}, "reserved"),
        ({"table": "x__espo_1"}, "reserved"),
        ({"table": "t", "schema": "information_schema"}, "reserved"),
        ({"table": "pg_catalog.pg_class"}, "reserved"),
        ({"table": 'a"b'}, "no name of a table"),
        ({"sql_conn_id": ""}, "sql_conn_id is empty"),
        ({"sql_conn_id": "espo_default"}, "is to no database"),
        ({"sql_conn_id": "strange"}, "no provider is installed"),
        ({"mode": "replace", "incremental_by": "modifiedAt"}, "mode='replace' loads all records"),
        ({"mode": "replace", "deleted": "remove"}, "mode='replace' loads all records"),
        ({"incremental_by": "status"}, "incremental_by"),
        ({"parts": "many"}, "parts"),
        ({"parts": 101}, "1 to 100"),
        ({"page_size": "500"}, "page_size"),
        ({"incremental_by": "number"}, "number"),
        ({"create_table": False}, "There is no table leads"),
    ],
)
def test_bad_input_is_refused_before_data_moves(
    sandbox_crm: SandboxCrm, database: Database, connect: ConnectionSetter, given: dict[str, Any], message: str
) -> None:
    connect("strange", "nosuchdatabase://host")
    with pytest.raises(EspoInputError, match=message):
        run_task(load(**given))
    assert database.tables() == []


def test_a_filter_that_the_server_refuses_is_told_before_a_table_is_made(
    sandbox_crm: SandboxCrm, database: Database
) -> None:
    with pytest.raises(EspoBadRequestError):
        run_task(load(where=[equals("cNoSuch", 1)]))
    assert database.tables() == []


def test_an_unknown_attribute_is_refused_before_a_table_is_made(sandbox_crm: SandboxCrm, database: Database) -> None:
    with pytest.raises(EspoUnknownNameError, match="nope"):
        run_task(load(select=["nope"]))
    assert database.tables() == []


def test_a_value_that_does_not_fit_names_attribute_and_record_and_not_itself(
    sandbox_crm: SandboxCrm, database: Database
) -> None:
    sandbox_crm.on("GET", "Lead", page({"id": "1", "name": "Ada", "createdAt": "soon and secret"}))
    with pytest.raises(EspoBadAnswerError, match="createdAt of record 1 does not fit") as caught:
        run_task(load(parts=1))
    assert "secret" not in str(caught.value)


def test_what_the_database_refuses_is_told_without_a_value(sandbox_crm: SandboxCrm, database: Database) -> None:
    database("CREATE TABLE leads (id VARCHAR(40) PRIMARY KEY, name VARCHAR(100) CHECK (name <> 'Secret'))")
    leads(sandbox_crm, 1)
    sandbox_crm.asker.create("Lead", lastName="Secret")
    with pytest.raises(EspoStorageError, match=r"Writing the records \w+ to \w+ to the table leads failed") as caught:
        run_task(load(select=["name"], parts=1))
    assert "Secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_database_that_cannot_be_reached_is_told(
    sandbox_crm: SandboxCrm, connect: ConnectionSetter, tmp_path: Path
) -> None:
    connect(CONN_ID, f"sqlite://{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(EspoStorageError, match="Looking at the table leads failed: OperationalError"):
        run_task(load())
