"""Records come into a table, each once, whatever was there before and whatever becomes of the tries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoError,
    EspoInputError,
    EspoStorageError,
    EspoUnknownNameError,
)
from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.transfers import sql_deletions, sql_progress
from airflow_provider_espo.transfers.partitions import EspoPlanPartitionsOperator
from airflow_provider_espo.transfers.sql import EspoToSqlOperator
from airflow_provider_espo.where import equals
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import page
from tests.unit.running import Store, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.databases import CONN_ID, Database, databases
from tests.unit.transfers.running import Runs

SELECT = ["name", "status", "createdAt", "modifiedAt"]


@pytest.fixture
def database(connect: ConnectionSetter, tmp_path: Path) -> Iterator[Database]:
    for one in databases(tmp_path):
        connect(CONN_ID, one.airflow_uri)
        yield one


@pytest.fixture(autouse=True)
def _noted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_progress, "_BETWEEN_NOTES", 0.0)


def leads(crm: SandboxCrm, count: int, **values: Any) -> list[str]:
    made = [crm.asker.create("Lead", lastName=f"Lead {number}", **values)["id"] for number in range(count)]
    return sorted(made)


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


def delete(crm: SandboxCrm, record_id: str) -> None:
    crm.asker.ok("DELETE", f"Lead/{record_id}")


# --- what arrives


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


# --- replace


def test_replace_leaves_what_is_there_and_nothing_else(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 9)
    assert run_task(load(mode="replace"))["action"] == "replaced"
    delete(sandbox_crm, made[0])
    more = leads(sandbox_crm, 1)
    run_task(load(mode="replace"))
    assert database.ids() == sorted([*made[1:], *more])
    assert database.tables() == ["leads"]


def test_replace_keeps_views_on_the_table(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 2)
    run_task(load(mode="replace"))
    database("CREATE VIEW new_leads AS SELECT id FROM leads")
    try:
        more = leads(sandbox_crm, 2)
        run_task(load(mode="replace"))
        assert sorted(row["id"] for row in database("SELECT id FROM new_leads")) == sorted([*made, *more])
    finally:
        database("DROP VIEW new_leads")


def test_a_replace_that_dies_on_the_way_leaves_the_old_rows(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 9)
    run_task(load(mode="replace"))
    leads(sandbox_crm, 9)
    store = Store()
    sandbox_crm.kill_at(9, carried_out=True)
    with pytest.raises(Killed):
        run_task(load(mode="replace"), store=store)
    sandbox_crm.live()
    assert database.ids() == made
    run_task(load(mode="replace"), store=store)
    assert len(database.ids()) == 18
    assert database.tables() == ["leads"]


def test_tables_that_dead_runs_left_are_removed_by_the_next_one(sandbox_crm: SandboxCrm, database: Database) -> None:
    leads(sandbox_crm, 12)
    sandbox_crm.kill_at(7, carried_out=True)
    runs = Runs()
    with pytest.raises(Killed):
        runs(load(mode="replace"), "run1")
    sandbox_crm.live()
    assert len(database.tables()) == 2
    database("CREATE TABLE leads__espo_of_somebody_else (id INTEGER)")
    runs(load(mode="replace"), "run2")
    assert database.tables() == ["leads", "leads__espo_of_somebody_else"]


# --- tries


@pytest.mark.parametrize("mode", ["upsert", "replace"])
@pytest.mark.parametrize("has_store", [True, False])
def test_a_try_that_died_anywhere_is_made_good_by_the_next(
    sandbox_crm: SandboxCrm, database: Database, mode: str, has_store: bool
) -> None:
    made = leads(sandbox_crm, 21)
    run_task(load(mode=mode))
    requests = len(sandbox_crm.sent)
    for number in range(1, requests):
        database.clear()
        store = Store() if has_store else None
        forget_shared_states()
        sandbox_crm.kill_at(number, carried_out=number % 2 == 0)
        with pytest.raises(Killed):
            run_task(load(mode=mode), store=store)
        sandbox_crm.live()
        forget_shared_states()
        result = run_task(load(mode=mode), store=store)
        assert database.ids() == made, number
        assert result["records"] == 21, number


def test_a_retry_reads_only_what_was_not_committed(sandbox_crm: SandboxCrm, database: Database) -> None:
    leads(sandbox_crm, 40)
    store = Store()
    arguments: dict[str, Any] = {"parts": 1, "page_size": 5, "batch_rows": 5}
    run_task(load(**arguments))
    pages = len(sandbox_crm.calls("GET", "Lead"))
    sandbox_crm.sent.clear()
    sandbox_crm.kill_at(7, carried_out=False)
    with pytest.raises(Killed):
        run_task(load(**arguments), store=store)
    sandbox_crm.live()
    read = len(sandbox_crm.calls("GET", "Lead"))
    sandbox_crm.sent.clear()
    run_task(load(**arguments), store=store)
    # One page at most comes twice, the one that was not answered.
    assert len(sandbox_crm.calls("GET", "Lead")) <= pages - read + 1


def test_what_an_earlier_try_did_for_another_table_is_no_use(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 9)
    store = Store()
    run_task(load(), store=store)
    run_task(load(table="others"), store=store)
    assert database.ids("others") == made


def test_a_table_that_was_removed_between_two_tries_is_loaded_from_the_beginning(
    sandbox_crm: SandboxCrm, database: Database
) -> None:
    made = leads(sandbox_crm, 9)
    store = Store()
    run_task(load(), store=store)
    database.clear()
    run_task(load(), store=store)
    assert database.ids() == made


# --- incremental


def incremental(**given: Any) -> EspoToSqlOperator:
    asset = Asset("espo://crm.example.com/Lead")
    return load(incremental_by="modifiedAt", lag=5, outlets=[asset], **given)


def test_the_next_run_asks_for_what_changed_since(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    made = leads(sandbox_crm, 9)
    sandbox_crm.pass_time(3600)
    first = runs(incremental(), "run1")
    sandbox_crm.pass_time(3600)
    sandbox_crm.asker.ok("PUT", f"Lead/{made[4]}", {"status": "Assigned"})
    sandbox_crm.pass_time(60)
    second = runs(incremental(), "run2")
    assert (first["records"], second["records"]) == (9, 1)
    assert first["watermark"] < second["watermark"]
    assert database.ids() == made
    assert dict(database.rows("leads", "id", "status"))[made[4]] == "Assigned"


def test_a_new_column_of_old_rows_is_empty_and_that_is_told(
    sandbox_crm: SandboxCrm, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs()
    made = leads(sandbox_crm, 2)
    sandbox_crm.pass_time(3600)
    runs(incremental(select=["name"], add_columns=True), "run1")
    sandbox_crm.asker.ok("PUT", f"Lead/{made[1]}", {"status": "Assigned"})
    sandbox_crm.pass_time(60)
    assert "new columns" not in capsys.readouterr().out
    result = runs(incremental(select=["name", "status"], add_columns=True, watermark_key="mine"), "run2")
    assert (result["records"], result["added_columns"]) == (2, ["status"])
    assert "new columns" not in capsys.readouterr().out, "all records were loaded"
    runs(incremental(select=["name", "status", "source"], add_columns=True, watermark_key="mine"), "run3")
    told = capsys.readouterr().out
    assert "new columns source" in told
    assert "watermark mine" in told


def test_a_run_that_fails_does_not_move_the_watermark(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    made = leads(sandbox_crm, 9)
    sandbox_crm.pass_time(3600)
    sandbox_crm.kill_at(8, carried_out=True)
    with pytest.raises(Killed):
        runs(incremental(), "run1")
    sandbox_crm.live()
    sandbox_crm.pass_time(3600)
    assert runs(incremental(), "run2")["records"] == 9
    assert database.ids() == made


def test_an_empty_or_another_table_is_loaded_from_the_beginning(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    made = leads(sandbox_crm, 9)
    sandbox_crm.pass_time(3600)
    runs(incremental(), "run1")
    sandbox_crm.pass_time(3600)
    assert runs(incremental(table="others"), "run2")["records"] == 9
    assert database.ids("others") == made
    database("DELETE FROM others")
    assert runs(incremental(table="others"), "run3")["records"] == 9


def test_with_bounds_no_watermark_is_used(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    leads(sandbox_crm, 3)
    start = sandbox_crm.now
    sandbox_crm.pass_time(60)
    later = leads(sandbox_crm, 2)
    begin = f"{start.replace(second=30):%Y-%m-%dT%H:%M:%S}"
    result = runs(incremental(start=begin), "run1")
    assert (database.ids(), result["watermark"], runs.assets) == (later, None, {})


# --- deleted records


def test_deleted_remove_removes_rows_without_a_record(sandbox_crm: SandboxCrm, database: Database) -> None:
    runs = Runs()
    made = leads(sandbox_crm, 9)
    sandbox_crm.pass_time(3600)
    runs(incremental(), "run1")
    for one in made[:3]:
        delete(sandbox_crm, one)
    result = runs(incremental(deleted="remove"), "run2")
    assert (database.ids(), result["deleted"]) == (made[3:], 3)


def test_deleted_mark_says_since_when_and_takes_it_back(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 4)
    run_task(load(deleted="mark"))
    delete(sandbox_crm, made[0])
    assert run_task(load(deleted="mark"))["deleted"] == 1
    first = dict(database.rows("leads", "id", "espoDeletedAt"))
    assert [one for one, marked in first.items() if marked] == [made[0]]
    assert run_task(load(deleted="mark"))["deleted"] == 0
    assert dict(database.rows("leads", "id", "espoDeletedAt")) == first
    database("UPDATE leads SET \"espoDeletedAt\" = '2026-01-01 00:00:00'")
    run_task(load(deleted="mark", where=[equals("status", "New")]))
    marked = {one for one, at in database.rows("leads", "id", "espoDeletedAt") if at}
    assert marked == {made[0]}


def test_records_outside_the_filter_count_as_gone(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 4)
    run_task(load())
    sandbox_crm.asker.ok("PUT", f"Lead/{made[0]}", {"status": "Dead"})
    run_task(load(deleted="remove", where=[equals("status", "New")]))
    assert database.ids() == made[1:]


def test_if_most_rows_seem_gone_none_is_touched(
    sandbox_crm: SandboxCrm, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_deletions, "_FEW", 2)
    made = leads(sandbox_crm, 10)
    run_task(load())
    never = [equals("status", "Recycled")]
    with pytest.raises(EspoError, match="More than 5 rows of leads have no record any more, so that none was touched"):
        run_task(load(deleted="remove", where=never))
    assert database.ids() == made
    assert run_task(load(deleted="remove", where=never, max_deleted_share=1))["deleted"] == 10


def test_ids_of_a_large_table_are_read_page_by_page(
    sandbox_crm: SandboxCrm, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_deletions, "_PAGE", 4)
    made = leads(sandbox_crm, 12)
    run_task(load())
    for one in (made[0], made[7], made[11]):
        delete(sandbox_crm, one)
    assert run_task(load(deleted="remove"))["deleted"] == 3
    assert database.ids() == [one for one in made if one not in (made[0], made[7], made[11])]


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
