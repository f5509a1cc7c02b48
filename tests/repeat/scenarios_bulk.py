"""Many records from rows, files and a table."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
from airflow_provider_espo.transfers.to_espo import ObjectStorageToEspoOperator, SqlToEspoOperator
from tests.repeat.harness import Run, Scenario
from tests.repeat.scenarios_sql import WAREHOUSE, database

if TYPE_CHECKING:
    from tests.repeat.crm import Crm

COUNTS = ("created", "updated", "unchanged", "deleted", "skipped", "missing")
FILES = "the result files' progress; then "
NAMES = ("Ada", "Ben", "Cem", "Dee")


def rows_of(run: Run) -> list[dict[str, str]]:
    """Rows for new leads."""
    return [
        {"firstName": name, "lastName": run.tag, "emailAddress": f"{name}.{run.tag}@example.com", "status": "Assigned"}
        for name in NAMES
    ]


def one_there(crm: Crm, run: Run) -> dict[str, Any]:
    """One of the leads is there already; the rows are in a file and in a table, too."""
    crm.create("Lead", **{**rows_of(run)[1], "status": "New"})
    (run.folder / "leads.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows_of(run)), encoding="utf-8")
    with (run.folder / "leads.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows_of(run)[0])
        writer.writeheader()
        writer.writerows(rows_of(run))
    with closing(database()) as connection, connection:
        connection.execute(f"CREATE TABLE {run.tag} (first TEXT, last TEXT, mail TEXT, status TEXT)")
        connection.executemany(
            f"INSERT INTO {run.tag} VALUES (?, ?, ?, ?)", [tuple(row.values()) for row in rows_of(run)]
        )
    return {}


def all_there(crm: Crm, run: Run) -> dict[str, Any]:
    """The leads are all there."""
    return {"ids": [crm.create("Lead", **{**row, "status": "New"}) for row in rows_of(run)]}


def _told(_crm: Crm, run: Run, result: Any) -> Any:
    """What the result says, and of how many rows the files tell. Of rows a dead try wrote it is seen that they are."""
    paths = list(Path(run.folder).glob("results/*.ndjson"))
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    numbers = result and {"done": sum(result[name] for name in COUNTS), "failed": result["failed"]}
    return {"result": numbers, "rows": sorted({json.loads(line)["index"] for line in lines}), "lines": len(lines)}


def _write(run: Run, **more: Any) -> dict[str, Any]:
    return {"entity_type": "Lead", "chunk_size": 3, "results_path": str(run.folder / "results"), **more}


SCENARIOS = (
    Scenario(
        "create of rows",
        EspoBulkWriteOperator,
        lambda run: _write(run, operation="create", rows=rows_of(run), on_duplicate="force"),
        FILES + "creator, time since the chunk began, all values",
        look=_told,
    ),
    Scenario(
        "create of rows, without result files",
        EspoBulkWriteOperator,
        lambda run: _write(run, operation="create", rows=rows_of(run), on_duplicate="force", results_path=None),
        "finished chunks in the task state store; then creator, time since the chunk began, all values",
        look=_told,
    ),
    Scenario(
        "create of rows by import",
        EspoBulkWriteOperator,
        lambda run: _write(
            run, operation="create", rows=rows_of(run), on_duplicate="force", match_by="emailAddress", route="import"
        ),
        FILES + "creator, time since the chunk began, match_by",
        look=_told,
    ),
    Scenario(
        "upsert of a CSV file by import",
        EspoBulkWriteOperator,
        lambda run: _write(
            run, operation="upsert", path=str(run.folder / "leads.csv"), match_by="emailAddress", route="import"
        ),
        FILES + "match_by",
        one_there,
        _told,
    ),
    Scenario(
        "update by mass action",
        EspoBulkWriteOperator,
        lambda run: _write(
            run,
            operation="update",
            rows=[{"id": one, "status": "Dead"} for one in run.made["ids"]],
            route="mass_action",
        ),
        FILES + "the records' values",
        all_there,
        _told,
    ),
    Scenario(
        "delete",
        EspoBulkWriteOperator,
        lambda run: _write(run, operation="delete", rows=[{"id": one} for one in run.made["ids"][:3]]),
        FILES + "the ids: one that is gone is a success",
        all_there,
        _told,
    ),
    Scenario(
        "upsert",
        ObjectStorageToEspoOperator,
        lambda run: _write(run, operation="upsert", path=str(run.folder / "leads.ndjson"), match_by="emailAddress"),
        FILES + "match_by, then the records' values",
        one_there,
        _told,
    ),
    Scenario(
        "upsert",
        SqlToEspoOperator,
        lambda run: _write(
            run,
            operation="upsert",
            sql=f"SELECT * FROM {run.tag} ORDER BY mail",
            sql_conn_id=WAREHOUSE,
            columns={"first": "firstName", "last": "lastName", "mail": "emailAddress"},
            match_by="emailAddress",
        ),
        FILES + "match_by, then the records' values",
        one_there,
        _told,
    ),
)
