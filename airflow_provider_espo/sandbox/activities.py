"""Activities: meetings, calls and tasks of a record, of a user's calendar, and what comes next."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.storage import from_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_espo.sandbox.storage import Condition, Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Types of the two lists of a record, and the attributes that they show.
SHARED = ("id", "name", "deleted", "status", "dateStart", "dateEnd", "createdAt", "parentId", "parentType")
ASSIGNED = ("assignedUserId", "assignedUserName")
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "Meeting": (*SHARED, "isAllDay", "duration", "joinUrl", "dateStartDate", "dateEndDate", *ASSIGNED),
    "Call": (*SHARED, "duration", "direction", *ASSIGNED),
    "Email": (
        "id",
        "name",
        "deleted",
        "status",
        "dateSent",
        "hasAttachment",
        "createdAt",
        "parentId",
        "parentType",
        *ASSIGNED,
    ),
}
TYPES: Mapping[str, tuple[str, ...]] = {"activities": ("Meeting", "Call"), "history": ("Meeting", "Call", "Email")}
#: States of what has taken place or been called off; everything else is still to come.
DONE: Mapping[str, tuple[str, ...]] = {
    "Meeting": ("Held", "Not Held"),
    "Call": ("Held", "Not Held"),
    "Task": ("Completed", "Canceled", "Deferred"),
    "Email": ("Archived", "Sent"),
}
CANCELED: Mapping[str, tuple[str, ...]] = {"Meeting": ("Not Held",), "Call": ("Not Held",), "Task": ("Canceled",)}
#: Links by which people belong to a meeting or call.
PEOPLE: Mapping[str, str] = {"User": "users", "Contact": "contacts", "Lead": "leads"}
CALENDAR = ("Meeting", "Call", "Task")
CALENDAR_ATTRIBUTES = (
    "id",
    "name",
    "status",
    "dateStart",
    "dateEnd",
    "dateStartDate",
    "dateEndDate",
    "parentType",
    "parentId",
    "createdAt",
)


def state_condition(entity_type: str, kind: str) -> Condition:
    """SQL for what is still to come, or has been.

    :param kind: ``activities`` or ``history``
    """
    done = DONE[entity_type]
    word = "IN" if kind == "history" else "NOT IN"
    return f"t.status {word} ({', '.join('?' * len(done))})", done


def near_condition(storage: Storage, entity_type: str, parent_type: str, parent_id: str) -> Condition:
    """SQL for the activities of a record: its own, those of its account, those that it takes part in."""
    parts, params = ['(t."parentType" = ? AND t."parentId" = ?)'], [parent_type, parent_id]
    entity_def = storage.definitions[entity_type]
    if parent_type == "Account" and "accountId" in entity_def.attributes:
        parts.append('t."accountId" = ?')
        params.append(parent_id)
    link = entity_def.links.get(PEOPLE.get(parent_type, ""))
    if link is not None and link.kind == "manyMany":
        parts.append(
            f"t.id IN (SELECT m.{quoted(link.near_key)} FROM {quoted(link.middle)} m"
            f" WHERE m.{quoted(link.distant_key)} = ? AND m.deleted = 0)"
        )
        params.append(parent_id)
    return f"({' OR '.join(parts)})", params


def of_record(
    storage: Storage, user: CurrentUser, parent: tuple[str, str], kind: str, page: tuple[int, int]
) -> tuple[int, list[dict[str, Any]]]:
    """Activities of a record, the latest first.

    :param parent: its type and id
    :param kind: ``activities`` or ``history``
    :param page: offset and size
    :return: how many there are, and those of the page
    """
    parts, params = [], []
    for entity_type in TYPES[kind]:
        entity_def = storage.definitions[entity_type]
        if not acl.may(user, entity_type, "read"):
            continue
        conditions = [near_condition(storage, entity_type, *parent), state_condition(entity_type, kind)]
        if restriction := acl.restriction(user, entity_def):
            conditions.append(restriction)
        time = "dateSent" if entity_type == "Email" else "dateStart"
        where = " AND ".join(f"({sql})" for sql, _ in conditions)
        parts.append(
            f"SELECT t.id AS id, '{entity_type}' AS scope, t.{quoted(time)} AS at, t.\"createdAt\" AS made"
            f" FROM {quoted(entity_type)} t WHERE t.deleted = 0 AND {where}"
        )
        params += [value for _, values in conditions for value in values]
    if not parts:
        return 0, []
    union = " UNION ALL ".join(parts)
    total = int(storage.value(f"SELECT COUNT(*) FROM ({union})", params))
    offset, size = page
    rows = storage.rows(f"{union} ORDER BY at DESC, made DESC LIMIT ? OFFSET ?", [*params, size, offset])
    return total, [shown(storage, user, row["scope"], row["id"]) for row in rows]


def shown(storage: Storage, user: CurrentUser, entity_type: str, record_id: str) -> dict[str, Any]:
    """An activity as its lists show it."""
    entity_def = storage.definitions[entity_type]
    names = [name for name in ATTRIBUTES[entity_type] if name in entity_def.attributes]
    found = storage.load(entity_def, record_id, [entity_def.attributes[name] for name in names]) or {}
    if entity_type == "Meeting":
        sql = 'SELECT 1 FROM "Subscription" WHERE "entityType" = ? AND "entityId" = ? AND "userId" = ?'
        found["isFollowed"] = storage.value(sql, [entity_type, record_id, user.id]) is not None
    return {**found, "_scope": entity_type}


def calendar_condition(storage: Storage, entity_type: str, user_id: str, times: tuple[str, str]) -> Condition:
    """SQL for what a user has to do within a time."""
    start, end = times
    link = storage.definitions[entity_type].links.get("users")
    if link is not None and link.kind == "manyMany":
        own = (
            f't.id IN (SELECT m.{quoted(link.near_key)} FROM {quoted(link.middle)} m WHERE m."userId" = ?'
            " AND m.deleted = 0 AND (m.status IS NULL OR m.status <> 'Declined'))"
        )
    else:
        own = 't."assignedUserId" = ?'
    within = (
        '((t."dateStart" >= ? AND t."dateStart" < ?) OR (t."dateStart" < ? AND t."dateEnd" >= ?)'
        ' OR (t."dateStart" IS NULL AND t."dateEnd" >= ? AND t."dateEnd" < ?))'
    )
    canceled = CANCELED[entity_type]
    sql = f"{own} AND {within} AND t.status NOT IN ({', '.join('?' * len(canceled))})"
    return sql, [user_id, start, end, start, start, start, end, *canceled]


def calendar(storage: Storage, user_id: str, scopes: Sequence[str], times: tuple[str, str]) -> list[dict[str, Any]]:
    """What a user has to do within a time, by type.

    :param scopes: types
    :param times: from and to
    """
    found: list[dict[str, Any]] = []
    for entity_type in scopes:
        attributes = storage.definitions[entity_type].attributes
        names = [name for name in CALENDAR_ATTRIBUTES if name in attributes]
        selected = ", ".join(f'{attributes[name].sql("t")} AS "{name}"' for name in names)
        condition, params = calendar_condition(storage, entity_type, user_id, times)
        rows = storage.rows(
            f'SELECT {selected} FROM {quoted(entity_type)} t WHERE t.deleted = 0 AND {condition} ORDER BY "dateStart"',
            params,
        )
        empty = dict.fromkeys(CALENDAR_ATTRIBUTES)
        for row in rows:
            values = {name: from_database(attributes[name], row[name]) for name in names}
            found.append({**empty, **values, "scope": entity_type, "color": None})
    return found


def upcoming(
    storage: Storage, user: CurrentUser, scopes: Sequence[str], days: int, page: tuple[int, int]
) -> tuple[int, list[dict[str, Any]]]:
    """What a user has to do in the next days, the next first.

    :return: how many things there are, and those of the page
    """
    now = storage.clock().astimezone(dt.UTC)
    times = (f"{now - dt.timedelta(hours=1):%Y-%m-%d %H:%M:%S}", f"{now + dt.timedelta(days=days):%Y-%m-%d %H:%M:%S}")
    items = [
        {**{name: value for name, value in item.items() if name not in ("scope", "color")}, "_scope": item["scope"]}
        for item in calendar(storage, user.id, scopes, times)
        if item["status"] not in DONE[item["scope"]]
    ]
    items.sort(key=lambda item: item["dateStart"] or item["dateEnd"] or "")
    offset, size = page
    return len(items), items[offset : offset + size]
