"""Actions of controllers: ``{EntityType}/action/{name}``."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes import formula, lead, target_list
from airflow_provider_espo.sandbox.routes.common import entity_of, need_admin, need_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.http import Context, Handler, Router


def register(router: Router) -> None:
    """Register the routes."""
    for method in ("GET", "POST", "PUT"):
        router.add(method, "/{controller}/action/{action}", run, action="{action}")


def run(context: Context) -> Any:
    """Run the action that a path names.

    :raises ApiError: 404 if there is none
    """
    method, name = context.request.method, context.params["action"]
    entity_name = context.params["controller"]
    handler = ACTIONS.get((method, entity_name, name))
    if handler is None:
        entity_name = entity_of(context).name
        handler = ACTIONS.get((method, entity_name, name)) or ACTIONS.get((method, "*", name))
    if handler is None:
        raise ApiError(404, f"Action {method} '{name}' does not exist in controller '{entity_name}'.")
    return handler(context)


def body_id(context: Context) -> str:
    """The ``id`` of the body.

    :raises ApiError: 400 if there is none
    """
    record_id = context.body.get("id")
    if not record_id:
        raise ApiError(400, "")
    return str(record_id)


def set_held(context: Context) -> bool:
    """Meetings and calls took place, or did not."""
    entity_def = entity_of(context)
    status = "Held" if context.params["action"] == "massSetHeld" else "Not Held"
    ids = context.body.get("ids")
    if not isinstance(ids, list):
        raise ApiError(400, "")
    for record_id in ids:
        if acl.may_on(context.sandbox.storage, context.user, entity_def, str(record_id), "edit"):
            context.sandbox.records.update(entity_def, str(record_id), {"status": status}, context.user)
    return True


def restore_deleted(context: Context) -> bool:
    """Bring a deleted record back."""
    need_admin(context)
    entity_def = entity_of(context)
    storage = context.sandbox.storage
    table = entity_def.name
    deleted = storage.value(f'SELECT deleted FROM "{table}" WHERE id = ?', [body_id(context)])
    if deleted is None:
        raise ApiError(404, "")
    if not deleted:
        raise ApiError(409, "Record type is not soft-deleted.")
    storage.update(table, body_id(context), {"deleted": 0})
    return True


def duplicate_attributes(context: Context) -> dict[str, Any]:
    """Attributes for a copy of a record."""
    entity_def, record_id = entity_of(context), body_id(context)
    if not acl.may(context.user, entity_def.name, "create"):
        raise ApiError(403, "")
    need_record(context, entity_def, record_id, "read")
    record = context.sandbox.records.read(entity_def, record_id, context.user)
    left_out = {"id", "versionNumber", *(("status",) if entity_def.name == "Lead" else ())}
    for name in ("createdAccount", "createdContact", "createdOpportunity"):
        left_out |= {f"{name}Id", f"{name}Name"}
    return {name: value for name, value in record.items() if name not in left_out}


ACTIONS: Mapping[tuple[str, str, str], Handler] = {
    ("POST", "Meeting", "massSetHeld"): set_held,
    ("POST", "Meeting", "massSetNotHeld"): set_held,
    ("POST", "Call", "massSetHeld"): set_held,
    ("POST", "Call", "massSetNotHeld"): set_held,
    ("POST", "TargetList", "optOut"): target_list.opt_out,
    ("POST", "TargetList", "cancelOptOut"): target_list.cancel_opt_out,
    ("POST", "TargetList", "unlinkAll"): target_list.unlink_all,
    ("POST", "*", "restoreDeleted"): restore_deleted,
    ("POST", "*", "getDuplicateAttributes"): duplicate_attributes,
    **lead.ACTIONS,
    **formula.ACTIONS,
}
