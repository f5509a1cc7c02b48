"""Extractions to a database: the table has in the end what the CRM has, each record once."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from airflow_provider_espo.transfers.sql import EspoToSqlOperator
from tests.kill.cases import CrmCase
from tests.kill.cases_files import SELECT, same
from tests.kill.driver import Lead

LAG = 300


class SqlCase(CrmCase):
    """Runs into one table of a SQLite database.

    :param chance: decides everything.
    :param folder: for files.
    """

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.database = self.world.databases / "warehouse.sqlite"
        self.outlets = [Asset("espo://crm.example.com/Lead")] if chance.random() < 0.7 else []

    def connections(self) -> dict[str, dict[str, Any]]:
        return {**super().connections(), "warehouse": {"conn_type": "sqlite", "host": str(self.database)}}

    def table(self) -> dict[str, dict[str, Any]] | None:
        """Return the table's rows by id; ``None`` if there is no table."""
        if not self.database.exists():
            return None
        with closing(sqlite3.connect(self.database)) as connection:
            connection.row_factory = sqlite3.Row
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'leads'").fetchall():
                return None
            rows = [dict(row) for row in connection.execute("SELECT * FROM leads")]
        found = {row["id"]: row for row in rows}
        assert len(found) == len(rows), "a record is there twice"
        return found

    def task(self, **more: Any) -> EspoToSqlOperator:
        """Return the task of a run."""
        return EspoToSqlOperator(
            task_id="load",
            entity_type="Lead",
            select=SELECT,
            sql_conn_id="warehouse",
            table="leads",
            page_size=self.chance.randint(3, 15),
            parts=self.chance.choice((None, 1, 3)),
            batch_rows=self.chance.choice((5, 20, 10_000)),
            outlets=self.outlets,
            **more,
        )

    def compare(self, *, deletions: bool) -> None:
        """Compare the table with the CRM."""
        there, loaded = self.crm.rows(), self.table()
        assert loaded is not None
        assert not there.keys() - loaded.keys(), "a record is lost"
        different = [one for one, record in there.items() if not same(loaded[one], record)]
        assert not different, f"the last change of {different} is lost"
        assert not deletions or loaded.keys() == there.keys(), "a deletion is lost"


class UpsertCase(SqlCase):
    """Incremental runs, or whole ones, that upsert by id and follow deletions."""

    title = "EspoToSql: upsert by id, deletions followed"

    def play(self, lead: Lead) -> None:
        chance = self.chance
        moments = [f"2025-11-{day:02d} 12:00:00" for day in range(1, chance.randint(1, 28) + 1)]
        self.crm.add(len(moments), moments=moments)
        deleted = chance.choice(("ignore", "remove"))
        more: dict[str, Any] = {"mode": "upsert", "deleted": deleted}
        if chance.random() < 0.7:
            more |= {"incremental_by": "modifiedAt", "lag": LAG}
            self.late = LAG - 60
        for run in range(3):
            for _ in range(chance.randint(0, 8)):
                self.crm.unrest(chance, late=self.late)
            self.crm.pass_time(chance.choice((0, 1, 10, 3600)))
            self.restless = chance.choice((0, 0.1))
            lead(self.task(**more), run_id=f"run{run}")
        self.restless = 0
        self.crm.pass_time(2)
        lead(self.task(**more), run_id="quiet")
        self.compare(deletions=deleted == "remove")


class ReplaceCase(SqlCase):
    """Whole loads, each in place of the last: a reader sees the old rows or the new ones."""

    title = "EspoToSql: replace"

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.allowed: list[Mapping[str, Any] | None] = [None]

    def inspect(self) -> None:
        found = self.table()
        assert (None if found is None else found.keys()) in [
            None if one is None else one.keys() for one in self.allowed
        ], f"the table is neither the old nor the new one: {None if found is None else len(found)} rows"

    def play(self, lead: Lead) -> None:
        self.crm.add(self.chance.randint(1, 60))
        # Before the first rows come in one transaction, the table is made.
        self.allowed.append({})
        for run in range(2):
            self.allowed.append(self.crm.rows())
            lead(self.task(mode="replace"), run_id=f"run{run}")
            self.compare(deletions=True)
            self.allowed = [self.table()]
            for _ in range(self.chance.randint(0, 9)):
                self.crm.unrest(self.chance)
