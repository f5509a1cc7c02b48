"""Streams: of a record, one's own, that of all, of a user; files in a record's stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, note_view, posts, streams
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes.common import entity_of, need_stream, search_params
from airflow_provider_espo.sandbox.search import find

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Context, Router

FILE_ATTRIBUTES = (
    "id",
    "name",
    "type",
    "size",
    "createdAt",
    "parentId",
    "parentType",
    "createdById",
    "createdByName",
)


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/Stream", own_stream)
    router.add("GET", "/GlobalStream", global_stream)
    router.add("GET", "/User/{id}/stream/own", written_by_user)
    router.add("GET", "/User/{id}/stream", user_stream, action="list")
    router.add("GET", "/{controller}/{id}/stream", record_stream, action="list")
    router.add("GET", "/{controller}/{id}/posts", record_posts, action="listPosts")
    router.add("GET", "/{controller}/{id}/updateStream", update_stream, action="listUpdates")
    router.add("GET", "/{controller}/{id}/streamAttachments", stream_files)


def stream_request(context: Context) -> streams.StreamRequest:
    """What the query asks for."""
    settings = context.sandbox.storage.settings
    return streams.StreamRequest.from_query(context.request.query_params, settings.list_max_size)


def shown(context: Context, found: tuple[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """A page of a user's stream."""
    total, rows = found
    sandbox = context.sandbox
    return {"total": total, "list": note_view.page(sandbox.storage, sandbox.serializer, rows, context.user)}


def own_stream(context: Context) -> dict[str, Any]:
    """What concerns the caller."""
    page = shown(context, streams.of_user(context.sandbox.storage, stream_request(context), context.user))
    return page | {"reactionsCheckDate": context.sandbox.storage.now(), "updatedReactions": []}


def global_stream(context: Context) -> dict[str, Any]:
    """Everything that the caller may see."""
    if not acl.may(context.user, "GlobalStream", "read"):
        raise ApiError(403, "")
    return shown(context, streams.of_all(context.sandbox.storage, stream_request(context), context.user))


def visible_user(context: Context) -> str:
    """Id of the path's user, whose doings the caller may see.

    :raises ApiError: 403, 404
    """
    user_id, user = context.params["id"], context.user
    if not context.sandbox.exists(context.sandbox.storage.definitions["User"], user_id):
        raise ApiError(404, "User not found.")
    allowed = acl.permission(user, "user")
    if user_id != user.id and allowed != "all":
        others = context.sandbox.directory.get(user_id)
        if allowed != "team" or not set(others.team_ids) & set(user.team_ids):
            raise ApiError(403, "No user permission access.")
    return user_id


def user_stream(context: Context) -> dict[str, Any]:
    """What concerns a user."""
    owner = context.sandbox.directory.get(visible_user(context))
    return shown(context, streams.of_user(context.sandbox.storage, stream_request(context), owner))


def written_by_user(context: Context) -> dict[str, Any]:
    """What a user wrote or did."""
    author_id, request = visible_user(context), stream_request(context)
    return shown(context, streams.by_author(context.sandbox.storage, request, author_id, context.user))


def near_record(context: Context, request: streams.StreamRequest) -> dict[str, Any]:
    """A page of the stream of the path's record."""
    sandbox, entity_def, record_id = context.sandbox, entity_of(context), context.params["id"]
    need_stream(context, entity_def, record_id)
    total, rows = streams.of_record(sandbox.storage, entity_def.name, record_id, request, context.user)
    near = (entity_def.name, record_id)
    return {"total": total, "list": note_view.page(sandbox.storage, sandbox.serializer, rows, context.user, near)}


def record_stream(context: Context) -> dict[str, Any]:
    """The stream of a record, with the notes that are pinned there."""
    page = near_record(context, stream_request(context))
    sandbox, near = context.sandbox, (entity_of(context).name, context.params["id"])
    pinned = streams.pinned(sandbox.storage, *near)
    return page | {"pinnedList": note_view.page(sandbox.storage, sandbox.serializer, pinned, context.user, near)}


def record_posts(context: Context) -> dict[str, Any]:
    """Posts on a record."""
    return near_record(context, replace(stream_request(context), types=("Post",)))


def update_stream(context: Context) -> dict[str, Any]:
    """Changes of a record; for this no stream is needed, but a permission."""
    sandbox, entity_def, record_id = context.sandbox, entity_of(context), context.params["id"]
    if acl.permission(context.user, "audit") == "no":
        raise ApiError(403, "")
    sandbox.records.read(entity_def, record_id, context.user)
    request = replace(stream_request(context), types=("Update",))
    total, rows = streams.of_record(sandbox.storage, entity_def.name, record_id, request, context.user)
    near = (entity_def.name, record_id)
    return {"total": total, "list": note_view.page(sandbox.storage, sandbox.serializer, rows, context.user, near)}


def stream_files(context: Context) -> dict[str, Any]:
    """Files of the posts on a record."""
    sandbox, entity_def, record_id = context.sandbox, entity_of(context), context.params["id"]
    if not posts.may_stream(sandbox.storage, context.user, entity_def.name, record_id):
        raise ApiError(403 if sandbox.exists(entity_def, record_id) else 404, "")
    note_ids = (
        'SELECT id FROM "Note" WHERE "parentType" = ? AND "parentId" = ? AND type = \'Post\' AND deleted = 0',
        (entity_def.name, record_id),
    )
    condition = (f't."parentType" = \'Note\' AND t."parentId" IN ({note_ids[0]})', note_ids[1])
    file_def = sandbox.storage.definitions["Attachment"]
    params = replace(search_params(context), select=None)
    found = find(sandbox.storage, file_def, params, context.user, attributes=FILE_ATTRIBUTES, conditions=[condition])
    return {"total": found.total, "list": found.rows}
