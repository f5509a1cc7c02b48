"""Notes as the API shows them: one of them, or a page of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.notes import record_name
from airflow_provider_espo.sandbox.storage import ROOT, from_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_espo.sandbox.serialize import Serializer
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

#: What a note in a user's stream shows, and beside that one in a record's stream.
USER_STREAM = (
    "id",
    "post",
    "data",
    "type",
    "targetType",
    "number",
    "isGlobal",
    "createdByGender",
    "isInternal",
    "createdAt",
    "parentId",
    "parentType",
    "relatedId",
    "relatedType",
    "createdById",
    "createdByName",
)
RECORD_STREAM = (
    *USER_STREAM,
    "deleted",
    "isPinned",
    "modifiedAt",
    "modifiedById",
    "modifiedByName",
    "superParentId",
    "superParentType",
)
#: Types of notes with files.
TYPES_WITH_FILES = ("Post", "EmailReceived")


def columns(storage: Storage, names: Iterable[str]) -> str:
    """SQL for attributes of notes."""
    attributes = storage.definitions["Note"].attributes
    return ", ".join(f'{attributes[name].sql(ROOT)} AS "{name}"' for name in names)


def page(
    storage: Storage,
    serializer: Serializer,
    rows: Sequence[Mapping[str, Any]],
    user: CurrentUser,
    near: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Notes of a stream.

    :param rows: database values
    :param near: type and id of the record whose stream it is; None for a user's stream
    """
    attributes = storage.definitions["Note"].attributes
    records = [{name: from_database(attributes[name], value) for name, value in row.items()} for row in rows]
    found_reactions = reactions(storage, [record["id"] for record in records], user)
    for record in records:
        record.update(found_reactions[record["id"]])
        if record["type"] in TYPES_WITH_FILES:
            record.update(files(storage, serializer, record["id"]))
        parent = (record["parentType"], record["parentId"])
        if parent[1] and parent != near:
            record["parentName"] = record_name(storage, *parent)
        if record["relatedId"]:
            record["relatedName"] = record_name(storage, record["relatedType"], record["relatedId"])
        if near is None:
            record.update(targets(storage, record))
    return records


def files(storage: Storage, serializer: Serializer, note_id: str) -> dict[str, Any]:
    """Files of a note."""
    entity_def = storage.definitions["Note"]
    return serializer.link_multiple(entity_def, entity_def.fields["attachments"], note_id)


def targets(storage: Storage, note: Mapping[str, Any]) -> dict[str, Any]:
    """The people to whom a post is directed; nothing for a post on a record."""
    if note["type"] != "Post" or note.get("parentId") or note.get("isGlobal"):
        return {}
    by_target = {"users": ("users",), "self": ("users",), "teams": ("teams",), "portals": ()}
    found: dict[str, Any] = {}
    for name in by_target.get(note.get("targetType") or "", ("users", "teams")):
        items = relation(storage, "Note", name, note["id"]).items()
        found[f"{name}Ids"] = [item["id"] for item in items]
        found[f"{name}Names"] = {item["id"]: item["name"] for item in items}
    return found


def reactions(storage: Storage, note_ids: Sequence[str], user: CurrentUser) -> dict[str, dict[str, Any]]:
    """Reactions to notes: how many of each sort, and which are the user's own."""
    found: dict[str, dict[str, Any]] = {i: {"reactionCounts": None, "myReactions": []} for i in note_ids}
    if not note_ids:
        return found
    marks = ", ".join("?" * len(note_ids))
    sql = f'SELECT "noteId", type, "userId" FROM "NoteReaction" WHERE "noteId" IN ({marks}) ORDER BY type'  # noqa: S608
    for row in storage.rows(sql, note_ids):
        of_note = found[row["noteId"]]
        counts = of_note["reactionCounts"] = of_note["reactionCounts"] or {}
        counts[row["type"]] = counts.get(row["type"], 0) + 1
        if row["userId"] == user.id:
            of_note["myReactions"].append(row["type"])
    return found


def extras(storage: Storage, note: Mapping[str, Any], user: CurrentUser) -> dict[str, Any]:
    """What a single note has beside its attributes."""
    return {**reactions(storage, [note["id"]], user)[note["id"]], **targets(storage, note)}
