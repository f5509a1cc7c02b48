"""Notes that changes of records leave in the stream, and the time at which a record's stream moved last.

A record of a type with stream leaves a note when it is created, when it is assigned, and when its status or an
audited field changes; records that are created near it, linked with it or unlinked by an audited link leave one
too. Notes are numbered in the order in which they were written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.attributes import name_sql
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.subscriptions import FOLLOWED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef, LinkDef
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Attributes of a field of a compound type: what is put behind its name.
PARTS: Mapping[str, tuple[str, ...]] = {
    "currency": ("Currency", ""),
    "datetimeOptional": ("", "Date"),
    "link": ("Id", "Name"),
    "linkOne": ("Id", "Name"),
    "file": ("Id", "Name"),
    "image": ("Id", "Name"),
    "linkParent": ("Id", "Type", "Name"),
    "linkMultiple": ("Ids", "Names"),
    "attachmentMultiple": ("Ids", "Names", "Types"),
    "address": ("Street", "City", "State", "Country", "PostalCode"),
    "email": ("IsOptedOut", "IsInvalid", ""),
    "phone": ("IsOptedOut", "IsInvalid", ""),
}
#: Parts that only follow from others.
SHOWN_PARTS = ("Name", "Names", "Types")


def write(
    storage: Storage,
    user: CurrentUser,
    note_type: str,
    parent: tuple[str, str],
    *,
    data: Mapping[str, Any] | None = None,
    related: tuple[str, str] | None = None,
    account_id: str | None = None,
) -> str:
    """Write a note.

    :param parent: type and id of the record in whose stream it stands
    :param related: type and id of the other record that it is about
    :param account_id: account in whose stream it stands too
    :return: id of the note
    """
    now, note_id = storage.now(), storage.new_id()
    row: dict[str, Any] = {
        "id": note_id,
        "deleted": 0,
        "type": note_type,
        "number": storage.next_number("Note.number"),
        "data": None if data is None else json.dumps(data, ensure_ascii=False),
        "parentType": parent[0],
        "parentId": parent[1],
        "createdAt": now,
        "modifiedAt": now,
        "createdById": user.id,
        "isGlobal": 0,
        "isInternal": 0,
        "isPinned": 0,
    }
    if related is not None:
        row |= {"relatedType": related[0], "relatedId": related[1]}
    if account_id:
        row |= {"superParentType": "Account", "superParentId": account_id}
    storage.insert("Note", row)
    return note_id


def touch(storage: Storage, entity_type: str, record_id: str) -> None:
    """A record's stream has moved. Nothing else of the record changes."""
    entity_def = storage.definitions.get(entity_type)
    if entity_def is not None and "streamUpdatedAt" in entity_def.attributes:
        storage.update(entity_type, record_id, {"streamUpdatedAt": storage.now()})


def note_save(change: Change, storage: Storage) -> None:
    """Write what the creation or the update of a record leaves in streams."""
    if change.entity_def.name == "Note" or change.silent:
        return
    if change.is_new:
        if change.entity_def.stream:
            note_create(change, storage)
        if "object" in change.entity_def.traits:
            note_created_near(change, storage)
        return
    if change.entity_def.stream and change.is_changed("assignedUserId"):
        data = assignment(change, storage) or {"assignedUserId": None}
        parent = (change.entity_def.name, change.id)
        write(storage, change.user, "Assign", parent, data=data, account_id=account_of(change))
    note_update(change, storage)


def note_create(change: Change, storage: Storage) -> None:
    """A record was created."""
    data = assignment(change, storage)
    status_field = change.entity_def.status_field
    if status_field and change.get(status_field):
        data |= {"statusValue": change.get(status_field), "statusField": status_field}
    account_id = account_of(change)
    write(storage, change.user, "Create", (change.entity_def.name, change.id), data=data, account_id=account_id)
    if account_id:
        touch(storage, "Account", account_id)


def note_created_near(change: Change, storage: Storage) -> None:
    """A record was created that is linked with others: these note it, one of each type."""
    told: set[str] = set()
    for link in change.entity_def.links.values():
        entity_type, record_id = link.entity_type, None
        match link.kind:
            case "belongsTo":
                record_id = change.get(link.key)
            case "belongsToParent":
                entity_type, record_id = change.get(link.type_key), change.get(link.key)
            case "manyMany" | "hasMany":
                ids = change.values.get(f"{link.name}Ids")
                record_id = ids[0] if isinstance(ids, list) and ids else None
        if not record_id or not entity_type or entity_type in told:
            continue
        if takes_note(storage, entity_type, link.foreign):
            related = (change.entity_def.name, change.id)
            account_id = account_of(change)
            write(
                storage,
                change.user,
                "CreateRelated",
                (entity_type, str(record_id)),
                related=related,
                account_id=account_id,
            )
            touch(storage, entity_type, str(record_id))
            told.add(entity_type)


