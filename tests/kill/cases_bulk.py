"""Bulk writes: each row is written once, and says once what became of it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
from tests.kill.cases import CrmCase
from tests.kill.datasets import local_files
from tests.kill.driver import Lead

Row = dict[str, Any]
#: A value that EspoCRM refuses.
BAD = {"status": "No such status"}


class BulkCase(CrmCase):
    """One bulk write."""

    operation: str

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        # What is finished is kept in the results, or else in the task state store.
        self.keeps_results = not self.world.stores or chance.random() < 0.7
        # Clocks differ.
        self.crm.ahead = timedelta(seconds=chance.choice((0, 0, -100, 100)))

    @contextmanager
    def set_up(self) -> Iterator[None]:
        # Whoever waits for a job of EspoCRM's makes the time pass.
        with super().set_up(), self.crm.waiting():
            yield

    def connections(self) -> dict[str, dict[str, Any]]:
        return {**super().connections(), "source": {"conn_type": "sqlite", "host": str(self._source_database)}}

    @property
    def _source_database(self) -> Path:
        return self.world.databases / "source.sqlite"

    def source(self, rows: list[Row]) -> Row:
        """Give rows in one of the ways there are."""
        way = self.chance.choice(("rows", "ndjson", "csv", "ndjson.gz", "sql"))
        names = list(dict.fromkeys(name for row in rows for name in row))
        if way == "rows":
            return {"rows": rows}
        if way == "sql":
            columns = ", ".join(f'"{name}"' for name in names)
            with closing(sqlite3.connect(self._source_database)) as connection, connection:
                connection.execute(f"CREATE TABLE source (number INTEGER PRIMARY KEY, {columns})")
                values = [[number, *(row.get(name) for name in names)] for number, row in enumerate(rows)]
                connection.executemany(f"INSERT INTO source VALUES ({', '.join('?' * (len(names) + 1))})", values)
            return {"sql": f"SELECT {columns} FROM source ORDER BY number", "sql_conn_id": "source"}
        path = self.world.databases / f"input.{way}"
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if way == "csv":
            out = io.StringIO()
            writer = csv.DictWriter(out, names)
            writer.writeheader()
            writer.writerows(rows)
            text = out.getvalue()
        path.write_bytes(gzip.compress(text.encode()) if way.endswith(".gz") else text.encode())
        return {"path": str(path)}

    def write(self, lead: Lead, rows: list[Row], **more: Any) -> Row:
        """Write rows; returns the task's result."""
        task = EspoBulkWriteOperator(
            task_id="write",
            entity_type="Lead",
            operation=self.operation,
            chunk_size=self.chance.choice((3, 8, 500)),
            max_failures=len(rows),
            results_path=str(self.world.out / "results") if self.keeps_results else None,
            **self.source(rows),
            **more,
        )
        result: Row = lead(task)
        return result

    def outcomes(self) -> dict[str, list[Row]]:
        """Return what the result files say, by outcome."""
        found: dict[str, list[Row]] = {"ok": [], "failed": [], "skipped": []}
        for name, content in local_files(self.world.out / "results").items():
            outcome = name.partition("-")[0]
            if outcome in found:
                found[outcome] += [json.loads(line) for line in content.decode().splitlines()]
        return found

    def check_outcomes(self, rows: list[Row], result: Mapping[str, Any], bad: int) -> None:
        """Every row has one outcome, and the counts say the same."""
        if self.keeps_results:
            found = self.outcomes()
            assert sum(len(lines) for lines in found.values()) == len(rows), "a row has no outcome, or two"
            assert len(found["failed"]) == bad
        assert result["failed"] == bad
        written = sum(result[name] for name in ("created", "updated", "unchanged", "deleted", "missing", "skipped"))
        assert written == len(rows) - bad

    def names(self) -> Counter[str]:
        """Return the last names that are there, and how often."""
        return Counter(str(row["lastName"]) for row in self.crm.rows().values())


