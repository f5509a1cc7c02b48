"""Lists and single records of any entity type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import json_reply
from airflow_provider_espo.sandbox.routes.common import entity_of, search_params
from airflow_provider_espo.sandbox.search import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Reply, Router
    from airflow_provider_espo.sandbox.storage import Condition


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/{controller}", list_records, action="list")
    router.add("POST", "/{controller}", create_any, action="create")
    router.add("GET", "/{controller}/{id}", read_record, action="read")
    router.add("PUT", "/{controller}/{id}", update_record, action="update")
    router.add("PATCH", "/{controller}/{id}", update_record, action="update")
    router.add("DELETE", "/{controller}/{id}", delete_record, action="delete")


def list_records(context: Context) -> dict[str, Any]:
    """A page of records."""
    entity_def = entity_of(context)
    if not acl.may(context.user, entity_def.name, "read"):
        raise ApiError(403, "No read access.")
    restriction = acl.restriction(context.user, entity_def)
    return list_of(context, entity_def, [restriction] if restriction else [])


def list_of(context: Context, entity_def: EntityDef, conditions: Sequence[Condition] = ()) -> dict[str, Any]:
    """A page of records of a type.

    :param conditions: SQL for the records that the user may see
    """
    user, sandbox = context.user, context.sandbox
    params = search_params(context)
    chosen = sandbox.serializer.selection(entity_def, params.select, params.order_by, user)
    found = find(
        sandbox.storage,
        entity_def,
        params,
        user,
        attributes=[a.name for a in chosen],
        conditions=conditions,
        no_total=context.request.flag("x-no-total") or None,
    )
    records = sandbox.serializer.page(entity_def, found.rows, chosen, user, max_text=params.max_text_length)
    return {"total": found.total, "list": records}


def read_record(context: Context) -> dict[str, Any]:
    """One record in full."""
    return context.sandbox.records.read(entity_of(context), context.params["id"], context.user)


def create_any(context: Context) -> dict[str, Any] | Reply:
    """Create a record. Of all types only webhooks are answered with the status that says so."""
    record = create_record(context)
    return json_reply(record, 201) if entity_of(context).name == "Webhook" else record


def create_record(context: Context) -> dict[str, Any]:
    """Create a record."""
    skip = context.request.flag("x-skip-duplicate-check")
    return context.sandbox.records.create(entity_of(context), context.body, context.user, skip_duplicate_check=skip)


def update_record(context: Context) -> dict[str, Any]:
    """Update a record; attributes that are not in the body stay."""
    version = context.request.header("x-version-number")
    return context.sandbox.records.update(
        entity_of(context), context.params["id"], context.body, context.user, version=version
    )


def delete_record(context: Context) -> bool:
    """Delete a record."""
    context.sandbox.records.delete(entity_of(context), context.params["id"], context.user)
    return True
