"""Exports records to a file: which records and attributes, and how values are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, attachments
from airflow_provider_espo.sandbox.definition_lines import PARTS as DECLARED_PARTS
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.labels import field_label, type_plural
from airflow_provider_espo.sandbox.notes import PARTS
from airflow_provider_espo.sandbox.search import SearchParams, build
from airflow_provider_espo.sandbox.spreadsheet import csv_line, write_workbook

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef
    from airflow_provider_espo.sandbox.jobs import Checkpoint
    from airflow_provider_espo.sandbox.users import CurrentUser

FORMATS: Mapping[str, str] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: Records that are read at a time.
BATCH = 2000
NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """An export as it was asked for.

    :param search: search parameters as they were sent
    :param attribute_list: attributes; None for those of the fields
    :param field_list: fields; None for none
    """

    entity_type: str
    format: str
    search: Mapping[str, Any]
    attribute_list: list[str] | None
    field_list: list[str] | None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ExportOrder:
        """Read a request. A search goes before ids; without ids, or with none in the list, all records are meant.

        :raises ApiError: 400 without an entity type
        """
        if not body.get("entityType"):
            raise ApiError(400, "No entityType.")
        where, search = body.get("where"), body.get("searchParams", body.get("selectData"))
        raw = dict(search) if isinstance(search, dict) else {}
        if where is not None:
            raw["where"] = where
        if where is None and search is None and body.get("ids"):
            raw["where"] = [{"type": "in", "attribute": "id", "value": body["ids"]}]
        for name in ("select", "maxSize", "offset"):
            raw.pop(name, None)
        attribute_list, field_list = body.get("attributeList"), body.get("fieldList")
        return cls(
            entity_type=str(body["entityType"]),
            format=str(body.get("format") or "csv"),
            search=raw,
            attribute_list=attribute_list if isinstance(attribute_list, list) else None,
            field_list=field_list if isinstance(field_list, list) else None,
        )


def check(sandbox: Sandbox, user: CurrentUser, entity_type: str) -> EntityDef:
    """Whether a user may export records of a type.

    :raises ApiError: 403, 500 if there is no such type
    """
    if acl.permission(user, "export") == "no":
        raise ApiError(403, "No 'export' permission.")
    entity_def = sandbox.storage.definitions.get(entity_type)
    if entity_def is None:
        raise ApiError(500)
    if not acl.may(user, entity_type, "read"):
        raise ApiError(403, "No 'read' access.")
    return entity_def


def export(sandbox: Sandbox, user: CurrentUser, order: ExportOrder, checkpoint: Checkpoint = lambda: None) -> str:
    """Write a file.

    :return: id of its attachment
    :raises ApiError: 400 for a search that makes no sense, 403, 500 for an unknown format
    """
    entity_def = check(sandbox, user, order.entity_type)
    if order.format not in FORMATS:
        raise ApiError(500)
    rows = records_of(sandbox, user, entity_def, order, checkpoint)
    values = {
        "name": f"Export_{entity_def.name}.{order.format}",
        "type": FORMATS[order.format],
        "role": "Export File",
    }
    file_id = attachments.add_file(sandbox, user, values, b"")
    try:
        if order.format == "csv":
            write_csv(sandbox, file_id, attributes_of(user, entity_def, order), rows)
        else:
            fields = order.field_list or attributes_of(user, entity_def, order)
            path = sandbox.files.path(file_id)
            write_workbook(path, type_plural(entity_def.name), sheet_rows(entity_def, fields, rows))
    except BaseException:
        sandbox.storage.update("Attachment", file_id, {"deleted": 1})
        sandbox.files.remove(file_id)
        raise
    sandbox.storage.update("Attachment", file_id, {"size": sandbox.files.size(file_id)})
    return file_id


def write_csv(sandbox: Sandbox, file_id: str, names: list[str], rows: Iterator[Mapping[str, Any]]) -> None:
    """Write records as CSV, a part at a time."""
    lines = [csv_line(names)]
    for row in rows:
        lines.append(csv_line(row.get(name) for name in names))
        if len(lines) >= BATCH:
            sandbox.files.append(file_id, "".join(lines).encode())
            lines = []
    sandbox.files.append(file_id, "".join(lines).encode())


def sheet_rows(entity_def: EntityDef, names: list[str], rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """Rows of a sheet, the first with the labels of the fields."""
    known = [name for name in names if name == "id" or name in entity_def.fields or name in entity_def.attributes]
    yield [field_label(name) for name in known]
    for row in rows:
        yield [sheet_value(entity_def.fields.get(name), name, row) for name in known]


def sheet_value(field_def: FieldDef | None, name: str, row: Mapping[str, Any]) -> Any:
    """A field of a record in one cell."""
    match field_def.type if field_def else "":
        case "link" | "linkOne" | "linkParent" | "file" | "image":
            return row.get(f"{name}Name")
        case "linkMultiple" | "attachmentMultiple":
            return ", ".join(str(value) for value in (row.get(f"{name}Names") or {}).values()) or None
        case "address":
            parts = [row.get(f"{name}{part}") for part in ("Street", "City", "State", "PostalCode", "Country")]
            return ", ".join(str(part) for part in parts if part) or None
        case "datetimeOptional":
            return row.get(f"{name}Date") or row.get(name)
    value = row.get(name)
    return ", ".join(map(str, value)) if isinstance(value, list | dict) else value


def attributes_of(user: CurrentUser, entity_def: EntityDef, order: ExportOrder) -> list[str]:
    """Attributes that are written: those that are asked for, as far as the user may see them."""
    hidden = acl.forbidden_fields(user, entity_def, "read")
    if order.attribute_list is not None:
        names = [str(name) for name in order.attribute_list]
    elif order.field_list is not None:
        names = [n for field_name in order.field_list for n in attributes_of_field(entity_def, str(field_name))]
    else:
        names = list(entity_def.attributes)
    found = []
    for name in names:
        attribute = entity_def.attributes.get(name)
        field_def = entity_def.fields.get(attribute.field) if attribute else None
        is_secret = field_def is not None and (field_def.name in hidden or "internal" in field_def.flags)
        if name != "deleted" and not is_secret:
            found.append(name)
    return found


def attributes_of_field(entity_def: EntityDef, name: str) -> list[str]:
    """Attributes of a field; none for a field that is not there."""
    if name == "id":
        return ["id"]
    field_def = entity_def.fields.get(name)
    if field_def is None:
        return []
    if field_def.type == "personName":
        found = [*DECLARED_PARTS["personName"], name]
    else:
        found = [name + part for part in PARTS.get(field_def.type, ("",))]
        found += [f"{name}Columns"] if field_def.columns else []
        found += [f"{name}Data"] if field_def.type in ("email", "phone") else []
    return [n for n in found if n in entity_def.attributes]


def records_of(
    sandbox: Sandbox, user: CurrentUser, entity_def: EntityDef, order: ExportOrder, checkpoint: Checkpoint
) -> Iterator[dict[str, Any]]:
    """Records of an export, in order; the search is checked at once.

    :raises ApiError: 400, 403, 500
    """
    wanted = {"id", *attributes_of(user, entity_def, order)}
    for name in order.field_list or ():
        wanted |= set(attributes_of_field(entity_def, str(name)))
    chosen = [a for a in entity_def.attributes.values() if a.name in wanted and a.source != "middle"]
    restriction = acl.restriction(user, entity_def)
    params = replace(SearchParams.from_raw(order.search, limit=NO_LIMIT), select=None)
    query = build(sandbox.storage, entity_def, params, user, conditions=[restriction] if restriction else [])
    ids = sandbox.storage.column(*query.ids())

    def read() -> Iterator[dict[str, Any]]:
        plain = [a for a in chosen if a.expression is not None]
        columns = ", ".join(f'{a.sql("t")} AS "{a.name}"' for a in plain)
        for start in range(0, len(ids), BATCH):
            checkpoint()
            batch = ids[start : start + BATCH]
            marks = ", ".join("?" * len(batch))
            sql = f'SELECT {columns} FROM "{entity_def.name}" t WHERE t.id IN ({marks})'  # noqa: S608
            by_id = {row["id"]: row for row in sandbox.storage.rows(sql, batch)}
            rows = [by_id[i] for i in batch if i in by_id]
            yield from sandbox.serializer.page(entity_def, rows, chosen, user, max_text=NO_LIMIT, stars=False)

    return read()