def takes_note(storage: Storage, entity_type: str, link_name: str | None) -> bool:
    """Whether a type has a stream, and a link that is noted in it."""
    entity_def = storage.definitions.get(entity_type)
    if entity_def is None or not entity_def.stream or link_name is None:
        return False
    link = entity_def.links.get(link_name)
    return link is not None and "audited" in link.flags


def note_update(change: Change, storage: Storage) -> None:
    """Audited fields, or the status, have changed."""
    fields: list[str] = []
    was: dict[str, Any] = {}
    became: dict[str, Any] = {}
    status_field = change.entity_def.status_field if change.entity_def.stream else None
    for field_def in change.entity_def.fields.values():
        if "audited" not in field_def.flags or field_def.name == status_field:
            continue
        names = [n for n in parts_of(field_def) if n in change.entity_def.attributes]
        if any(
            change.is_changed(name) for name in names if not name.removeprefix(field_def.name).endswith(SHOWN_PARTS)
        ):
            fields.append(field_def.name)
            was |= {name: change.old.get(name) for name in names}
            became |= {name: change.get(name) for name in names}
            became |= fresh_names(change, field_def, storage)
    data: dict[str, Any] = {"fields": fields, "attributes": {"was": was, "became": became}}
    if status_field and change.is_changed(status_field) and change.get(status_field):
        data["value"] = change.get(status_field)
    if fields or "value" in data:
        write(storage, change.user, "Update", (change.entity_def.name, change.id), data=data)


def parts_of(field_def: FieldDef) -> list[str]:
    """Attributes that a field consists of."""
    return [field_def.name + part for part in PARTS.get(field_def.type, ("",))]


def fresh_names(change: Change, field_def: FieldDef, storage: Storage) -> dict[str, Any]:
    """Names of the records that a field points to now."""
    name = field_def.name
    link = change.entity_def.links.get(name)
    if link is None:
        return {}
    if field_def.type in ("linkMultiple", "attachmentMultiple"):
        ids = change.get(f"{name}Ids") or []
        return {f"{name}Names": {i: record_name(storage, link.entity_type, i) for i in ids}}
    if field_def.type in ("link", "file", "image", "linkParent"):
        entity_type = change.get(f"{name}Type") if field_def.type == "linkParent" else link.entity_type
        return {f"{name}Name": record_name(storage, entity_type, change.get(f"{name}Id"))}
    return {}


def record_name(storage: Storage, entity_type: str | None, record_id: str | None) -> str | None:
    """What a record is called, or None."""
    inner = name_sql(entity_type, storage.definitions) if entity_type and record_id else None
    if inner is None:
        return None
    sql = f"SELECT {inner.replace('{t}', 't')} FROM {quoted(str(entity_type))} t WHERE t.id = ?"  # noqa: S608
    name: str | None = storage.value(sql, [record_id])
    return name


def assignment(change: Change, storage: Storage) -> dict[str, Any]:
    """To whom a record is assigned."""
    user_id = change.get("assignedUserId")
    if not user_id:
        return {}
    return {"assignedUserId": user_id, "assignedUserName": record_name(storage, "User", user_id)}


def account_of(change: Change) -> str | None:
    """The account that a record belongs to."""
    link = change.entity_def.links.get("account")
    account_id: str | None = change.get("accountId") if link is not None and link.entity_type == "Account" else None
    return account_id


def note_link(
    storage: Storage,
    user: CurrentUser,
    near: tuple[EntityDef, str],
    link: LinkDef,
    foreign_id: str,
    *,
    ended: bool = False,
) -> None:
    """Two records were linked or unlinked: those whose side of the link is audited note it.

    :param near: type and id of the record that has the link
    :param ended: whether they were unlinked
    """
    entity_def, record_id = near
    note_type = "Unrelate" if ended else "Relate"
    sides = (
        (entity_def.name, record_id, link.name, (link.entity_type, foreign_id)),
        (link.entity_type, foreign_id, link.foreign, (entity_def.name, record_id)),
    )
    for entity_type, near_id, link_name, related in sides:
        if takes_note(storage, entity_type, link_name):
            write(storage, user, note_type, (entity_type, near_id), related=related)
            touch(storage, entity_type, near_id)


def forget(storage: Storage, entity_type: str, record_ids: Iterable[str]) -> None:
    """Records were deleted: nobody follows them any more, and notes about them in other streams go."""
    for record_id in record_ids:
        storage.execute(
            f'DELETE FROM "{FOLLOWED}" WHERE "entityType" = ? AND "entityId" = ?',  # noqa: S608
            [entity_type, record_id],
        )
        storage.execute(
            'UPDATE "Note" SET deleted = 1, "modifiedAt" = ? WHERE "relatedId" = ? AND "relatedType" = ?',
            [storage.now(), record_id, entity_type],
        )
