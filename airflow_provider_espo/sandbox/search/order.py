"""The order of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.failures import bad_request, server_error
from airflow_provider_espo.sandbox.search.sql import Condition
from airflow_provider_espo.sandbox.search.values import Operand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_espo.sandbox.definitions import FieldDef
    from airflow_provider_espo.sandbox.search.context import SearchContext
    from airflow_provider_espo.sandbox.search.params import SearchParams

_BY_NAME = ("link", "file", "image", "linkOne")


def order_of(context: SearchContext, params: SearchParams) -> tuple[str, str]:
    """Field or attribute that a list is ordered by, and ``ASC`` or ``DESC``."""
    if params.order_by:
        return params.order_by, params.order or "ASC"
    return context.entity_def.order_by, params.order or context.entity_def.order.upper()


def order_clause(context: SearchContext, params: SearchParams) -> Condition:
    """What stands behind ``ORDER BY``; ties are broken by id in the same direction.

    :raises ApiError: 400 if there is no such field or the caller may not order by it
    """
    order_by, direction = order_of(context, params)
    if params.order_by:
        _check(context, order_by)
    terms = _terms(context, order_by, direction)
    if order_by != "id":
        terms.append(Condition(f"{context.root_id} {direction}"))
    return Condition(", ".join(term.sql for term in terms), tuple(p for term in terms for p in term.params))


def _check(context: SearchContext, order_by: str) -> None:
    if "." in order_by or ":" in order_by:
        raise bad_request("Complex expressions are forbidden in 'orderBy'.")
    field_def = context.entity_def.fields.get(order_by)
    if field_def is not None and "orderDisabled" in field_def.flags:
        raise bad_request(f"Order by the field '{order_by}' is disabled.")
    if field_def is not None and field_def.type == "password":
        raise bad_request(f"Order by field '{order_by}' is not allowed.")
    hidden = context.access.forbidden_attributes(context.entity_def.name)
    if order_by in hidden or f"{order_by}Id" in hidden:
        raise bad_request(f"Not access to order by field '{order_by}'.")


def _terms(context: SearchContext, order_by: str, direction: str) -> list[Condition]:
    field_def = context.entity_def.fields.get(order_by)
    field_type = field_def.type if field_def else ""
    if field_def is not None and field_type == "enum" and field_def.options:
        return [_by_option(context, field_def, direction)]
    if field_type == "address":
        return _by_attributes(context, [order_by + part for part in ("Country", "City", "Street")], direction)
    if field_type in _BY_NAME:
        order_by += "Name"
    elif field_type == "linkParent":
        order_by += "Type"
    elif order_by not in context.entity_def.attributes:
        raise bad_request(f"Order by non-existing field '{order_by}'.")
    if field_type == "personName":
        suffix = order_by[:1].upper() + order_by[1:]
        return _by_attributes(context, [f"first{suffix}", f"last{suffix}"], direction)
    if field_type == "currency" and f"{order_by}Converted" in context.entity_def.attributes:
        # Amounts of different currencies are compared by what they are worth.
        order_by += "Converted"
    return _by_attributes(context, [order_by], direction)


def _by_attributes(context: SearchContext, names: Sequence[str], direction: str) -> list[Condition]:
    terms = []
    for name in names:
        definition = context.entity_def.attributes.get(name)
        if definition is None:
            raise server_error()
        terms.append(Condition(f"{Operand.of(definition, context.root).sql} {direction}"))
    return terms


def _by_option(context: SearchContext, field_def: FieldDef, direction: str) -> Condition:
    """By the position of the option; a value that is none of them comes last in either direction."""
    options = [str(option) for option in field_def.options or ()]
    if direction == "DESC":
        options.reverse()
    cases = " ".join(f"WHEN ? THEN {position}" for position in range(len(options)))
    column = f"{context.root}.{quoted(field_def.name)}"
    definition = context.entity_def.attributes.get(field_def.name)
    if definition is None or definition.sql(context.root) is None:
        raise server_error()
    return Condition(f"CASE {column} {cases} ELSE {len(options)} END", tuple(options))
