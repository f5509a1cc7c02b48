"""Pieces of SQL with their parameters.

Values never stand in the SQL text: a piece carries a ``?`` for each of its parameters. Names of tables and
columns come from the definitions, never from a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_espo.sandbox.collation import COLLATION
from airflow_provider_espo.sandbox.definitions import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_espo.sandbox.definitions import LinkDef


class Condition(NamedTuple):
    """A condition and its parameters; a tuple, so that it goes where the storage takes ``(sql, params)``."""

    sql: str
    params: tuple[Any, ...] = ()


TRUE = Condition("1")
FALSE = Condition("0")


@dataclass(frozen=True, slots=True)
class Part:
    """What a where item became.

    :param condition: its SQL
    :param lost_in_group: whether EspoCRM drops it when it stands in an ``and`` or ``or``: it does so if the
        operand is what PHP calls empty (``"0"``, an empty list) but not null, an empty text, the number 0 or
        false
    """

    condition: Condition
    lost_in_group: bool = False


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Conditions joined by AND; true if there are none."""
    return _joined(list(conditions), " AND ") or TRUE


def any_of(conditions: Iterable[Condition]) -> Condition:
    """Conditions joined by OR; false if there are none."""
    return _joined(list(conditions), " OR ") or FALSE


def _joined(conditions: list[Condition], operator: str) -> Condition | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    sql = operator.join(condition.sql for condition in conditions)
    return Condition(f"({sql})", tuple(p for condition in conditions for p in condition.params))


def one_of(expression: str, values: Iterable[Any], *, negate: bool = False) -> Condition:
    """``IN`` or ``NOT IN``; an empty list is in none, as EspoCRM has it."""
    params = tuple(values)
    if not params:
        return TRUE if negate else FALSE
    marks = ", ".join("?" * len(params))
    return Condition(f"{expression} {'NOT ' if negate else ''}IN ({marks})", params)


def like(expression: str, pattern: str, *, negate: bool = False) -> Condition:
    """``LIKE`` with the wildcards ``%`` and ``_`` and the escape character of MariaDB."""
    return Condition(f"{expression} {'NOT ' if negate else ''}LIKE ? ESCAPE '\\'", (pattern,))


def text_compared(expression: str) -> str:
    """An expression that is no column, to be compared as text columns are."""
    return f"({expression}) COLLATE {COLLATION}"


def middle_rows(link: LinkDef) -> Condition:
    """Which rows of a middle table (alias ``m``) belong to a link."""
    conditions = [Condition("m.deleted = 0")]
    if link.near_type is not None:
        conditions.append(Condition('m."entityType" = ?', (link.near_type,)))
    conditions += [Condition(f"m.{quoted(column)} = ?", (value,)) for column, value in link.conditions.items()]
    return all_of(conditions)


def linked_ids(link: LinkDef, condition: Condition) -> Condition:
    """Sub-query for ids of this side, by a condition on rows of the middle table (alias ``m``)."""
    belongs = middle_rows(link)
    return Condition(
        f"SELECT m.{quoted(link.near_key)} FROM {quoted(link.middle)} m"  # noqa: S608
        f" WHERE {belongs.sql} AND {condition.sql}",
        (*belongs.params, *condition.params),
    )


def among(expression: str, sub_query: Condition, *, negate: bool = False) -> Condition:
    """``IN`` or ``NOT IN`` a sub-query."""
    return Condition(f"{expression} {'NOT ' if negate else ''}IN ({sub_query.sql})", sub_query.params)


def exists(sub_query: Condition, *, negate: bool = False) -> Condition:
    """``EXISTS`` or ``NOT EXISTS``."""
    return Condition(f"{'NOT ' if negate else ''}EXISTS ({sub_query.sql})", sub_query.params)
