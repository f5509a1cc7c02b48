"""Which rows EspoCRM's import takes as they are meant, and the file made of them.

An import reads texts where the API reads JSON, and is less strict: it cuts texts that are too long, takes the word
*null* for no value and an empty cell of a bool for false, leaves other empty cells out, and cuts seconds off times. So
a row goes that way only if nothing in it can be taken otherwise than the API would take it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_espo.client.csv_files import write_table

if TYPE_CHECKING:
    from airflow_provider_espo.client.attributes import Attribute
    from airflow_provider_espo.client.schema import EntitySchema

#: Field types whose attributes an import sets as the API does. Not links: the API refuses the id of a record that is
#: not there or that the user may not see, an import stores it.
_FIELD_TYPES: Final = frozenset(
    {"varchar", "url", "text", "enum", "int", "float", "currency", "bool", "date", "datetime"}
    | {"email", "phone", "personName", "address"}
)
_KINDS: Final = frozenset(
    {"string", "text", "enum", "email", "phone", "int", "float", "bool", "date", "datetime", "id"}
)
#: Kinds of attributes by which records can be told: EspoCRM gives them back as they were sent, but for letter case.
_KEY_KINDS: Final = frozenset({"string", "email", "id"})

#: Characters that every column has room for where the metadata names no limit.
_ROOM: Final = 100
_NUMBER: Final = re.compile(r"-?\d{1,15}(\.\d{1,12})?")
_PHONE: Final = re.compile(r"\+\d{6,15}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:00)?")

Wire = Mapping[str, Any]


def importable_names(schema: EntitySchema, names: Iterable[str], *, updating: bool = False) -> list[str]:
    """Return those of the attributes that an import sets as the API does.

    :param schema: of the entity type.
    :param names: attributes.
    :param updating: whether existing records are to be updated, found by their id.
    """
    return [name for name in names if (updating and name == "id") or _is_importable(schema.attribute(name), name)]


def is_importable_key(schema: EntitySchema, names: Sequence[str]) -> bool:
    """Whether the records that an import made can be told by the attributes of a key."""
    attributes = [schema.attribute(name) for name in names]
    return all(it is not None and it.kind in _KEY_KINDS and it.listed for it in attributes)


def uniform_rows(schema: EntitySchema, rows: Sequence[tuple[int, Wire]]) -> list[tuple[int, Wire]]:
    """Return those rows that an import takes as they are meant: all with values for the same attributes.

    :param schema: of the entity type.
    :param rows: places and values ready to be sent.
    """
    counted = Counter(frozenset(wire) for _, wire in rows)
    if not counted:
        return []
    # The largest group; of two that are as large the one that comes first.
    names, _ = max(counted.items(), key=lambda item: item[1])
    return [
        (place, wire)
        for place, wire in rows
        if wire.keys() == names and all(_is_taken(schema.attribute(name), value) for name, value in wire.items())
    ]


def csv_of(names: Sequence[str], wires: Iterable[Wire]) -> bytes:
    """Return rows as the file for an import, with a header.

    :param names: attributes of the columns.
    :param wires: values, all of these attributes each.
    """
    text = StringIO(newline="")
    write_table(text, names, wires)
    return text.getvalue().encode()


def _is_importable(attribute: Attribute | None, name: str) -> bool:
    if attribute is None or attribute.kind not in _KINDS or attribute.field_type not in _FIELD_TYPES:
        return False
    if attribute.field_type in ("email", "phone"):
        # Not the flags beside it: an import sets them for every address of the record.
        return name == attribute.field
    # Of an existing record an import would set it, the API does not.
    return attribute.writable and not attribute.create_only


def _is_taken(attribute: Attribute | None, value: Any) -> bool:
    """Whether an import reads the value as the API does."""
    if attribute is None:
        return False
    kind = attribute.kind
    if kind == "bool":
        return isinstance(value, bool)
    if kind in ("int", "float"):
        return not isinstance(value, bool) and _NUMBER.fullmatch(str(value)) is not None
    if not isinstance(value, str) or value != value.strip() or not value or value.lower() == "null" or "\r" in value:
        return False
    if kind in ("phone", "date", "datetime"):
        form = {"phone": _PHONE, "date": _DATE, "datetime": _MINUTE}[kind]
        return form.fullmatch(value) is not None
    return len(value) <= (attribute.max_length or (_ROOM if kind != "text" else len(value)))
