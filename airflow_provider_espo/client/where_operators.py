"""EspoCRM's where operators as data: which exist, what value each takes, which the API refuses.

One table serves the functions, the check and the documentation, so that they cannot come apart.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Shape(enum.Enum):
    """What an operator takes as its value."""

    ITEMS = "a list of where items"
    NOTHING = "no value"
    ONE = "one value"
    ONE_OR_LIST = "one value or a list of values"
    LIST = "a list of values"
    PAIR = "a list of two values, the lowest and the highest"
    TEXT = "a text"
    MOMENT = "a date (YYYY-MM-DD) or a date with time (YYYY-MM-DD HH:MM:SS)"
    DAYS = "a number of days, 0 or more"
    IDS = "an id or a list of ids"
    ENTRIES = "one entry or a list of entries"
    NAME = "a filter name"
    NAMES = "a list of filter names"


class Operator(NamedTuple):  # a tenth of a dataclass's import time: DAG files are parsed all the time
    """One where operator.

    :param name: EspoCRM's name, camelCase.
    :param shape: what it takes as value.
    :param has_attribute: whether an item of it names an attribute or link.
    :param local_time: whether ``dateTime`` and ``timeZone`` change what it does.
    :param local_date: whether ``date`` with ``timeZone`` changes what it does.
    """

    name: str
    shape: Shape
    has_attribute: bool = True
    local_time: bool = False
    local_date: bool = False


def _table() -> dict[str, Operator]:
    operators: list[Operator] = []

    def add(
        shape: Shape,
        names: str,
        *,
        has_attribute: bool = True,
        local_time: bool = False,
        local_date: bool = False,
    ) -> None:
        operators.extend(Operator(name, shape, has_attribute, local_time, local_date) for name in names.split())

    add(Shape.ITEMS, "and or", has_attribute=False)
    add(Shape.ONE_OR_LIST, "equals notEquals")
    add(Shape.ONE, "greaterThan lessThan greaterThanOrEquals lessThanOrEquals")
    add(Shape.PAIR, "between", local_time=True)
    add(Shape.LIST, "in notIn")
    add(Shape.NOTHING, "isNull isNotNull ever isTrue isFalse any none")
    add(Shape.TEXT, "contains notContains startsWith endsWith like notLike")
    add(Shape.MOMENT, "on notOn before after", local_time=True)
    add(Shape.NOTHING, "today past future lastSevenDays", local_time=True, local_date=True)
    add(Shape.DAYS, "lastXDays nextXDays olderThanXDays afterXDays", local_time=True, local_date=True)
    add(
        Shape.NOTHING,
        "currentMonth lastMonth nextMonth currentQuarter lastQuarter currentYear lastYear "
        "currentFiscalYear lastFiscalYear currentFiscalQuarter lastFiscalQuarter",
        local_time=True,
    )
    add(Shape.IDS, "linkedWith notLinkedWith linkedWithAll inCategory isUserFromTeams")
    add(Shape.NOTHING, "isLinked isNotLinked")
    add(Shape.ENTRIES, "arrayAnyOf arrayNoneOf arrayAllOf")
    add(Shape.NOTHING, "arrayIsEmpty arrayIsNotEmpty")
    add(Shape.ONE, "columnEquals columnNotEquals")
    add(Shape.LIST, "columnIn columnNotIn")
    add(Shape.TEXT, "columnLike")
    add(Shape.NOTHING, "columnIsNull columnIsNotNull")
    # Not operators of their own: EspoCRM turns these items into the search parameters of the same meaning.
    add(Shape.NAMES, "bool", has_attribute=False)
    add(Shape.NAME, "primary", has_attribute=False)
    add(Shape.TEXT, "textFilter", has_attribute=False)
    return {operator.name: operator for operator in operators}


#: Every operator that EspoCRM's API accepts, by its name.
OPERATORS: dict[str, Operator] = _table()

#: Operators that EspoCRM has but refuses over its API, with what to use instead.
FORBIDDEN: dict[str, str] = {
    "not": "Use the opposite operator: notEquals, notIn, notLike, isNotNull, isNotLinked, notLinkedWith, …",
    "subQueryIn": "Read the ids first and filter with in, or use linkedWith or isLinked",
    "subQueryNotIn": "Read the ids first and filter with notIn, or use notLinkedWith or isNotLinked",
    "expression": "Compare an attribute with a value; expressions work inside EspoCRM only",
}

#: Names that people try, because other APIs or pages have them.
_HINTS: dict[str, str] = {
    "currentUser": 'Use the search parameter bool_filters=["onlyMy"], or equals on assignedUserId',
    "eq": "EspoCRM's name is equals",
    "=": "EspoCRM's name is equals",
    "==": "EspoCRM's name is equals",
    "ne": "EspoCRM's name is notEquals",
    "!=": "EspoCRM's name is notEquals",
    "<>": "EspoCRM's name is notEquals",
    "gt": "EspoCRM's name is greaterThan",
    ">": "EspoCRM's name is greaterThan",
    "gte": "EspoCRM's name is greaterThanOrEquals",
    ">=": "EspoCRM's name is greaterThanOrEquals",
    "lt": "EspoCRM's name is lessThan",
    "<": "EspoCRM's name is lessThan",
    "lte": "EspoCRM's name is lessThanOrEquals",
    "<=": "EspoCRM's name is lessThanOrEquals",
    "nin": "EspoCRM's name is notIn",
    "isEmpty": "EspoCRM's names are isNull, arrayIsEmpty and isNotLinked, by the kind of attribute",
    "isNotEmpty": "EspoCRM's names are isNotNull, arrayIsNotEmpty and isLinked, by the kind of attribute",
}


def hint_for_unknown(name: str) -> str | None:
    """Say what was probably meant by an operator name that EspoCRM does not know.

    :param name: the unknown name.
    :return: a sentence, or ``None`` when nothing is near.
    """
    if name in _HINTS:
        return _HINTS[name]
    near = near_names(name, OPERATORS)
    return f"EspoCRM's name may be {near}" if near else None


def near_names(name: str, known: Iterable[str]) -> str:
    """Give the names most like another, for a hint.

    :param name: the name that is not known; letter case and underscores do not matter.
    :param known: the names that are.
    :return: up to three names, the nearest first; empty when nothing is near.
    """
    from airflow_provider_espo.client.name_hints import nearest

    return " or ".join(nearest(name, known))
