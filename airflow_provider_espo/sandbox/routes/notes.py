"""Notes: posting, reading, editing and deleting them, pins and reactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, note_view, posts
from airflow_provider_espo.sandbox.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router

#: Reactions that the settings allow.
REACTIONS = ("Like",)
MOST_PINNED = 5
#: Attributes that a new post does not show.
UNSHOWN = ("isPinned", "isGlobal", "number", "createdByGender")


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Note", create, action="create")
    router.add("GET", "/Note/{id}", read, action="read")
    router.add("PUT", "/Note/{id}", update, action="update")
    router.add("PATCH", "/Note/{id}", update, action="update")
    router.add("DELETE", "/Note/{id}", delete, action="delete")
    router.add("POST", "/Note/{id}/pin", pin)
    router.add("DELETE", "/Note/{id}/pin", unpin)
    router.add("POST", "/Note/{id}/myReactions/{type}", react)
    router.add("DELETE", "/Note/{id}/myReactions/{type}", take_back)
    router.add("GET", "/Note/{id}/reactors/{type}", reactors)


def note_def_of(context: Context) -> EntityDef:
    """The entity type."""
    return context.sandbox.storage.definitions["Note"]


def create(context: Context) -> dict[str, Any]:
    """Post something. Whatever type is asked for, it is a post."""
    posts.check_target(context.sandbox.storage, context.user, context.body)
    record = context.sandbox.records.create(note_def_of(context), context.body, context.user, authorized=True)
    record |= note_view.extras(context.sandbox.storage, record, context.user)
    return {name: value for name, value in record.items() if name not in UNSHOWN}


def found_note(context: Context, reason: str) -> dict[str, Any]:
    """The note of the path.

    :param reason: text of the error if there is none
    :raises ApiError: 404 if there is none, 403 if the caller may not see it
    """
    sandbox = context.sandbox
    note = sandbox.serializer.record(note_def_of(context), context.params["id"], context.user)
    if note is None or note["deleted"]:
        raise ApiError(404, reason)
    if not posts.may_see(sandbox.storage, context.user, note):
        raise ApiError(403, "No 'read' access.")
    return note


def read(context: Context) -> dict[str, Any]:
    """One note."""
    note = found_note(context, f"Record {context.params['id']} does not exist.")
    return note | note_view.extras(context.sandbox.storage, note, context.user)


def update(context: Context) -> dict[str, Any]:
    """Edit a post."""
    note = found_note(context, f"Record {context.params['id']} not found.")
    posts.check_author(context.sandbox.storage, context.user, note, "edit")
    record = context.sandbox.records.update(
        note_def_of(context), note["id"], context.body, context.user, authorized=True
    )
    return record | note_view.extras(context.sandbox.storage, record, context.user)


def delete(context: Context) -> bool:
    """Delete a post."""
    note = found_note(context, f"Record {context.params['id']} not found.")
    posts.check_author(context.sandbox.storage, context.user, note, "delete")
    context.sandbox.records.delete(note_def_of(context), note["id"], context.user, authorized=True)
    return True


def set_pinned(context: Context, *, pinned: bool) -> bool:
    """Put a note at the top of its record's stream, or let it go from there.

    :raises ApiError: 403 if the user may not edit the record, or enough is pinned
    """
    note, storage = found_note(context, ""), context.sandbox.storage
    parent_def = storage.definitions.get(note["parentType"] or "")
    if parent_def is None:
        raise ApiError(403, "")
    if not acl.may_on(storage, context.user, parent_def, note["parentId"], "edit"):
        raise ApiError(403, "")
    sql = 'SELECT COUNT(*) FROM "Note" WHERE "parentType" = ? AND "parentId" = ? AND "isPinned" = 1 AND deleted = 0'
    if pinned and not note["isPinned"] and storage.value(sql, [note["parentType"], note["parentId"]]) >= MOST_PINNED:
        raise ApiError(403, "Pinned notes max count exceeded.")
    storage.update("Note", note["id"], {"isPinned": int(pinned), "modifiedAt": storage.now()})
    return True


def pin(context: Context) -> bool:
    """Pin a note."""
    return set_pinned(context, pinned=True)


def unpin(context: Context) -> bool:
    """Unpin a note."""
    return set_pinned(context, pinned=False)


def checked_reaction(context: Context) -> tuple[str, str, str]:
    """Note, user and sort of a reaction.

    :raises ApiError: 403, 404
    """
    sort = context.params["type"]
    if sort not in REACTIONS:
        raise ApiError(403, f"Not allowed reaction '{sort}'.")
    return found_note(context, "")["id"], context.user.id, sort


def react(context: Context) -> bool:
    """React to a note."""
    sql = 'INSERT OR IGNORE INTO "NoteReaction" ("noteId", "userId", type) VALUES (?, ?, ?)'
    context.sandbox.storage.execute(sql, checked_reaction(context))
    return True


def take_back(context: Context) -> bool:
    """Take a reaction back."""
    sql = 'DELETE FROM "NoteReaction" WHERE "noteId" = ? AND "userId" = ? AND type = ?'
    context.sandbox.storage.execute(sql, checked_reaction(context))
    return True


def reactors(context: Context) -> dict[str, Any]:
    """Users who reacted to a note."""
    note, storage = found_note(context, ""), context.sandbox.storage
    ids = storage.column(
        'SELECT "userId" FROM "NoteReaction" WHERE "noteId" = ? AND type = ? ORDER BY "userId"',
        [note["id"], context.params["type"]],
    )
    users = [{"id": user_id, "name": context.sandbox.directory.get(user_id).name} for user_id in ids]
    return {"total": len(users), "list": users}
