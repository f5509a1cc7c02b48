"""Run after run loads what changed, and nothing is forgotten because a run failed or a table is another."""

from __future__ import annotations

import pytest

from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import leads
from tests.unit.transfers.databases import Database
from tests.unit.transfers.loading import incremental
from tests.unit.transfers.running import Runs


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
