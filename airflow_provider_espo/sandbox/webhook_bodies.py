"""What a webhook says of a change: everything that was set, what is different, or the attributes of one field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.answers import amounts, names_of_links, updated_record
from airflow_provider_espo.sandbox.record_input import owning_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef
    from airflow_provider_espo.sandbox.serialize import Serializer
    from airflow_provider_espo.sandbox.storage import Storage

#: They move with every save, so that they are no news.
SKIPPED_ON_UPDATE = frozenset({"modifiedAt", "versionNumber", "streamUpdatedAt"})
NAME_PARTS = frozenset({"salutationName", "firstName", "lastName", "middleName"})


def created_body(storage: Storage, serializer: Serializer, change: Change) -> dict[str, Any]:
    """A new record: what was set. Attributes that nobody set, and names of linked records, are not in it."""
    belongings = serializer.belongings(change.entity_def, change.id, change.user)
    values = {"id": change.id, "deleted": False, **shown(change.entity_def, change.values)}
    values |= amounts(storage, change) | address_lists(change.entity_def, belongings, values)
    body = ordered(change.entity_def, values)
    if "isFollowed" in belongings:
        body["isFollowed"] = belongings["isFollowed"]
    return body


def changed_values(storage: Storage, serializer: Serializer, change: Change) -> dict[str, Any]:
    """Attributes of an updated record that are different now, without its id; empty if nothing is."""
    changed = {name for name in change.values if change.is_changed(name) and name not in SKIPPED_ON_UPDATE}
    values = shown(change.entity_def, {name: change.values[name] for name in changed})
    if not values:
        return {}
    values |= names_of_links(storage, change.entity_def, values, missing=False)
    values |= {n: v for n, v in amounts(storage, change).items() if n.removesuffix("Converted") in values}
    belongings = serializer.belongings(change.entity_def, change.id, change.user)
    values |= address_lists(change.entity_def, belongings, values)
    return ordered(change.entity_def, values)


def field_body(
    storage: Storage, serializer: Serializer, change: Change, field_name: str, changed: Iterable[str]
) -> dict[str, Any] | None:
    """All attributes of a field of an updated record, or None if none of them has changed.

    :param changed: attributes that are different now
    """
    names = attributes_of_field(change.entity_def, change.entity_def.fields[field_name])
    if names.isdisjoint(changed):
        return None
    record = updated_record(storage, serializer, change)
    values = {name: record.get(name) for name in change.entity_def.attributes if name in names}
    return {"id": change.id, **values}


def attributes_of_field(entity_def: EntityDef, field_def: FieldDef) -> set[str]:
    """Attributes that belong to a field, with those of its parts."""
    names = {a.name for a in entity_def.attributes.values() if a.field == field_def.name}
    match field_def.type:
        case "address" | "datetimeOptional":
            names |= {a.name for a in entity_def.attributes.values() if owning_field(entity_def, a) is field_def}
        case "currency":
            names |= {f"{field_def.name}Currency", f"{field_def.name}Converted"}
        case "personName":
            names |= NAME_PARTS
        case "email" | "phone":
            names |= {f"{field_def.name}IsOptedOut", f"{field_def.name}IsInvalid"}
    return names & entity_def.attributes.keys()


def shown(entity_def: EntityDef, values: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that are for others to see."""
    inner = {f.name for f in entity_def.fields.values() if "internal" in f.flags}
    return {
        name: value
        for name, value in values.items()
        if name in entity_def.attributes and entity_def.attributes[name].field not in inner
    }


def address_lists(entity_def: EntityDef, belongings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """All addresses or numbers of a field of which one was set."""
    return {
        f"{f.name}Data": belongings[f"{f.name}Data"]
        for f in entity_def.fields.values()
        if f.type in ("email", "phone") and f.name in values and f"{f.name}Data" in belongings
    }


def ordered(entity_def: EntityDef, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in the order of the type's attributes."""
    return {name: values[name] for name in entity_def.attributes if name in values}


def encoded(items: list[Any]) -> bytes:
    """Delivered items as PHP writes JSON: ASCII only, slashes escaped."""
    return json.dumps(items, separators=(",", ":")).replace("/", "\\/").encode("ascii")
