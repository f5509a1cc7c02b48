"""Posts: notes that users write, on a record or to people. Who may see, edit and delete a note."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, notes
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.subscriptions import follow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Types on whose records a post may be hidden from portal users.
TYPES_WITH_INTERNAL_POSTS = frozenset({"Case"})
#: What a post to people has, by target.
TARGETS: Mapping[str, str] = {"users": "usersIds", "teams": "teamsIds", "portals": "portalsIds"}
MENTION = re.compile(r"(?<![\w@])@([\w@.-]*\w)")
#: How long authors may change and delete what they wrote.
EDIT_PERIOD = dt.timedelta(days=7)
DELETE_PERIOD = dt.timedelta(days=31)


def check_target(storage: Storage, user: CurrentUser, values: Mapping[str, Any]) -> None:
    """Whether a user may post there.

    :param values: the body of the request
    :raises ApiError: 403
    """
    parent_type, parent_id = values.get("parentType"), values.get("parentId")
    if parent_type:
        if not may_stream(storage, user, str(parent_type), None if parent_id is None else str(parent_id)):
            raise ApiError(403, "No create access.")
    elif values.get("targetType") in ("all", *TARGETS) and acl.permission(user, "message") == "no":
        raise ApiError(403, "No create access.")


def may_stream(storage: Storage, user: CurrentUser, entity_type: str, record_id: str | None) -> bool:
    """Whether a user may see the stream of a record, which has to be there.

    :param record_id: None to ask for the type only
    """
    entity_def = storage.definitions.get(entity_type)
    if entity_def is None or not entity_def.stream or not acl.may(user, entity_type, "stream"):
        return False
    if record_id is None:
        return True
    sql = f'SELECT 1 FROM "{entity_type}" WHERE id = ? AND deleted = 0'  # noqa: S608
    return storage.value(sql, [record_id]) is not None and acl.may_on(storage, user, entity_def, record_id, "stream")


def prepare(change: Change, storage: Storage) -> None:
    """Before a post is saved: whom it mentions, and for whom it is."""
    if "post" in change.values or change.is_new:
        change.values["data"] = post_data(storage, change)
    if not change.is_new:
        return
    values = change.values
    parent_type = values.get("parentType")
    if values.get("isInternal") and parent_type not in TYPES_WITH_INTERNAL_POSTS:
        raise ApiError(403, "Internal note is not allowed.")
    values["isInternal"] = bool(values.get("isInternal"))
    target = values.get("targetType")
    values["isGlobal"] = target == "all"
    for name, ids in TARGETS.items():
        if target in ("all", "self", *TARGETS) and target != name:
            values.pop(ids, None)
    if target == "self":
        values["usersIds"] = [change.user.id]


def finish(change: Change, storage: Storage) -> None:
    """After a post was saved: the stream of its record has moved, and its author follows the record."""
    parent_type, parent_id = change.get("parentType"), change.get("parentId")
    if change.is_new and parent_type and parent_id:
        notes.touch(storage, parent_type, parent_id)
        if change.user.type in ("regular", "admin"):
            follow(storage, parent_type, parent_id, change.user.id)


def post_data(storage: Storage, change: Change) -> dict[str, Any]:
    """The people whom a post mentions as ``@userName``."""
    data = dict(change.old.get("data") or {})
    data.pop("mentions", None)
    found: dict[str, Any] = {}
    if acl.permission(change.user, "mention") == "no":
        return data
    for name in dict.fromkeys(MENTION.findall(change.get("post") or "")):
        sql = 'SELECT id, "userName" FROM "User" WHERE "userName" = ? AND deleted = 0 AND "isActive" = 1'
        row = storage.row(sql, [name])
        if row is not None:
            full_name = notes.record_name(storage, "User", row["id"])
            found[f"@{name}"] = {"id": row["id"], "name": full_name, "userName": row["userName"], "_scope": "User"}
    return {**data, "mentions": found} if found else data


def may_see(storage: Storage, user: CurrentUser, note: Mapping[str, Any]) -> bool:
    """Whether a user may see a note.

    :param note: its attributes
    """
    if user.is_admin or note["createdById"] == user.id:
        return True
    if note["parentId"]:
        return may_stream(storage, user, note["parentType"], note["parentId"])
    if note["isGlobal"]:
        return not user.is_api
    sql = 'SELECT 1 FROM "NoteUser" WHERE "noteId" = ? AND "userId" = ? AND deleted = 0'
    if storage.value(sql, [note["id"], user.id]) is not None:
        return True
    marks = ", ".join("?" * len(user.team_ids))
    sql = f'SELECT 1 FROM "NoteTeam" WHERE "noteId" = ? AND "teamId" IN ({marks}) AND deleted = 0'  # noqa: S608
    return storage.value(sql, [note["id"], *user.team_ids]) is not None


def check_author(storage: Storage, user: CurrentUser, note: Mapping[str, Any], action: str) -> None:
    """Whether a user may change or delete a note: administrators may, and for a while its author.

    :param action: ``edit`` or ``delete``
    :raises ApiError: 403
    """
    if user.is_admin:
        return
    period = EDIT_PERIOD if action == "edit" else DELETE_PERIOD
    created = dt.datetime.strptime(f"{note['createdAt']} +0000", "%Y-%m-%d %H:%M:%S %z")
    if note["createdById"] != user.id or note["type"] != "Post" or storage.clock() - created > period:
        raise ApiError(403, f"No {action} access.")
