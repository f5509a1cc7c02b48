"""Fields that take files: which there are, and giving uploaded files to records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_espo.client.errors import (
    EspoApiError,
    EspoError,
    EspoInputError,
    EspoNothingDoneError,
    EspoUnknownNameError,
    EspoVersionConflictError,
)
from airflow_provider_espo.client.moments import parse
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW
from airflow_provider_espo.client.operations.schema import checked_schema
from airflow_provider_espo.client.operations.stored_files import record_of
from airflow_provider_espo.client.operations.system import metadata, my_user_id
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)

_ONE_FILE: Final = frozenset({"file", "image"})
_MANY_FILES: Final = frozenset({"attachmentMultiple"})
_MOST_CONFLICTS: Final = 5


@dataclass(frozen=True)
class FileField:
    """A field that takes files."""

    name: str
    takes_one: bool

    @property
    def attribute(self) -> str:
        """Attribute with the id or ids."""
        return f"{self.name}Id" if self.takes_one else f"{self.name}Ids"

    def held_by(self, record: Mapping[str, Any]) -> list[str]:
        """Ids of the files that a record has."""
        value = record.get(self.attribute)
        return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []

    def attributes(self, ids: list[str]) -> dict[str, Any]:
        """Attributes that give a record these files."""
        return {self.attribute: ids[0] if self.takes_one else ids}


def file_field(state: ClientState, entity_type: str, field: str) -> Operation[FileField]:
    """Look whether a field takes files."""

    def check(schema: EntitySchema) -> None:
        if schema.fields.get(field) not in _ONE_FILE | _MANY_FILES:
            takers = sorted(name for name, kind in schema.fields.items() if kind in _ONE_FILE | _MANY_FILES)
            these = f"Those that do: {', '.join(takers)}" if takers else "It has no field that does"
            raise EspoUnknownNameError(f"{entity_type} has no field {field!r} that takes files", hint=these)

    if not isinstance(field, str) or not field:
        raise EspoInputError("field is not the name of a field")
    schema = yield from checked_schema(state, entity_type, check)
    return FileField(field, schema.fields[field] in _ONE_FILE)


def attach_file(
    state: ClientState, entity_type: str, record_id: str, field: str, attachment_id: str, *, replace: bool = False
) -> Operation[Record]:
    """Give an uploaded file to a record.

    A field for one file (``file`` of a document) then holds this one. A field for several (``attachments``) gets it
    beside those it has: EspoCRM wants the whole list, so it is read before. Where the entity type has optimistic
    concurrency control, a change of the list meanwhile is noticed and nothing gets lost; otherwise let no two tasks
    attach to the same record at the same time. A file that is there already is a success, so it may be tried again.

    :param entity_type: such as ``Document``.
    :param record_id: the record's id.
    :param field: field that takes files, such as ``file`` or ``attachments``.
    :param attachment_id: id that the upload returned.
    :param replace: take the files away that a field for several has.
    :return: ``{"id", "action"}``: id of the record, action ``updated`` or ``unchanged``.
    :raises EspoNotFoundError: no such record.
    :raises EspoForbiddenError: no such file, or the user may not use it or edit the record.
    :raises EspoNothingDoneError: EspoCRM answered that it did, and did not.
    """
    record_id_segment(attachment_id)
    taker = yield from file_field(state, entity_type, field)
    path = record_path(entity_type, record_id_segment(record_id))
    conflicts = 0
    while True:
        reading = build_request("GET", path)
        record = expect_object(reading, (yield reading))
        held = taker.held_by(record)
        wanted = [attachment_id] if replace or taker.takes_one else [*held, attachment_id]
        if held == wanted or (attachment_id in held and not replace):
            return {"id": record_id, "action": "unchanged"}
        version = record.get("versionNumber")
        headers = {} if version is None else {"X-Version-Number": str(version)}
        writing = build_request("PUT", path, json=taker.attributes(wanted), headers=headers)
        try:
            answer = expect_object(writing, (yield writing))
        except EspoVersionConflictError:
            conflicts += 1
            if conflicts > _MOST_CONFLICTS:
                raise
            continue
        if taker.attribute in answer and attachment_id not in taker.held_by(answer):
            raise EspoNothingDoneError(
                f"EspoCRM did not put the file into {field}",
                status=200,
                method=writing.method,
                path=path,
                hint="Check that the user may edit the field, and that the file was uploaded for it",
            )
        return {"id": record_id, "action": "updated"}


def find_attached(
    state: ClientState, entity_type: str, record_id: str, field: str, *, name: str, size: int, since: datetime
) -> Operation[str | None]:
    """Look whether a record holds a file that the connection's user uploaded since a time.

    :param entity_type: such as ``Document``.
    :param record_id: the record's id.
    :param field: field that takes files.
    :param name: the file's name.
    :param size: its size in bytes.
    :param since: when it was uploaded at the earliest, give or take two minutes of the clocks.
    :return: the file's id, ``None`` if there is none.
    """
    taker = yield from file_field(state, entity_type, field)
    reading = build_request("GET", record_path(entity_type, record_id_segment(record_id)))
    held = taker.held_by(expect_object(reading, (yield reading)))
    if not held:
        return None
    user_id = yield from my_user_id(state)
    # The one uploaded last stands last.
    for attachment_id in reversed(held):
        record = yield from record_of(attachment_id)
        if record is None or record.get("name") != name or record.get("size") != size:
            continue
        if record.get("createdById") == user_id and _made_since(record, since):
            return attachment_id
    return None


def explain_refusal(state: ClientState, error: EspoApiError, entity_type: str, field: str) -> Operation[None]:
    """Add to a refusal what the field takes."""
    if (error.reason or "").startswith("No "):
        # "No access to Document.": that is about rights and not about the file.
        return
    try:
        definition = yield from metadata(state, f"entityDefs.{entity_type}.fields.{field}")
    except EspoError:
        return
    facts = definition if isinstance(definition, dict) else {}
    accepted, most = facts.get("accept"), facts.get("maxFileSize")
    told = []
    if isinstance(accepted, list) and accepted:
        told.append(f"takes {', '.join(map(str, accepted))}")
    if isinstance(most, int | float) and most:
        told.append(f"takes up to {most:g} MB")
    if told:
        error.hint = f"Field {field!r} {' and '.join(told)}"


def _made_since(record: Mapping[str, Any], since: datetime) -> bool:
    made = parse(str(record.get("createdAt") or ""))
    return made is not None and made.replace(tzinfo=made.tzinfo or UTC) >= since - CLOCK_SKEW
