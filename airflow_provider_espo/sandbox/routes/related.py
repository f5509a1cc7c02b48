"""Related records: lists them, links and unlinks them."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, behaviours, notes
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.links import Relation
from airflow_provider_espo.sandbox.record_input import translated
from airflow_provider_espo.sandbox.routes.common import entity_of, search_params
from airflow_provider_espo.sandbox.search import SearchParams, find

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef, LinkDef
    from airflow_provider_espo.sandbox.http import Context, Router

#: More than any table has: mass relate takes all that match.
ALL = 2**31


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/{controller}/{id}/{link}", list_related, action="listLinked")
    router.add("POST", "/{controller}/{id}/{link}", create_link, action="createLink")
    router.add("DELETE", "/{controller}/{id}/{link}", remove_link, action="removeLink")


def list_related(context: Context) -> dict[str, Any]:
    """A page of the records on the other side of a link."""
    entity_def, user, sandbox = entity_of(context), context.user, context.sandbox
    record_id = context.params["id"]
    if not acl.may(user, entity_def.name, "read"):
        raise ApiError(403, "")
    if not sandbox.exists(entity_def, record_id):
        raise ApiError(404, "")
    if not acl.may_on(sandbox.storage, user, entity_def, record_id, "read"):
        raise ApiError(403, "")
    link = entity_def.links.get(context.params["link"])
    other = sandbox.storage.definitions.get(link.entity_type) if link else None
    if link is None or other is None:
        raise ApiError(404, "Link does not exist.")
    if not acl.may(user, other.name, "read"):
        raise ApiError(403, "")
    params = search_params(context)
    chosen = sandbox.serializer.selection(other, params.select, params.order_by, user, link)
    conditions = [Relation(sandbox.storage, entity_def, link, record_id).condition()]
    if restriction := acl.restriction(user, other):
        conditions.append(restriction)
    found = find(
        sandbox.storage,
        other,
        params,
        user,
        attributes=[a.name for a in chosen if a.source != "middle"],
        conditions=conditions,
        no_total=False,
    )
    records = sandbox.serializer.page(
        other, found.rows, chosen, user, max_text=params.max_text_length, link=link, near=(entity_def, record_id)
    )
    return {"total": found.total, "list": records}


def create_link(context: Context) -> bool:
    """Link a record with one, several, or all that a search finds. Without any of these: False."""
    entity_def = entity_of(context)
    if context.body.get("massRelate"):
        return relate_found(context, entity_def)
    ids = given_ids(context)
    for foreign_id in ids:
        link = checked_link(context, entity_def, foreign_id)
        relate(context, entity_def, link, foreign_id)
    return bool(ids)


def remove_link(context: Context) -> bool:
    """Unlink a record from one or several. Without ids: False."""
    entity_def = entity_of(context)
    ids = given_ids(context)
    for foreign_id in ids:
        link = checked_link(context, entity_def, foreign_id)
        unrelate(context, entity_def, link, foreign_id)
    return bool(ids)


def given_ids(context: Context) -> list[str]:
    """Ids in the body: ``id``, ``ids``, or both."""
    body = context.body
    ids = [body["id"]] if body.get("id") else []
    ids += body["ids"] if isinstance(body.get("ids"), list) else []
    return [str(foreign_id) for foreign_id in ids]


def relate(context: Context, entity_def: EntityDef, link: LinkDef, foreign_id: str) -> None:
    """Link, with what follows from it."""
    storage, record_id = context.sandbox.storage, context.params["id"]
    with storage.transaction():
        Relation(storage, entity_def, link, record_id).add(foreign_id)
        notes.note_link(storage, context.user, (entity_def, record_id), link, foreign_id)
        behaviours.after_link(storage, entity_def.name, link.name, record_id, foreign_id)
    context.sandbox.links_changed(entity_def, link)


def unrelate(context: Context, entity_def: EntityDef, link: LinkDef, foreign_id: str) -> None:
    """Unlink, with what follows from it."""
    storage, record_id = context.sandbox.storage, context.params["id"]
    with storage.transaction():
        Relation(storage, entity_def, link, record_id).remove(foreign_id)
        notes.note_link(storage, context.user, (entity_def, record_id), link, foreign_id, ended=True)
        behaviours.after_unlink(storage, entity_def.name, link.name, record_id, foreign_id)
    context.sandbox.links_changed(entity_def, link)


def checked_near_side(context: Context, entity_def: EntityDef) -> LinkDef:
    """The link of the path, if it is one that can be changed here and the user may edit the record.

    :raises ApiError: 403, 404
    """
    name, storage = context.params["link"], context.sandbox.storage
    if not context.sandbox.exists(entity_def, context.params["id"]):
        raise ApiError(404, "")
    link = entity_def.links.get(name)
    if link is None:
        raise ApiError(404, f"Entity {entity_def.name} does not have link {name}.")
    if not link.is_to_many:
        raise ApiError(403, "Only manyMany, hasMany & hasChildren relations are allowed.")
    if "readOnly" in link.flags:
        raise ApiError(403, "")
    if not acl.may_on(storage, context.user, entity_def, context.params["id"], link.own_access):
        raise ApiError(
            403,
            f"No record access for link operation ({entity_def.name}:{name}).",
            translated("noAccessToRecord", {"action": link.own_access}),
        )
    return link


def checked_link(context: Context, entity_def: EntityDef, foreign_id: str) -> LinkDef:
    """The link of the path, if both sides are there and the user may link them.

    :raises ApiError: 403, 404
    """
    link = checked_near_side(context, entity_def)
    storage = context.sandbox.storage
    other = storage.definitions.get(link.entity_type)
    if other is None or not context.sandbox.exists(other, foreign_id):
        raise ApiError(404, "")
    if not acl.may_on(storage, context.user, other, foreign_id, link.foreign_access):
        raise ApiError(
            403,
            f"No foreign record access for link operation ({entity_def.name}:{link.name}).",
            translated("noAccessToForeignRecord", {"action": link.foreign_access}),
        )
    if "linkOnlyNotLinked" in link.flags and context.request.method == "POST":
        check_not_linked(context, entity_def, link, foreign_id)
    return link


def check_not_linked(context: Context, entity_def: EntityDef, link: LinkDef, foreign_id: str) -> None:
    """Some links cannot take a record away from another one.

    :raises ApiError: 403 if the record on the other side is linked with another record
    """
    sql = f'SELECT "{link.foreign_key}" FROM "{link.entity_type}" WHERE id = ?'
    owner = context.sandbox.storage.value(sql, [foreign_id])
    if owner is not None and owner != context.params["id"]:
        raise ApiError(
            403, "Cannot link already linked record.", translated("cannotLinkAlreadyLinked", {"link": link.name})
        )


def relate_found(context: Context, entity_def: EntityDef) -> bool:
    """Link with all records that a search finds; without ``where`` with all that there are."""
    link = checked_near_side(context, entity_def)
    if "massLink" not in link.flags:
        raise ApiError(403, "Mass link is not allowed.")
    storage, user = context.sandbox.storage, context.user
    other = storage.definitions[link.entity_type]
    raw = context.body.get("searchParams")
    raw = dict(raw) if isinstance(raw, dict) else {}
    if "where" in context.body:
        raw["where"] = context.body["where"]
    params = replace(SearchParams.from_raw(raw), max_size=ALL, offset=0)
    restriction = acl.restriction(user, other, link.foreign_access)
    conditions = [restriction] if restriction else []
    found = find(storage, other, params, user, conditions=conditions, no_total=True)
    for row in found.rows:
        relate(context, entity_def, link, row["id"])
    return True
