"""Compares a value of the database with one from a request as MariaDB would.

A request's value often has another type than the column: all of a query string is text, and JSON may hold a
number where the column holds text. The database then converts one of them, and that decides what is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search.failures import crash, server_error
from airflow_provider_espo.sandbox.search.sql import (
    FALSE,
    TRUE,
    Condition,
    all_of,
    like,
    one_of,
    text_compared,
)

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import AttributeDef, AttributeKind

NUMBERS: tuple[AttributeKind, ...] = ("int", "float", "bool")
TIMES: tuple[AttributeKind, ...] = ("date", "datetime")
SQL_OPERATORS = {"=": "=", "!=": "<>", ">": ">", "<": "<", ">=": ">=", "<=": "<="}

_TIME = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?(?:\.\d+)?(?P<rest>.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Operand:
    """Something in the database that can be compared.

    :param sql: column or expression
    :param kind: what it holds
    """

    sql: str
    kind: AttributeKind

    @classmethod
    def of(cls, attribute: AttributeDef, alias: str) -> Operand:
        """An attribute of the table ``alias``.

        :raises ApiError: 500 if the attribute has no value in the database
        """
        sql = attribute.sql(alias)
        if sql is None:
            raise server_error()
        if attribute.source != "stored" and attribute.kind in ("varchar", "text"):
            sql = text_compared(sql)
        return cls(sql, attribute.kind)


def compare(operand: Operand, operator: str, value: Any) -> Condition:
    """A comparison.

    :param operator: ``=``, ``!=``, ``>``, ``<``, ``>=``, ``<=``, ``*`` (like) or ``!*`` (not like)
    :param value: operand of the request; a list means IN (NOT IN for ``!=``), None means IS NULL (IS NOT NULL
        for ``!=``)
    :raises ApiError: 500 for a list that holds something else than texts, numbers and bools
    """
    if php.is_array(value):
        return _compare_list(operand, php.values(value), negate=operator == "!=")
    if value is None:
        return {"=": Condition(f"{operand.sql} IS NULL"), "!=": Condition(f"{operand.sql} IS NOT NULL")}.get(
            operator, FALSE
        )
    if operator in ("*", "!*"):
        return like(operand.sql, php.to_string(value), negate=operator == "!*")
    return _compare_scalar(operand, SQL_OPERATORS[operator], value)


def _compare_list(operand: Operand, values: list[Any], *, negate: bool) -> Condition:
    if any(php.is_array(value) for value in values):
        raise crash()
    if any(value is None for value in values):
        raise server_error()
    if operand.kind in NUMBERS:
        return one_of(operand.sql, (to_number(value) for value in values), negate=negate)
    if operand.kind in TIMES:
        times = [time for value in values if (time := to_time(operand.kind, value)) is not None]
        return one_of(operand.sql, times, negate=negate) if values else (TRUE if negate else FALSE)
    return one_of(operand.sql, (php.to_string(value) for value in values), negate=negate)


def _compare_scalar(operand: Operand, operator: str, value: Any) -> Condition:
    if operand.kind in NUMBERS:
        return Condition(f"{operand.sql} {operator} ?", (to_number(value),))
    if operand.kind in TIMES:
        time = to_time(operand.kind, value)
        # A comparison with what is no time is NULL, whichever it is.
        return FALSE if time is None else Condition(f"{operand.sql} {operator} ?", (time,))
    if isinstance(value, bool | int | float):
        # Text is read as a number, 0 if there is none at its start.
        return all_of(
            [
                Condition(f"{operand.sql} IS NOT NULL"),
                Condition(f"CAST({operand.sql} AS REAL) {operator} ?", (value,)),
            ]
        )
    return Condition(f"{operand.sql} {operator} ?", (value,))


def to_number(value: Any) -> int | float:
    """A value as a number column sees it."""
    if isinstance(value, str):
        number = php.leading_number(value)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return int(value) if isinstance(value, bool) else value


def to_time(kind: AttributeKind, value: Any) -> str | None:
    """A value as a date or datetime column sees it; None if it is no time.

    A date stands for its midnight. What follows the time (a ``Z``, for instance) is cut off, not understood.
    """
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        date(year, month, day)
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    clock = str(timedelta(hours=hour, minutes=minute, seconds=second)).zfill(8)
    if kind == "date" and clock == "00:00:00":
        return f"{year:04}-{month:02}-{day:02}"
    return f"{year:04}-{month:02}-{day:02} {clock}"
