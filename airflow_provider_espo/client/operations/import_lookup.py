"""Look for an import that was started and whose id got lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoNotFoundError
from airflow_provider_espo.client.files import Measure
from airflow_provider_espo.client.moments import utc_text
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.stored_files import fetch
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_object, record_path

#: Imports to look at; a user who starts more in the time has no two alike among the newest.
_MAX_LOOKED_AT = 200


def find_import(state: ClientState, since: datetime, *, attachment_id: str) -> Operation[str | None]:
    """Look for an import by its file, which no other import has.

    :param since: when it was started at the earliest.
    :param attachment_id: id of the file.
    :return: the import's id, or ``None``.
    """
    for record in (yield from _mine(state, since)):
        if record.get("fileId") == attachment_id:
            return str(record["id"])
    return None


def find_import_of(
    state: ClientState, since: datetime, *, entity_type: str, columns: Sequence[str], size: int, sha256: str
) -> Operation[str | None]:
    """Look for an import by what it imports, where the file's id is not known any more.

    :param since: when it was started at the earliest.
    :param entity_type: entity type of the records.
    :param columns: attributes of the columns.
    :param size: the file's size in bytes.
    :param sha256: the file's checksum in hex digits.
    :return: the id of the import last started that has all of these, or ``None``.
    """
    for listed in (yield from _mine(state, since)):
        outgoing = build_request("GET", record_path("Import", listed["id"]))
        record = expect_object(outgoing, (yield outgoing))
        if record.get("entityType") != entity_type or record.get("attributeList") != list(columns):
            continue
        if (yield from _has_content(record.get("fileId"), size, sha256)):
            return str(record["id"])
    return None


def _mine(state: ClientState, since: datetime) -> Operation[list[Record]]:
    user_id = yield from my_user_id(state)
    search = Search(
        where=[
            {"type": "equals", "attribute": "createdById", "value": user_id},
            {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": utc_text(since)},
        ],
        select=["createdAt", "entityType", "fileId"],
        order_by="createdAt",
        order="desc",
    )
    pager = pager_for(search, state.config.page_size, limit=_MAX_LOOKED_AT)
    found: list[Record] = []
    while (page := (yield from next_page(pager, "Import"))) is not None:
        found.extend(page)
    return found


def _has_content(attachment_id: Any, size: int, sha256: str) -> Operation[bool]:
    measure = Measure()
    try:
        yield from fetch(attachment_id, measure)
    except (EspoNotFoundError, EspoForbiddenError):
        return False
    return (measure.size, measure.sha256) == (size, sha256)
