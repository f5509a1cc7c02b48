"""What the server answers to a create and an update.

Neither is a fresh read: a create shows what was set, an update shows the record as it was loaded with what
was set on top, so that computed values (the role behind a contact's title, flags of an e-mail address) are
those from before the update.
"""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.attributes import name_sql
from airflow_provider_espo.sandbox.serialize import Serializer, fill_in_name

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.storage import Storage

#: Digits after the point of amounts that the server works out while it saves.
AMOUNT_DIGITS = 2


def created_record(storage: Storage, serializer: Serializer, change: Change) -> dict[str, Any]:
    """The answer to a create."""
    hidden = {f.name for f in change.entity_def.fields.values() if "internal" in f.flags or f.type == "autoincrement"}
    record: dict[str, Any] = {"id": change.id, "deleted": False}
    for name, value in change.values.items():
        attribute = change.entity_def.attributes.get(name)
        if attribute is not None and attribute.field not in hidden:
            record[name] = value
    record |= names_of_links(storage, change.entity_def, change.values, missing=True)
    record |= amounts(storage, change)
    record |= foreign_values(storage, change)
    record |= serializer.belongings(change.entity_def, change.id, change.user)
    fill_in_name(change.entity_def, record)
    secret = acl.forbidden_fields(change.user, change.entity_def, "read")
    attributes = change.entity_def.attributes
    return {n: v for n, v in record.items() if n not in attributes or attributes[n].field not in secret}


def updated_record(storage: Storage, serializer: Serializer, change: Change) -> dict[str, Any]:
    """The answer to an update."""
    record = {**change.old, **{k: v for k, v in change.values.items() if k in change.old or k in change.given}}
    record |= names_of_links(storage, change.entity_def, change.values, missing=False)
    record |= amounts(storage, change)
    record |= foreign_values(storage, change)
    fresh = serializer.belongings(change.entity_def, change.id, change.user)
    for field_def in change.entity_def.fields.values():
        columns = f"{field_def.name}Columns"
        # a set of links that was given without columns keeps the columns from before
        if f"{field_def.name}Ids" in change.given and columns in fresh and columns not in change.given:
            fresh[columns] = change.old.get(columns)
    record |= fresh
    for name in ("emailAddress", "phoneNumber"):
        if name in change.entity_def.fields and name not in change.values and name in change.old:
            record[name] = change.old[name]
    for name in [n for n in record if n in change.entity_def.attributes]:
        field_def_ = change.entity_def.fields.get(change.entity_def.attributes[name].field)
        if field_def_ is not None and "internal" in field_def_.flags:
            del record[name]
    fill_in_name(change.entity_def, record)
    return record


def names_of_links(storage: Storage, entity_def: EntityDef, values: dict[str, Any], *, missing: bool) -> dict[str, Any]:
    """``...Name`` of belongs-to links that are set.

    :param missing: also those that are not set, as None
    """
    found: dict[str, Any] = {}
    for attribute in entity_def.attributes.values():
        field_def = entity_def.fields.get(attribute.field)
        if field_def is None or field_def.not_storable or attribute.name != f"{field_def.name}Name":
            continue
        if field_def.type not in ("link", "file", "image", "linkParent"):
            continue
        key = f"{field_def.name}Id"
        if key not in values:
            if missing:
                found[attribute.name] = None
            continue
        link = entity_def.links[field_def.name]
        entity_type = values.get(link.type_key) if link.type_key else link.entity_type
        found[attribute.name] = name_of(storage, str(entity_type), values[key])
    return found


def name_of(storage: Storage, entity_type: str, record_id: str | None) -> str | None:
    """Name of a record that is not deleted."""
    sql = name_sql(entity_type, storage.definitions)
    if sql is None or record_id is None:
        return None
    query = f'SELECT {sql.replace("{t}", "t")} FROM "{entity_type}" t WHERE t.id = ? AND t.deleted = 0'
    name: str | None = storage.value(query, [record_id])
    return name


def amounts(storage: Storage, change: Change) -> dict[str, Any]:
    """Amounts in the base currency, of currency fields that are set."""
    found: dict[str, Any] = {}
    for attribute in change.entity_def.attributes.values():
        if attribute.source == "converted":
            amount = attribute.name.removesuffix("Converted")
            depends_on = {amount, f"{amount}Currency"}
        elif attribute.source == "sql" and "espo_rate" in (attribute.expression or ""):
            depends_on = {n for n in change.values if re.search(rf"\b{n}\b", attribute.expression or "")}
        else:
            continue
        if depends_on & change.values.keys():
            value = fresh_value(storage, change, attribute.name)
            found[attribute.name] = None if value is None else rounded(value)
    return {k: v for k, v in found.items() if v is not None or not change.is_new}


def rounded(value: float) -> float:
    """An amount with two digits, whole numbers without a fraction."""
    result = round(value + 1e-9, AMOUNT_DIGITS)
    return int(result) if result == int(result) else result


def fresh_value(storage: Storage, change: Change, attribute_name: str) -> Any:
    """An attribute as it is stored now."""
    attribute = change.entity_def.attributes[attribute_name]
    loaded = storage.load(change.entity_def, change.id, [attribute])
    return None if loaded is None else loaded[attribute_name]


def foreign_values(storage: Storage, change: Change) -> dict[str, Any]:
    """Fields of linked records that are shown here, of links that are set."""
    found: dict[str, Any] = {}
    for attribute in change.entity_def.attributes.values():
        field_def = change.entity_def.fields.get(attribute.field)
        if attribute.source == "foreign" and field_def is not None and field_def.type == "foreign":
            link = change.entity_def.links[str(attribute.link)]
            if link.key in change.values:
                found[attribute.name] = fresh_value(storage, change, attribute.name)
    return found
