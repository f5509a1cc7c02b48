"""What a webhook record has to be: an event that there is, an address outside, an owner, a key of its own."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.internal_addresses import is_refused
from airflow_provider_espo.sandbox.record_input import validation_failure

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.storage import Storage

ENTITY_TYPE = "Webhook"
EVENT_TYPES = ("create", "update", "delete", "fieldUpdate")
MAX_PER_USER = 50


def keep_event(change: Change) -> None:
    """The event of a webhook stays: another one is ignored without a word."""
    if not change.is_new:
        change.values.pop("event", None)


def prepare(change: Change, storage: Storage) -> None:
    """Check address and event, and set what follows from them.

    :raises ApiError: 400 for an internal address, 403 for an event that there is not, or for too many webhooks
    """
    if change.values.get("url") and is_refused(change.values["url"], storage.settings):
        raise validation_failure(change.entity_def, "url", "notInternal")
    if not change.is_new:
        return
    if change.user.is_api:
        change.values["userId"] = change.user.id
    elif change.values.get("userId"):
        need_api_user(storage, change.values["userId"])
    set_event_parts(change, storage)
    check_number(change, storage)
    change.values["secretKey"] = secrets.token_hex(16)


def need_api_user(storage: Storage, user_id: str) -> None:
    """:raises ApiError: 403 unless webhooks can be somebody's"""
    if storage.value('SELECT type FROM "User" WHERE id = ? AND deleted = 0', [user_id]) != "api":
        raise ApiError(403, "")


def set_event_parts(change: Change, storage: Storage) -> None:
    """Take the event apart: entity type, what happens, and for ``fieldUpdate`` the field.

    :raises ApiError: 403
    """
    entity_type, *rest = str(change.values["event"]).split(".")
    if len(rest) not in (1, 2):
        raise ApiError(403, "Not supported event.")
    event_type, field_name = rest[0], rest[1] if len(rest) > 1 else ""
    entity_def = storage.definitions.get(entity_type)
    if entity_def is None or "object" not in entity_def.traits:
        raise ApiError(403, "Entity type is not available for Webhooks.")
    if not acl.may(change.user, entity_type, "read"):
        raise ApiError(403, "")
    if event_type not in EVENT_TYPES:
        raise ApiError(403, "Not supported event.")
    if event_type == "fieldUpdate":
        if not field_name:
            raise ApiError(403, "Field is empty.")
        if field_name not in entity_def.fields:
            raise ApiError(403, "Field does not exist.")
        if field_name in acl.forbidden_fields(change.user, entity_def, "read"):
            raise ApiError(403, "")
    values = {"entityType": entity_type, "type": event_type, "field": None}
    change.values |= values | ({"field": field_name} if event_type == "fieldUpdate" else {})


def check_number(change: Change, storage: Storage) -> None:
    """:raises ApiError: 403 if the owner has as many webhooks as one may have"""
    sql = 'SELECT COUNT(*) FROM "Webhook" WHERE "userId" = ? AND deleted = 0'
    if storage.value(sql, [change.values.get("userId")]) >= MAX_PER_USER:
        raise ApiError(403, "")
