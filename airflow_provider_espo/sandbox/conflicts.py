"""Optimistic concurrency: a change that was made on the ground of an outdated version is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.record_input import address_parts, owning_field

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.change import Change


def check(change: Change, version: str | None) -> None:
    """Compare the version that the client saw with the stored one.

    :raises ApiError: 409 with the current values of the fields in question, if the versions differ and the
        client would change something
    """
    stored = change.old.get("versionNumber")
    if version is None or not change.entity_def.optimistic_concurrency or version.strip() == str(stored):
        return
    values: dict[str, Any] = {}
    for name in change.given:
        if change.is_changed(name):
            values |= current_values(change, name)
    if values:
        raise ApiError(409, "modified", {"values": values, "versionNumber": stored})


def current_values(change: Change, attribute_name: str) -> dict[str, Any]:
    """Stored values of the whole field that an attribute belongs to."""
    entity_def = change.entity_def
    attribute = entity_def.attributes[attribute_name]
    field_def = owning_field(entity_def, attribute)
    if field_def is None:
        names = [attribute_name]
    elif field_def.type == "address":
        names = address_parts(field_def)
    elif field_def.type == "currency":
        names = [field_def.name, f"{field_def.name}Currency"]
    elif field_def.type == "datetimeOptional":
        names = [field_def.name, f"{field_def.name}Date"]
    else:
        names = [a.name for a in entity_def.attributes.values() if a.field == field_def.name]
    return {name: change.old.get(name) for name in names if name in change.old}
