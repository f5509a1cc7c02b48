"""A bulk write needs no more memory for many rows than for some."""

from __future__ import annotations

import json
import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_espo.client.bulk.limits import FailureLimit
from airflow_provider_espo.client.bulk.memory import FolderMemory
from airflow_provider_espo.client.bulk.preparing import Preparing
from airflow_provider_espo.client.bulk.results import ResultFiles
from airflow_provider_espo.client.bulk.routes import Choice
from airflow_provider_espo.client.bulk.shaping import Shaping
from airflow_provider_espo.client.bulk.work import BulkWrite
from airflow_provider_espo.client.bulk.writer import Written
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.operations.bulk import Outcome
from airflow_provider_espo.client.operations.keys import MatchKey
from airflow_provider_espo.client.schema import EntitySchema
from tests.unit.client.driving import make_state
from tests.unit.client.fake_definitions import DEFINITIONS


class Taking:
    """A writer that takes every row."""

    operation = "create"

    def write(self, rows: Any, **_: Any) -> Any:
        outcomes: list[Outcome] = [
            {"index": index, "id": f"{index:017x}", "action": "created", "error": None} for index, _ in rows
        ]
        return Written(outcomes, Choice("records", "in a test"))


def rows(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"lastName": f"L{number}", "emailAddress": f"l{number}@example.com", "description": "x" * 200}


def peak(folder: Path, count: int) -> int:
    schema = EntitySchema.from_entity_defs("Lead", DEFINITIONS["Lead"])
    key = MatchKey(make_state(), "Lead", ("emailAddress",), schema)
    files = Folder(str(folder))
    work = BulkWrite(
        writer=Taking(),  # type: ignore[arg-type]
        preparing=Preparing(key, "create", keyed=True, shaping=Shaping()),
        memory=FolderMemory(files),
        results=ResultFiles(files),
        limit=FailureLimit.of(0),
        chunk_size=500,
        run="run",
        task="task",
        log=logging.getLogger("test"),
    )
    tracemalloc.start()
    try:
        result = work.write(rows(count))
        return_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result["created"] == count
    assert json.loads((folder / "results.json").read_text())["rows"] == count
    return return_peak


def test_memory_is_that_of_a_chunk_however_many_rows_there_are(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few, many = peak(tmp_path / "few", 4_000), peak(tmp_path / "many", 20_000)
    assert many < few + 300_000
    assert many < 3_000_000
