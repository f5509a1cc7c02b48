"""Checks where items before any of them is made into SQL: names have to exist and be the caller's to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.failures import bad_request
from airflow_provider_espo.sandbox.search.items import GROUPS, SUB_QUERIES, parse_item
from airflow_provider_espo.sandbox.search.links import ON_LINKS, WITH_IDS

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.search.context import SearchContext
    from airflow_provider_espo.sandbox.search.items import WhereItem


def check(context: SearchContext, item: WhereItem) -> None:
    """Check an item and those within it.

    :raises ApiError: 400 with the reason; 500 for an item within that is malformed
    """
    if item.type in SUB_QUERIES:
        raise bad_request("Sub-queries are forbidden in where.")
    if item.attribute:
        if is_expression(item.attribute):
            raise bad_request("Complex expressions are forbidden in where.")
        if item.type in ON_LINKS:
            _check_link(context, item, item.attribute)
        else:
            _check_attribute(context, item.attribute)
    if item.type in GROUPS:
        for inner in php.values(item.value):
            check(context, parse_item(inner))


def is_expression(attribute: str) -> bool:
    """Whether EspoCRM would take a name for an expression: a path, a function, a literal."""
    quotes = attribute[:1] in ("'", '"') and attribute[-1:] == attribute[:1]
    literal = php.is_numeric(attribute) or attribute.upper() in ("NULL", "TRUE", "FALSE")
    return quotes or literal or "." in attribute or ":" in attribute


def _check_attribute(context: SearchContext, attribute: str) -> None:
    entity_def = context.entity_def
    definition = entity_def.attributes.get(attribute)
    if definition is None:
        raise bad_request(f"Not existing attribute '{attribute}' in where.")
    field_def = entity_def.fields.get(definition.field)
    is_secret = field_def is not None and (field_def.type == "password" or "internal" in field_def.flags)
    if is_secret or attribute in context.access.forbidden_attributes(entity_def.name):
        raise bad_request(f"Forbidden attribute '{attribute}' in where.")


def _check_link(context: SearchContext, item: WhereItem, name: str) -> None:
    link = context.entity_def.links.get(name)
    if link is None:
        raise bad_request(f"Not existing relation '{name}' in where.")
    if not link.entity_type:
        raise bad_request(f"Bad relation '{name}' in where.")
    entity_type = "Team" if item.type == "isUserFromTeams" else link.entity_type
    hidden = context.access.forbidden_attributes(context.entity_def.name)
    if name in hidden or f"{name}Id" in hidden or f"{name}Ids" in hidden:
        raise bad_request(f"Forbidden relation '{name}' in where.")
    if not context.access.has_scope(entity_type):
        raise bad_request(f"Forbidden relation '{name}' in where.")
    if item.type in WITH_IDS and item.value is not None:
        ids = php.values(item.value) if php.is_array(item.value) else [item.value]
        _check_records(context, entity_type, ids)


def _check_records(context: SearchContext, entity_type: str, ids: list[object]) -> None:
    if not all(isinstance(id_, str) for id_ in ids):
        raise bad_request("Bad where item. Non-string ID.")
    known = entity_type in context.storage.definitions
    sql = f"SELECT 1 FROM {quoted(entity_type)} WHERE id = ? AND deleted = 0"  # noqa: S608
    for id_ in map(str, ids):
        if not known or context.storage.value(sql, [id_]) is None:
            raise bad_request(f"Record '{entity_type}' `{id_}` not found.")
        if not context.access.can_read(entity_type, id_):
            raise bad_request(f"No access to '{entity_type}' `{id_}`.")
