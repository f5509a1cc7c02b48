"""What several routes need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.search import SearchParams

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context

#: Types of a real server that are for administrators only and that the sandbox does not have.
SYSTEM_TYPES = frozenset(
    {
        "ActionHistoryRecord",
        "AddressCountry",
        "AppLogRecord",
        "AppSecret",
        "AuthLogRecord",
        "AuthToken",
        "Extension",
        "Integration",
        "Job",
        "LayoutSet",
        "PasswordChangeRequest",
        "PortalRole",
        "ScheduledJob",
        "WebhookQueueItem",
    }
)


def entity_of(context: Context) -> EntityDef:
    """The entity type that a path names.

    :raises ApiError: 404 if there is none, 403 for types that only administrators see
    """
    name = context.params["controller"]
    entity_def = context.sandbox.storage.definitions.find(name)
    if entity_def is None or not entity_def.routes:
        if name in SYSTEM_TYPES and not context.user.is_admin:
            raise ApiError(403, f"No access to '{name}'.")
        raise ApiError(404, f"Controller '{name}' does not exist.")
    if entity_def.name == "Webhook" and not (context.user.is_api or context.user.is_admin):
        raise ApiError(403, "No access to 'Webhook'.")
    return entity_def


def accessible_type(context: Context, entity_type: str) -> EntityDef:
    """An entity type of which the user may do something.

    :raises ApiError: 500 if there is no such type, 403
    """
    entity_def = context.sandbox.storage.definitions.get(entity_type)
    if entity_def is None:
        raise ApiError(500)
    # types that are for administrators have no scope in roles: each action looks after its own rights
    if entity_def.acl != "admin" and not any(acl.may(context.user, entity_def.name, a) for a in acl.ACTIONS):
        raise ApiError(403, "")
    return entity_def


def search_params(context: Context) -> SearchParams:
    """The search parameters of a request's query."""
    settings = context.sandbox.storage.settings
    return SearchParams.from_query(context.request.query_params, limit=settings.list_max_size)


def need_admin(context: Context) -> None:
    """:raises ApiError: 403 unless the user is an administrator"""
    if not context.user.is_admin:
        raise ApiError(403, "")


def need_record(context: Context, entity_def: EntityDef, record_id: str, action: str) -> None:
    """:raises ApiError: 403 or 404 unless the record is there and the user may do that with it"""
    if not acl.may(context.user, entity_def.name, action):
        raise ApiError(403, f"No {action} access.")
    if not context.sandbox.exists(entity_def, record_id):
        raise ApiError(404, "")
    if not acl.may_on(context.sandbox.storage, context.user, entity_def, record_id, action):
        raise ApiError(403, f"No {action} access.")


def need_stream(context: Context, entity_def: EntityDef, record_id: str) -> None:
    """:raises ApiError: 403 or 404 unless the record is there and the user may see its stream"""
    if not acl.may(context.user, entity_def.name, "stream"):
        raise ApiError(403, "No stream access.")
    if not context.sandbox.exists(entity_def, record_id):
        raise ApiError(404, "Record not found.")
    storage = context.sandbox.storage
    if not entity_def.stream or not acl.may_on(storage, context.user, entity_def, record_id, "stream"):
        raise ApiError(403, "No stream access.")
