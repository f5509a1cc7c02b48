"""Target lists: who opted out."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import record_input
from airflow_provider_espo.sandbox.attributes import name_sql
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.links import Relation
from airflow_provider_espo.sandbox.routes.common import need_record, search_params

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef, LinkDef
    from airflow_provider_espo.sandbox.http import Context, Router


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/TargetList/{id}/optedOut", opted_out)


def target_links(entity_def: EntityDef) -> dict[str, LinkDef]:
    """Links of a target list to those that can be on it, by entity type."""
    found = {}
    for link in entity_def.links.values():
        if "optedOut" in link.columns:
            found[link.entity_type] = link
    return found


def opt_out(context: Context) -> bool:
    """Mark a target as opted out."""
    return set_opted_out(context, opted_out=True)


def cancel_opt_out(context: Context) -> bool:
    """Take the mark back."""
    return set_opted_out(context, opted_out=False)


def set_opted_out(context: Context, *, opted_out: bool) -> bool:
    """Set the mark of one target.

    :raises ApiError: 400 without id, type and id of the target; 403; 404
    """
    body, storage = context.body, context.sandbox.storage
    entity_def = storage.definitions["TargetList"]
    if not (body.get("id") and body.get("targetType") and body.get("targetId")):
        raise ApiError(400, "")
    need_record(context, entity_def, str(body["id"]), "edit")
    link = target_links(entity_def).get(body["targetType"])
    if link is None:
        raise ApiError(400, "")
    other = storage.definitions[link.entity_type]
    if not context.sandbox.exists(other, str(body["targetId"])):
        raise ApiError(404, "")
    target = Relation(storage, entity_def, link, str(body["id"]))
    target.add(str(body["targetId"]), {"optedOut": opted_out})
    return True


def unlink_all(context: Context) -> bool:
    """Take everybody of one kind off a list."""
    body, storage = context.body, context.sandbox.storage
    entity_def = storage.definitions["TargetList"]
    if not body.get("id") or not body.get("link"):
        raise ApiError(400, "")
    need_record(context, entity_def, str(body["id"]), "edit")
    link = entity_def.links.get(str(body["link"]))
    if link is None or not link.is_to_many:
        raise ApiError(400, "")
    Relation(storage, entity_def, link, str(body["id"])).replace([])
    return True


def opted_out(context: Context) -> dict[str, Any]:
    """Targets of all kinds that opted out, as little more than their names."""
    storage = context.sandbox.storage
    entity_def = storage.definitions["TargetList"]
    record_id = context.params["id"]
    need_record(context, entity_def, record_id, "read")
    params = search_params(context)
    found: list[dict[str, Any]] = []
    for entity_type, link in target_links(entity_def).items():
        other = storage.definitions[entity_type]
        name = (name_sql(entity_type, storage.definitions) or "NULL").replace("{t}", "t")
        rows = storage.rows(
            f'SELECT t.id, {name} AS name, t."createdAt" FROM "{entity_type}" t JOIN "{link.middle}" m'
            f' ON m."{link.distant_key}" = t.id AND m.deleted = 0 WHERE m."{link.near_key}" = ? AND m."optedOut" = 1'
            ' AND t.deleted = 0 ORDER BY t."createdAt" DESC',
            [record_id],
        )
        empty = record_input.defaults(other, storage.settings, {})
        extras = {"isFollowed": False} if other.stream else {}
        found += [{**empty, **row, "deleted": False, **extras, "_scope": entity_type} for row in rows]
    start = params.offset or 0
    return {"total": len(found), "list": found[start : start + params.max_size]}
