"""Rows written by EspoCRM's import, with an outcome for each.

An import says which rows it refused by their place in the file, and which records it made or changed, but not of which
row. So these are told by their key. What it says nothing of is left to be looked up and written by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from airflow_provider_espo.client.bodies import Work
from airflow_provider_espo.client.bulk.importable import csv_of
from airflow_provider_espo.client.errors import EspoJobError
from airflow_provider_espo.client.moments import utc_text
from airflow_provider_espo.client.operations.bulk_lanes import Lane, Row
from airflow_provider_espo.client.operations.bulk_rows import has_key
from airflow_provider_espo.client.operations.imports import import_errors, start_import, upload_import_file
from airflow_provider_espo.client.operations.jobs import job_status
from airflow_provider_espo.client.operations.keys import Key, MatchKey
from airflow_provider_espo.client.operations.listing import list_records, list_related
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import FileOperation, Operation

T = TypeVar("T")

#: Rows of one import: as many as EspoCRM tells errors of at once. Fewer, where more can be at work side by side.
_MOST_ROWS: Final = 200
_LEAST_ROWS: Final = 50
_SIDE_BY_SIDE: Final = 4

#: Seconds between looks at an import, and for how long it is looked at.
_POLL: Final = 2.0
_PATIENCE: Final = 1800.0

_UNFINISHED: Final = ("Standby", "Pending", "In Process")


@dataclass(frozen=True)
class Imported:
    """What became of the rows of an import; of those that are in neither nothing is known.

    :param done: ids of records by the place of their row.
    :param failed: why rows were refused, by their place, without their values.
    """

    done: Mapping[int, str]
    failed: Mapping[int, str]


def import_lanes(rows: Sequence[Row]) -> list[Lane]:
    """Cut rows into parts of about one size, an import each."""
    if not rows:
        return []
    number = max(-(-len(rows) // _MOST_ROWS), min(_SIDE_BY_SIDE, len(rows) // _LEAST_ROWS), 1)
    size, larger = divmod(len(rows), number)
    lanes, start = [], 0
    for place in range(number):
        end = start + size + (place < larger)
        lanes.append(list(rows[start:end]))
        start = end
    return lanes


def import_new(key: MatchKey, lane: Sequence[Row]) -> FileOperation[Imported]:
    """Have records created by an import, duplicates or not.

    :param key: tells which record was made of which row; no two rows have the same.
    :param lane: places and values, all for the same attributes.
    """
    names = sorted(lane[0][1])
    job_id = yield from _carried_out(key, names, lane, action="create")
    made = yield from list_related(key.state, "Import", job_id, "imported", select=list(key.names), validate=False)
    places = {key.of(wire): place for place, wire in lane}
    done = {}
    for record in made:
        made_of = _key_of(key, record)
        if made_of in places:
            done[places[made_of]] = str(record["id"])
    return (yield from _told(key, job_id, lane, done))


def import_changes(key: MatchKey, lane: Sequence[Row]) -> FileOperation[Imported]:
    """Have records changed by an import.

    :param key: of which only the connection and the entity type matter.
    :param lane: places and values, the record's ``id`` among them.
    """
    names = ["id", *sorted(lane[0][1].keys() - {"id"})]
    job_id = yield from _carried_out(key, names, lane, action="update")
    changed = yield from list_related(key.state, "Import", job_id, "updated", select=["id"], validate=False)
    ids = {str(record["id"]) for record in changed}
    done = {place: wire["id"] for place, wire in lane if wire["id"] in ids}
    return (yield from _told(key, job_id, lane, done))


def wait_for_imports(state: ClientState, entity_type: str, since: datetime) -> FileOperation[int]:
    """Wait until no import is at work that an earlier try may have started.

    EspoCRM goes on with an import whose client is gone: what it will still make must not be taken for missing.

    :param entity_type: of the imported records.
    :param since: when it was started at the earliest.
    :return: imports that were started since.
    :raises EspoJobError: one does not end.
    """
    user_id = yield from my_user_id(state)
    where = [
        {"type": "equals", "attribute": "createdById", "value": user_id},
        {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": utc_text(since - CLOCK_SKEW)},
        {"type": "equals", "attribute": "entityType", "value": entity_type},
    ]

    def look() -> Operation[tuple[bool, int]]:
        found = yield from list_records(state, "Import", where=where, select=["status"], validate=False)
        return all(one.get("status") not in _UNFINISHED for one in found), len(found)

    return (yield from _until(look, f"An import of {entity_type} that an earlier try may have started"))


def _carried_out(key: MatchKey, names: list[str], lane: Sequence[Row], *, action: Any) -> FileOperation[str]:
    """Import the rows and return the import's id when it is at its end."""
    state, content = key.state, csv_of(names, (wire for _, wire in lane))
    uploaded = yield from upload_import_file(state, content)
    started = yield from start_import(
        state,
        key.entity_type,
        uploaded["attachment_id"],
        names,
        action=action,
        update_by=["id"] if action == "update" else None,
        # Nothing is kept back by it: records would be marked as duplicates and created all the same.
        skip_duplicate_check=True,
        background=False,
        # The names were checked with all others.
        validate=False,
    )
    job_id = str(started["job_id"])

    def look() -> Operation[tuple[bool, None]]:
        job = yield from job_status(state, "import", job_id)
        return bool(job["finished"]), None

    # Done with the answer, unless that got lost.
    yield from _until(look, f"EspoCRM's import {job_id}")
    return job_id


def _told(key: MatchKey, job_id: str, lane: Sequence[Row], done: Mapping[int, str]) -> Operation[Imported]:
    """Tell what became of the rows of which no record was made or changed."""
    failed: dict[int, str] = {}
    if len(done) < len(lane):
        for error in (yield from import_errors(key.state, job_id, limit=_MOST_ROWS))["errors"]:
            line = error["line"]
            # The first line of the file is its header; no value has a line break in EspoCRM's count of rows.
            if isinstance(line, int) and 2 <= line < len(lane) + 2 and lane[line - 2][0] not in done:
                failed[lane[line - 2][0]] = _reason(error)
    return Imported(done, failed)


def _reason(error: Mapping[str, Any]) -> str:
    fields = ", ".join(f"field: {field}, type: {rule}" for field, rule in error["fields"].items())
    return f"EspoCRM's import refused the row ({error['type'] or 'no reason given'}){': ' if fields else ''}{fields}"


def _key_of(key: MatchKey, record: Mapping[str, Any]) -> Key | None:
    return key.of(record) if has_key(key, record) else None


def _until(look: Callable[[], Operation[tuple[bool, T]]], what: str) -> FileOperation[T]:
    """Look again and again until it is over."""
    waited = 0.0
    while True:
        over, result = yield from look()
        if over:
            return result
        if waited >= _PATIENCE:
            raise EspoJobError(
                f"{what} did not end within {_PATIENCE:g} seconds",
                kind="import",
                hint="Look at it in EspoCRM (Administration, Import). A retry waits on; remove it if it is stuck",
            )
        yield Work(lambda: time.sleep(_POLL))
        waited += _POLL
