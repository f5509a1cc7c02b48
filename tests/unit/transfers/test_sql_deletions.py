"""Rows whose records are gone are removed or marked, and none by mistake."""

from __future__ import annotations

import pytest

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.transfers import sql_deletions
from airflow_provider_espo.where import equals
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.transfers.changes import delete, leads
from tests.unit.transfers.databases import Database
from tests.unit.transfers.loading import incremental, load
from tests.unit.transfers.running import Runs


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
