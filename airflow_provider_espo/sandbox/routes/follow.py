"""Following records, other people who follow them, and stars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, subscriptions
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes.common import entity_of, search_params
from airflow_provider_espo.sandbox.search import find
from airflow_provider_espo.sandbox.search.sql import Condition
from airflow_provider_espo.sandbox.serialize import FOLLOWER_TYPES

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router


def register(router: Router) -> None:
    """Register the routes."""
    router.add("PUT", "/{controller}/{id}/subscription", follow, action="follow")
    router.add("DELETE", "/{controller}/{id}/subscription", unfollow, action="unfollow")
    router.add("GET", "/{controller}/{id}/followers", followers)
    router.add("POST", "/{controller}/{id}/followers", add_followers)
    router.add("DELETE", "/{controller}/{id}/followers", remove_followers)
    router.add("PUT", "/{controller}/{id}/starSubscription", star)
    router.add("DELETE", "/{controller}/{id}/starSubscription", unstar)


def streamed_record(context: Context, reason: str = "") -> tuple[EntityDef, str]:
    """The path's record, whose stream the caller may see.

    :param reason: text of the error if the caller may not
    :raises ApiError: 403, 404
    """
    entity_def, record_id, storage = entity_of(context), context.params["id"], context.sandbox.storage
    if not acl.may(context.user, entity_def.name, "stream"):
        raise ApiError(403, reason)
    if not context.sandbox.exists(entity_def, record_id):
        raise ApiError(404, "")
    if not entity_def.stream or not acl.may_on(storage, context.user, entity_def, record_id, "stream"):
        raise ApiError(403, reason)
    return entity_def, record_id


def follow(context: Context) -> bool:
    """Follow a record."""
    entity_def, record_id = streamed_record(context, "No stream access.")
    subscriptions.follow(context.sandbox.storage, entity_def.name, record_id, context.user.id)
    return True


def unfollow(context: Context) -> bool:
    """Follow a record no longer."""
    entity_def, record_id = entity_of(context), context.params["id"]
    if not acl.may(context.user, entity_def.name, "read"):
        raise ApiError(403, "")
    if not context.sandbox.exists(entity_def, record_id):
        raise ApiError(404, "")
    subscriptions.unfollow(context.sandbox.storage, entity_def.name, record_id, context.user.id)
    return True


def followers(context: Context) -> dict[str, Any]:
    """People who follow a record; the caller comes first."""
    entity_def, record_id = streamed_record(context)
    sandbox, user = context.sandbox, context.user
    user_def = sandbox.storage.definitions["User"]
    if not acl.may(user, "User", "read"):
        raise ApiError(403, "")
    params = search_params(context)
    chosen = sandbox.serializer.selection(user_def, params.select, params.order_by, user)
    types = ", ".join("?" * len(FOLLOWER_TYPES))
    condition = Condition(
        f't.type IN ({types}) AND t.id IN (SELECT "userId" FROM "{subscriptions.FOLLOWED}"'  # noqa: S608
        ' WHERE "entityType" = ? AND "entityId" = ?)',
        (*FOLLOWER_TYPES, entity_def.name, record_id),
    )
    restriction = acl.restriction(user, user_def)
    ordered = params if params.order_by else replace(params, order_by="name", order="ASC")
    found = find(
        sandbox.storage,
        user_def,
        ordered,
        user,
        attributes=[a.name for a in chosen],
        conditions=[condition, *([restriction] if restriction else [])],
    )
    rows = found.rows if params.order_by else sorted(found.rows, key=lambda row: row["id"] != user.id)
    return {"total": found.total, "list": sandbox.serializer.page(user_def, rows, chosen, user)}


def named_users(context: Context) -> list[str]:
    """Users in the body whom the caller may let follow, or not: others only with a permission.

    :raises ApiError: 400 without any, 403, 404
    """
    body, user = context.body, context.user
    ids = [body["id"]] if body.get("id") else []
    ids += body["ids"] if isinstance(body.get("ids"), list) else []
    if not ids:
        raise ApiError(400, "No ID.")
    allowed = acl.permission(user, "followerManagement")
    for user_id in ids:
        if not context.sandbox.exists(context.sandbox.storage.definitions["User"], str(user_id)):
            raise ApiError(404, f"User {user_id} not found.")
        in_team = allowed == "team" and set(context.sandbox.directory.get(user_id).team_ids) & set(user.team_ids)
        if allowed != "all" and not in_team and user_id != user.id:
            raise ApiError(403, f"Cannot manage follower {user_id}.")
    return [str(user_id) for user_id in ids]


def add_followers(context: Context) -> bool:
    """Let users follow a record. API users are passed over without a word."""
    entity_def, record_id = streamed_record(context)
    for user_id in named_users(context):
        follower = context.sandbox.directory.get(user_id)
        if not follower.is_api and acl.may_on(context.sandbox.storage, follower, entity_def, record_id, "stream"):
            subscriptions.follow(context.sandbox.storage, entity_def.name, record_id, user_id)
    return True


def remove_followers(context: Context) -> bool:
    """Let users follow a record no longer."""
    entity_def, record_id = streamed_record(context)
    for user_id in named_users(context):
        subscriptions.unfollow(context.sandbox.storage, entity_def.name, record_id, user_id)
    return True


def starred_record(context: Context) -> tuple[str, str, str]:
    """Type and id of the path's record, which can have stars, and the user's id.

    :raises ApiError: 403, 404
    """
    entity_def, record_id, user = entity_of(context), context.params["id"], context.user
    if user.is_api:
        raise ApiError(403, "Not allowed for non-internal users.")
    if "stars" not in entity_def.traits or not acl.may(user, entity_def.name, "read"):
        raise ApiError(403, "")
    if not context.sandbox.exists(entity_def, record_id):
        raise ApiError(404, "")
    if not acl.may_on(context.sandbox.storage, user, entity_def, record_id, "read"):
        raise ApiError(403, "")
    return entity_def.name, record_id, user.id


def star(context: Context) -> bool:
    """Put a star on a record."""
    subscriptions.add(context.sandbox.storage, subscriptions.STARRED, *starred_record(context))
    return True


def unstar(context: Context) -> bool:
    """Take the star off a record."""
    subscriptions.remove(context.sandbox.storage, subscriptions.STARRED, *starred_record(context))
    return True
