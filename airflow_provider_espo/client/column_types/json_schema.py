"""JSON Schema of the records of an extraction, as NDJSON files hold them: the server's own values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_espo.client.attributes import Kind
from airflow_provider_espo.client.column_types.columns import Column

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MOMENT_PATTERN = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"

_ADDRESS_FLAGS = {"primary": {"type": "boolean"}, "optOut": {"type": "boolean"}, "invalid": {"type": "boolean"}}


def json_schema(entity_type: str, columns: Iterable[Column]) -> dict[str, Any]:
    """Return the JSON Schema of a record.

    More attributes than these may be in a record: EspoCRM shows some that nobody asked for. Options of enums are given
    as examples, as records may have values that are options no more.

    :param entity_type: such as ``Lead``.
    :param columns: of the extraction.
    """
    columns = list(columns)
    return {
        "$schema": DIALECT,
        "title": entity_type,
        "type": "object",
        "properties": {column.name: _property(column) for column in columns},
        "required": [column.name for column in columns if not column.nullable],
        "additionalProperties": True,
    }


def _property(column: Column) -> dict[str, Any]:
    described = _SCHEMAS.get(column.kind, _anything)(column)
    types = described.get("type")
    if column.nullable and types is not None:
        described["type"] = [*types, "null"] if isinstance(types, list) else [types, "null"]
    return described


def _text(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string"}
    if column.max_length is not None:
        found["maxLength"] = column.max_length
    if column.options:
        found["examples"] = list(column.options)
    return found


def _list(column: Column) -> dict[str, Any]:
    items: dict[str, Any] = {}
    if column.items in {"string", "id"}:
        items = {"type": "string"}
        if column.options:
            items["examples"] = list(column.options)
    elif column.items == "int":
        items = {"type": "integer"}
    return {"type": "array", "items": items}


def _addresses(name: str, **more: Any) -> Callable[[Column], dict[str, Any]]:
    def described(_column: Column) -> dict[str, Any]:
        properties = {name: {"type": "string"}, **more, **_ADDRESS_FLAGS}
        return {"type": "array", "items": {"type": "object", "properties": properties, "required": [name]}}

    return described


def _plain(**said: Any) -> Callable[[Column], dict[str, Any]]:
    return lambda _column: dict(said)


def _anything(_column: Column) -> dict[str, Any]:
    return {}


# PHP writes an empty map as an empty list, hence the lists without items.
_SCHEMAS: Mapping[Kind, Callable[[Column], dict[str, Any]]] = {
    **dict.fromkeys(("id", "string", "text", "enum", "email", "phone"), _text),
    "int": _plain(type="integer"),
    "float": _plain(type="number"),
    "decimal": _plain(type=["string", "number"], description="A decimal number, as text to the last digit"),
    "bool": _plain(type="boolean"),
    "date": _plain(type="string", format="date"),
    "datetime": _plain(type="string", pattern=_MOMENT_PATTERN, description="A moment in UTC"),
    "ids": _list,
    "list": _list,
    "names": _plain(type=["object", "array"], additionalProperties={"type": ["string", "null"]}, maxItems=0),
    "columns": _plain(type=["object", "array"], additionalProperties={"type": ["object", "array"]}, maxItems=0),
    "object": _plain(type=["object", "array"]),
    "email_data": _addresses("emailAddress", lower={"type": "string"}),
    "phone_data": _addresses("phoneNumber", type={"type": ["string", "null"]}),
}
