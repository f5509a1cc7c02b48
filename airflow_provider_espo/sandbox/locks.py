"""Locked records: some types can be locked against changes and deletion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.record_input import translated

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.records import Records
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

LOCKED = "isLocked"
#: Labels of fields that are not their names with blanks between the words.
LABELS = {"emailAddress": "Email", "phoneNumber": "Phone"}


def is_lockable(entity_def: EntityDef) -> bool:
    """Whether records of a type can be locked."""
    return "lockable" in entity_def.traits


def may_lock(user: CurrentUser) -> bool:
    """Whether a user may lock and unlock at all."""
    return acl.permission(user, "lock") not in ("no", "not-set")


def check_change(change: Change) -> None:
    """A locked record keeps its values, but for fields that are left open.

    :raises ApiError: 409 with the first field that the client would change
    """
    if not is_lockable(change.entity_def) or not change.old.get(LOCKED):
        return
    for name in change.given:
        field_def = change.entity_def.fields.get(change.entity_def.attributes[name].field)
        if field_def is None or "notLockable" in field_def.flags or not change.is_changed(name):
            continue
        label = "cannotModifyLockedRecord"
        raise ApiError(409, label, translated(label, {"field": field_label(field_def.name)}))


def check_removal(storage: Storage, entity_def: EntityDef, record_id: str) -> None:
    """A locked record is not deleted.

    :raises ApiError: 409
    """
    if not is_lockable(entity_def):
        return
    sql = f'SELECT "{LOCKED}" FROM {quoted(entity_def.name)} WHERE id = ?'  # noqa: S608 - identifiers of definitions
    if storage.value(sql, [record_id]):
        raise ApiError(409, "cannotRemoveLockedRecord", translated("cannotRemoveLockedRecord"))


def field_label(name: str) -> str:
    """The label of a field in English: its name as words."""
    return LABELS.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name[:1].upper() + name[1:])


def set_locked(records: Records, entity_def: EntityDef, record_id: str, user: CurrentUser, *, locked: bool) -> None:
    """Lock or unlock a record; the caller checks rights."""
    records.set_values(entity_def, record_id, {LOCKED: locked}, user)
