"""The operator ``inCategory``: linked with a category or with one below it in its tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.failures import bad_request, server_error
from airflow_provider_espo.sandbox.search.sql import Condition, Part, among, linked_ids, one_of

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.search.context import SearchContext

OPERATORS = frozenset({"inCategory"})


def convert(context: SearchContext, operator: str, attribute: str, value: Any) -> list[Part]:
    """Parts for ``inCategory``.

    :raises ApiError: 400 for a link that cannot lead to a category, 500 if what it leads to is no tree
    """
    if value is None:
        return []
    ids = php.values(value) if php.is_array(value) else [value]
    if any(not isinstance(id_, str | int) or isinstance(id_, bool) for id_ in ids):
        raise bad_request("Bad where item. Bad array item.")
    link = context.entity_def.links[attribute]
    if link.kind not in ("belongsTo", "manyMany"):
        raise bad_request(f"Not supported link '{attribute}' in where item.")
    category = context.storage.definitions.get(link.entity_type)
    if category is None or "parentId" not in category.attributes or "tree" not in category.traits:
        raise server_error()
    tree = descendants(category.name, [str(id_) for id_ in ids])
    if link.kind == "belongsTo":
        return [Part(among(f"{context.root}.{quoted(link.key)}", tree))]
    linked = linked_ids(link, among(f"m.{quoted(link.distant_key)}", tree))
    return [Part(among(context.root_id, linked))]


def descendants(entity_type: str, ids: list[str]) -> Condition:
    """Sub-query for the given records of a tree and all below them."""
    table = quoted(entity_type)
    roots = one_of("r.id", ids)
    sql = (
        f"WITH RECURSIVE branch(id) AS (SELECT r.id FROM {table} r WHERE {roots.sql}"  # noqa: S608
        f' UNION SELECT c.id FROM {table} c JOIN branch ON c."parentId" = branch.id AND c.deleted = 0)'
        " SELECT id FROM branch"
    )
    return Condition(sql, roots.params)
