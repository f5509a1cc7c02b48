"""A table that is replaced has the old rows or the new ones, never some of each."""

from __future__ import annotations

import pytest

from tests.unit.running import Store, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import delete, leads
from tests.unit.transfers.databases import Database
from tests.unit.transfers.loading import load
from tests.unit.transfers.running import Runs

pytestmark = pytest.mark.usefixtures("noted_at_once")


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
