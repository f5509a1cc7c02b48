"""Operators on links: linked with some records, with all of them, with none, with anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.failures import bad_request, server_error
from airflow_provider_espo.sandbox.search.sql import (
    FALSE,
    TRUE,
    Condition,
    Part,
    among,
    linked_ids,
    one_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_espo.sandbox.definitions import LinkDef
    from airflow_provider_espo.sandbox.search.context import SearchContext

#: Operators that name records of the other side; those are checked before the search.
WITH_IDS = frozenset({"linkedWith", "notLinkedWith", "linkedWithAll", "inCategory", "isUserFromTeams"})
#: All operators whose attribute is a link.
ON_LINKS = WITH_IDS | {"isLinked", "isNotLinked"}

_UNSUPPORTED = "Bad where item. Not supported relation type."


def convert(context: SearchContext, operator: str, attribute: str, value: Any) -> list[Part]:
    """Parts for one of the operators of this module.

    :raises ApiError: 400 if the operand is missing or the kind of link is not supported
    """
    return _OPERATORS[operator](context, context.entity_def.links[attribute], value)


def linked_with(context: SearchContext, link: LinkDef, value: Any) -> list[Part]:
    """Linked with any of the records."""
    _require(value)
    if link.kind == "belongsTo":
        return [_own_key(context, link, value, negate=False)]
    return [Part(among(context.root_id, _ids_linked_with(context, link, value)))]


def not_linked_with(context: SearchContext, link: LinkDef, value: Any) -> list[Part]:
    """Linked with none of the records. Records without any link are left out if it is a belongs-to (NULL)."""
    if value is None:
        raise bad_request("Bad where item. Empty value.")
    if link.kind == "belongsTo":
        return [_own_key(context, link, value, negate=True)]
    return [Part(among(context.root_id, _ids_linked_with(context, link, value), negate=True))]


def linked_with_all(context: SearchContext, link: LinkDef, value: Any) -> list[Part]:
    """Linked with each of the records: one part for each, so that in an ``or`` any of them is enough."""
    _require(value)
    if link.kind not in ("manyMany", "hasMany"):
        raise bad_request(_UNSUPPORTED)
    ids = php.values(value) if php.is_array(value) else [value]
    return [Part(among(context.root_id, _ids_linked_with(context, link, [id_]))) for id_ in ids]


def is_linked(context: SearchContext, link: LinkDef, value: Any) -> list[Part]:
    """Linked with anything. Where there is a middle table it alone decides, deleted records or not."""
    return [Part(_linked_with_anything(context, link, negate=False))]


def is_not_linked(context: SearchContext, link: LinkDef, value: Any) -> list[Part]:
    """Linked with nothing."""
    return [Part(_linked_with_anything(context, link, negate=True))]


def is_user_from_teams(context: SearchContext, link: LinkDef, value: Any) -> list[Part]:
    """The user of a belongs-to link is a member of any of the teams.

    :raises ApiError: 400 if the link does not lead to a user
    """
    if value is None:
        return []
    teams = php.values(value) if php.is_array(value) else [value]
    if any(not isinstance(team, str | int) or isinstance(team, bool) for team in teams):
        raise bad_request("Bad where item. Bad array item.")
    if link.entity_type != "User" or link.kind != "belongsTo":
        raise bad_request(f"Not supported link '{link.name}' in where item.")
    members = linked_ids(context.storage.definitions["User"].links["teams"], one_of('m."teamId"', map(str, teams)))
    return [Part(among(f"{context.root}.{quoted(link.key)}", members))]


def _require(value: Any) -> None:
    if php.is_empty(value) and not php.is_array(value):
        raise bad_request("Bad where item. Empty value.")


def _matches(expression: str, value: Any, *, negate: bool = False) -> Condition:
    """An id column is one of the ids given, or the one id."""
    ids = php.values(value) if php.is_array(value) else [value]
    return one_of(expression, [php.to_string(id_) for id_ in ids], negate=negate)


def _own_key(context: SearchContext, link: LinkDef, value: Any, *, negate: bool) -> Part:
    column = f"{context.root}.{quoted(link.key)}"
    return Part(_matches(column, value, negate=negate), lost_in_group=php.is_empty(value))


def _ids_linked_with(context: SearchContext, link: LinkDef, value: Any) -> Condition:
    if link.kind == "manyMany":
        return linked_ids(link, _matches(f"m.{quoted(link.distant_key)}", value))
    if link.kind in ("hasMany", "hasOne"):
        return _keys_of_foreign(context, link, _matches("s.id", value))
    raise bad_request(_UNSUPPORTED)


def _linked_with_anything(context: SearchContext, link: LinkDef, *, negate: bool) -> Condition:
    if link.kind == "manyMany":
        return among(context.root_id, linked_ids(link, TRUE), negate=negate)
    if link.kind == "belongsTo":
        if link.entity_type not in context.storage.definitions:
            return Condition(f"{context.root}.{quoted(link.key)} IS {'' if negate else 'NOT '}NULL")
        there = (
            f"EXISTS (SELECT 1 FROM {quoted(link.entity_type)} s"  # noqa: S608
            f" WHERE s.id = {context.root}.{quoted(link.key)} AND s.deleted = 0)"
        )
        return Condition(f"NOT {there}" if negate else there)
    if link.kind in ("hasMany", "hasOne", "hasChildren"):
        return among(context.root_id, _keys_of_foreign(context, link, TRUE), negate=negate)
    raise server_error()


def _keys_of_foreign(context: SearchContext, link: LinkDef, wanted: Condition) -> Condition:
    """Ids of this side that records of the other side (alias ``s``) hold in their key column."""
    if link.entity_type not in context.storage.definitions:
        return Condition(f"SELECT NULL WHERE {FALSE.sql}")
    key = f"s.{quoted(link.foreign_key)}"
    sql = f"SELECT {key} FROM {quoted(link.entity_type)} s WHERE s.deleted = 0 AND {key} IS NOT NULL"  # noqa: S608
    params = wanted.params
    if link.kind == "hasChildren":
        sql += f" AND s.{quoted(link.foreign_type_key)} = ?"
        params = (context.entity_def.name, *params)
    return Condition(f"{sql} AND {wanted.sql}", params)


_OPERATORS: Mapping[str, Callable[[SearchContext, LinkDef, Any], list[Part]]] = {
    "linkedWith": linked_with,
    "notLinkedWith": not_linked_with,
    "linkedWithAll": linked_with_all,
    "isLinked": is_linked,
    "isNotLinked": is_not_linked,
    "isUserFromTeams": is_user_from_teams,
}
OPERATORS = frozenset(_OPERATORS)
