"""Makes a ``where`` into SQL: checks all items, then hands each to the module for its operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import arrays, categories, columns, comparison, links, periods
from airflow_provider_espo.sandbox.search.check import check
from airflow_provider_espo.sandbox.search.context import SearchContext
from airflow_provider_espo.sandbox.search.failures import bad_request
from airflow_provider_espo.sandbox.search.items import GROUPS, parse_item
from airflow_provider_espo.sandbox.search.sql import FALSE, TRUE, Condition, Part, all_of, any_of
from airflow_provider_espo.sandbox.search.values import Operand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_espo.sandbox.search.items import WhereItem

_Convert: TypeAlias = Callable[[SearchContext, str, str, Any], list[Part]]

#: Operator -> what makes an item with it into parts.
_FAMILIES: Mapping[str, _Convert] = {
    operator: family.convert
    for family in (comparison, links, arrays, columns, categories)
    for operator in family.OPERATORS
}


def where_condition(context: SearchContext, where: Sequence[Any]) -> Condition:
    """The condition that all items of a filter state together; true if there is none.

    :param where: raw items
    :raises ApiError: 400 with the reason, or 500, as a real server has it
    """
    items = [parse_item(raw) for raw in where]
    for item in items:
        check(context, item)
    parts = [part for item in items for part in convert(context, item)]
    return all_of(part.condition for part in parts)


def convert(context: SearchContext, item: WhereItem) -> list[Part]:
    """Parts that an item becomes: usually one, none if it restricts nothing.

    :raises ApiError: 400 with the reason, or 500
    """
    if item.zone_of == "dateTime":
        if not item.attribute:
            raise bad_request("Bad datetime where item. Empty 'attribute'.")
        return periods.convert_local(context, item, convert)
    if item.type in GROUPS:
        return _group(context, item)
    attribute = item.attribute or ""
    if item.type in _FAMILIES:
        return _FAMILIES[item.type](context, item.type, attribute, item.value)
    if item.type in periods.OPERATORS:
        return periods.convert(context, item)
    return [Part(_constant(context, item.type, attribute))]


def _group(context: SearchContext, item: WhereItem) -> list[Part]:
    parts = [part for raw in php.values(item.value) for part in convert(context, parse_item(raw))]
    conditions = [part.condition for part in parts if not part.lost_in_group]
    if not conditions:
        # An empty group is no condition, at the top as within another group.
        return []
    return [Part(any_of(conditions) if item.type == "or" else all_of(conditions))]


def _constant(context: SearchContext, operator: str, attribute: str) -> Condition:
    match operator:
        case "any":
            return TRUE
        case "none":
            return FALSE
        case "expression":
            operand = Operand.of(context.entity_def.attributes[attribute], context.root)
            return Condition(f"CAST({operand.sql} AS REAL) <> 0")
    raise bad_request(f"Unknown where item type '{operator}'.")
