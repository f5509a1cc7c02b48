"""Search over several types at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes.common import search_params
from airflow_provider_espo.sandbox.search import MORE, NO_MORE, SearchParams, find

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/GlobalSearch", search)


def search(context: Context) -> dict[str, Any]:
    """Records that a text is found in, type by type. They are not counted."""
    text = context.request.query_params.get("q")
    if not isinstance(text, str) or not text.strip():
        raise ApiError(400, "No `q` parameter.")
    page = search_params(context)
    offset, size = page.offset or 0, page.max_size
    found: list[dict[str, Any]] = []
    for name in context.sandbox.storage.settings.global_search_types:
        entity_def = context.sandbox.storage.definitions.get(name)
        if entity_def is not None and acl.may(context.user, name, "read") and len(found) <= offset + size:
            found += of_type(context, entity_def, text.strip(), offset + size + 1)
    rows = found[offset:]
    return {"total": MORE if len(rows) > size else NO_MORE, "list": rows[:size]}


def of_type(context: Context, entity_def: EntityDef, text: str, count: int) -> list[dict[str, Any]]:
    """Records of one type, as the search shows them.

    :param count: how many at most
    """
    sandbox, user = context.sandbox, context.user
    name_def = entity_def.fields.get("name")
    names = ["id", "name", *((entity_def.status_field,) if entity_def.status_field else ())]
    names += name_def.any_of if name_def else ()
    hidden = acl.forbidden_fields(user, entity_def, "read")
    chosen = [entity_def.attributes[n] for n in names if n in entity_def.attributes and n not in hidden]
    restriction = acl.restriction(user, entity_def)
    params = replace(SearchParams(text_filter=text), max_size=count)
    page = find(
        sandbox.storage,
        entity_def,
        params,
        user,
        attributes=[a.name for a in chosen],
        conditions=[restriction] if restriction else [],
        no_total=True,
    )
    records = sandbox.serializer.page(entity_def, page.rows, chosen, user, stars=False)
    return [{**record, "_scope": entity_def.name} for record in records]
