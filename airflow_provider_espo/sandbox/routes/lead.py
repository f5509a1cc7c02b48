"""Actions of leads: conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.lead_attributes import suggest
from airflow_provider_espo.sandbox.lead_conversion import Conversion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.http import Context, Handler


def checked_id(context: Context, action: str) -> str:
    """The id in the body, if the user may do that with the lead.

    :raises ApiError: 400, 403, 404
    """
    lead_id, storage = context.body.get("id"), context.sandbox.storage
    lead_def = storage.definitions["Lead"]
    if not lead_id:
        raise ApiError(400, "")
    if not acl.may(context.user, "Lead", action):
        raise ApiError(403, f"No {action} access.")
    if not context.sandbox.exists(lead_def, str(lead_id)):
        raise ApiError(404, "")
    if not acl.may_on(storage, context.user, lead_def, str(lead_id), action):
        raise ApiError(403, f"No {action} access.")
    return str(lead_id)


def convert_attributes(context: Context) -> dict[str, Any]:
    """Attributes that the lead suggests for the records into which it may be converted."""
    lead_id, sandbox = checked_id(context, "read"), context.sandbox
    lead = sandbox.records.stored(sandbox.storage.definitions["Lead"], lead_id, context.user)
    return suggest(sandbox, lead, context.user)


def convert(context: Context) -> dict[str, Any]:
    """Convert a lead.

    :return: the lead
    """
    records = context.body.get("records")
    if not context.body.get("id") or not isinstance(records, dict | None):
        raise ApiError(400, "")
    lead_id = checked_id(context, "edit")
    skip = bool(context.body.get("skipDuplicateCheck"))
    return Conversion(context.sandbox, lead_id, context.user, skip).run(records or {})


ACTIONS: Mapping[tuple[str, str, str], Handler] = {
    ("POST", "Lead", "getConvertAttributes"): convert_attributes,
    ("POST", "Lead", "convert"): convert,
}
