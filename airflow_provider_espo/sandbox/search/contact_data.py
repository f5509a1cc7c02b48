"""Filters by e-mail address and phone number. A record has any number of each; a filter looks at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.failures import server_error
from airflow_provider_espo.sandbox.search.sql import Condition, among
from airflow_provider_espo.sandbox.search.values import Operand, compare

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.search.context import SearchContext


@dataclass(frozen=True, slots=True)
class ContactData:
    """Where addresses or numbers are kept.

    :param table: the addresses or numbers themselves
    :param middle: which record has which
    :param key: column of ``middle`` with the id of the address or number
    :param column: what is compared
    """

    table: str
    middle: str
    key: str
    column: str


EMAIL = ContactData("EmailAddress", "EntityEmailAddress", "emailAddressId", "lower")
PHONE = ContactData("PhoneNumber", "EntityPhoneNumber", "phoneNumberId", "name")

#: Comparison under its rule's name -> the same for a single address or number, and whether records that have
#: one are left out.
_RULES = {
    "=": ("=", False),
    "IN": ("=", False),
    # Another address than this one: a record without any does not match, one with both does.
    "<>": ("!=", False),
    "NOT IN": ("!=", False),
    "LIKE": ("*", False),
    "NOT LIKE": ("*", True),
}


def condition(context: SearchContext, kind: ContactData, key: str, value: Any) -> Condition:
    """Condition on the records of the searched type.

    :param key: comparison under the name of its rule
    :raises ApiError: 500 if there is no rule for it
    """
    if key in ("IS NULL", "IS NOT NULL"):
        return among(context.root_id, _having(context, kind, Condition("1")), negate=key == "IS NULL")
    if key not in _RULES:
        raise server_error()
    comparison, negate = _RULES[key]
    if kind is EMAIL:
        # The column holds lower case and compares bytes, so that its index can be used.
        value = _lowered(value)
    wanted = compare(Operand(f"d.{quoted(kind.column)}", "varchar"), comparison, value)
    return among(context.root_id, _having(context, kind, wanted), negate=negate)


def numeric_condition(context: SearchContext, pattern: str) -> Condition:
    """Records with a phone number whose digits are like a pattern."""
    operand = Operand('d."numeric"', "varchar")
    return among(context.root_id, _having(context, PHONE, compare(operand, "*", pattern)))


def _lowered(value: Any) -> Any:
    if php.is_array(value):
        return [_lowered(inner) for inner in php.values(value)]
    return value.lower() if isinstance(value, str) else value


def _having(context: SearchContext, kind: ContactData, wanted: Condition) -> Condition:
    sql = (
        f'SELECT e."entityId" FROM {quoted(kind.middle)} e'  # noqa: S608
        f" JOIN {quoted(kind.table)} d ON d.id = e.{quoted(kind.key)} AND d.deleted = 0"
        f' WHERE e.deleted = 0 AND e."entityType" = ? AND {wanted.sql}'
    )
    return Condition(sql, (context.entity_def.name, *wanted.params))