class CreateCase(BulkCase):
    """Creates, some rows of which are refused, and some of which are equal."""

    title = "BulkWrite: create, one by one"
    operation = "create"

    def play(self, lead: Lead) -> None:
        count = self.chance.randint(1, 25)
        on_duplicate = self.chance.choice(("fail", "force"))
        # Three people may well have one name, if EspoCRM is told to take them.
        names = range(20) if on_duplicate == "force" else range(count)
        numbers = [self.chance.choice(names) for _ in range(count)] if on_duplicate == "force" else list(names)
        rows: list[Row] = [{"firstName": "Ada", "lastName": f"new {number}", "status": "New"} for number in numbers]
        bad = self.chance.sample(range(count), self.chance.choice((0, 0, min(2, count))))
        for index in bad:
            rows[index] |= BAD
        # Some like them were there before.
        self.crm.add(3)
        old = self.names()
        result = self.write(lead, rows, route="records", on_duplicate=on_duplicate)
        wanted = Counter(row["lastName"] for index, row in enumerate(rows) if index not in bad)
        assert self.names() - old == wanted, "a record is lost or there twice"
        self.check_outcomes(rows, result, len(bad))


class UpsertCase(BulkCase):
    """Upserts by e-mail address, of which some are there."""

    title = "BulkWrite: upsert, one by one"
    operation = "upsert"

    def play(self, lead: Lead) -> None:
        count = self.chance.randint(1, 20)
        rows: list[Row] = [{"lastName": f"row {n}", "emailAddress": f"a{n}@example.com"} for n in range(count)]
        for row in self.chance.sample(rows, count // 3):
            self.crm.asker.create("Lead", lastName="old", emailAddress=row["emailAddress"])
        result = self.write(lead, rows, match_by="emailAddress", route="records")
        assert self.names() == Counter(row["lastName"] for row in rows)
        self.check_outcomes(rows, result, 0)


class ImportCase(BulkCase):
    """Creates and upserts by EspoCRM's own import."""

    title = "BulkWrite: create and upsert by EspoCRM's import"

    def play(self, lead: Lead) -> None:
        self.operation = self.chance.choice(("create", "upsert"))
        count = self.chance.randint(1, 25)
        rows: list[Row] = [{"lastName": f"row {n}", "emailAddress": f"a{n}@example.com"} for n in range(count)]
        if self.operation == "upsert":
            for row in self.chance.sample(rows, count // 3):
                self.crm.asker.create("Lead", lastName="old", emailAddress=row["emailAddress"])
        more = {"on_duplicate": "force"} if self.operation == "create" else {}
        result = self.write(lead, rows, match_by="emailAddress", route="import", **more)
        assert self.names() == Counter(row["lastName"] for row in rows)
        self.check_outcomes(rows, result, 0)


class ChangeCase(BulkCase):
    """Updates and deletes by id, of which some are gone, by single requests and by mass actions."""

    title = "BulkWrite: update and delete, one by one and by mass action"

    def play(self, lead: Lead) -> None:
        chance = self.chance
        ids = self.crm.add(chance.randint(2, 30))
        route = chance.choice(("records", "mass_action"))
        self.operation = chance.choice(("update", "delete"))
        chosen = chance.sample(ids, chance.randint(1, len(ids)))
        gone = {one for one in chosen if chance.random() < 0.1}
        for one in gone:
            self.crm.remove(one)
        rows: list[Row] = [{"id": one} for one in chosen]
        if self.operation == "update":
            for number, row in enumerate(rows):
                row["accountName"] = "ACME" if route == "mass_action" else f"Company {number}"
        result = self.write(lead, rows, route=route)
        found = self.crm.rows()
        if self.operation == "delete":
            assert set(found) == set(ids) - set(chosen)
            self.check_outcomes(rows, result, 0)
            return
        for row in rows:
            assert row["id"] in gone or found[row["id"]]["accountName"] == row["accountName"]
        untouched = set(ids) - set(chosen)
        assert all(found[one]["accountName"] is None for one in untouched)
        assert not self.keeps_results or sum(len(lines) for lines in self.outcomes().values()) == len(rows)
        assert result["updated"] + result["unchanged"] == len(rows) - len(gone)
