"""Operators that compare an attribute with a value: ``equals``, ``in``, ``contains``, ``between``,
``isNull``, ...

Most attributes are columns. Those that are not (a person's name, e-mail addresses, roles in a middle table)
can be filtered in EspoCRM only by the comparisons that it has rules for; any other runs into a column that is
not there, which is a 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import contact_data, roles
from airflow_provider_espo.sandbox.search.failures import bad_request, server_error
from airflow_provider_espo.sandbox.search.sql import Condition, Part, all_of, any_of, text_compared
from airflow_provider_espo.sandbox.search.values import Operand, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_espo.sandbox.definitions import AttributeDef
    from airflow_provider_espo.sandbox.search.context import SearchContext

#: Operators with one operand, as a comparison.
COMPARISONS = {
    "equals": "=",
    "on": "=",
    "notEquals": "!=",
    "notOn": "!=",
    "greaterThan": ">",
    "after": ">",
    "lessThan": "<",
    "before": "<",
    "greaterThanOrEquals": ">=",
    "lessThanOrEquals": "<=",
    "like": "*",
    "notLike": "!*",
}
#: Operators on a list.
LISTS = {"in": "=", "notIn": "!="}
#: Operators without an operand: the comparison and what is compared with.
FIXED: Mapping[str, tuple[str, Any]] = {
    "isNull": ("=", None),
    "isNotNull": ("!=", None),
    "ever": ("!=", None),
    "isTrue": ("=", True),
    "isFalse": ("=", False),
}
#: Operators on a part of a text: the comparison and the pattern around it.
PATTERNS = {
    "contains": ("*", "%{}%"),
    "notContains": ("!*", "%{}%"),
    "startsWith": ("*", "{}%"),
    "endsWith": ("*", "%{}"),
}
OPERATORS = frozenset({*COMPARISONS, *LISTS, *FIXED, *PATTERNS, "between"})

_CONVERTED = frozenset({"=", ">", "<", ">=", "<=", "<>", "IS NULL", "IS NOT NULL"})


def convert(context: SearchContext, operator: str, attribute: str, value: Any) -> list[Part]:
    """Parts for one of :data:`OPERATORS`.

    :raises ApiError: 400 for an operand that the operator cannot take, 500 for a comparison that EspoCRM has
        no rule for
    """
    if operator == "between":
        return [between(context, attribute, value)]
    if operator in LISTS:
        if not php.is_array(value):
            raise bad_request(f"Bad where item '{operator}'.")
        return [part(context, attribute, LISTS[operator], value)]
    if operator in FIXED:
        return [part(context, attribute, *FIXED[operator])]
    if operator in PATTERNS:
        comparison, pattern = PATTERNS[operator]
        return [part(context, attribute, comparison, pattern.format(php.to_string(value)))]
    return [part(context, attribute, COMPARISONS[operator], value)]


def part(context: SearchContext, attribute: str, operator: str, value: Any) -> Part:
    """A comparison as a part of a filter.

    :param operator: a comparison as in :func:`~airflow_provider_espo.sandbox.search.values.compare`
    """
    lost = php.is_empty(value) and not (
        value is None or value is False or value == "" or (type(value) is int and value == 0)
    )
    return Part(condition(context, attribute, operator, value), lost_in_group=lost)


def between(context: SearchContext, attribute: str, value: Any) -> Part:
    """Both bounds belong to the range.

    :raises ApiError: 400 if there are no two
    """
    if not php.is_array(value) or len(value) < 2:
        raise bad_request("Bad where item 'between'.")
    first, last = (value.get(0), value.get(1)) if isinstance(value, dict) else (value[0], value[1])
    return Part(all_of([condition(context, attribute, ">=", first), condition(context, attribute, "<=", last)]))


def condition(context: SearchContext, attribute: str, operator: str, value: Any) -> Condition:
    """A comparison as SQL, by the rules for the kind of attribute."""
    definition = context.entity_def.attributes[attribute]
    rule = roles.rule_of(context.entity_def.name, attribute)
    if rule is not None:
        return rule(context, operator_key(operator, value, is_bool=definition.kind == "bool"), value)
    return _RULES.get(definition.source, _plain)(context, definition, operator, value)


def operator_key(operator: str, value: Any, *, is_bool: bool) -> str:
    """The comparison by the name under which EspoCRM keeps rules for attributes without a column."""
    negative = operator == "!="
    if operator in ("=", "!="):
        if isinstance(value, bool) and is_bool:
            return "= TRUE" if value is not negative else "= FALSE"
        if php.is_array(value):
            return "NOT IN" if negative else "IN"
        if value is None:
            return "IS NOT NULL" if negative else "IS NULL"
    return {"!=": "<>", "*": "LIKE", "!*": "NOT LIKE"}.get(operator, operator)


def _plain(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    return compare(Operand.of(definition, context.root), operator, value)


def _person_name(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    """First name, last name, or both in either order."""
    key = operator_key(operator, value, is_bool=False)
    if key not in ("=", "LIKE", "NOT LIKE"):
        raise server_error()
    suffix = definition.name[:1].upper() + definition.name[1:]
    first, last = f'{context.root}."first{suffix}"', f'{context.root}."last{suffix}"'
    both = [text_compared(f"{first} || ' ' || {last}"), text_compared(f"{last} || ' ' || {first}")]
    conditions = [compare(Operand(sql, "varchar"), operator, value) for sql in (first, last, *both)]
    return all_of(conditions) if key == "NOT LIKE" else any_of(conditions)


def _converted(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    if operator_key(operator, value, is_bool=False) not in _CONVERTED:
        raise server_error()
    return _plain(context, definition, operator, value)


def _computed(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    """Amounts and flags that are computed can be filtered, other computed values cannot."""
    if definition.kind == "float":
        return _converted(context, definition, operator, value)
    if definition.kind == "bool":
        return _flag(context, definition, operator, value)
    raise server_error()


def _flag(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    """A flag that is absent counts as not set."""
    key = operator_key(operator, value, is_bool=True)
    if key not in ("= TRUE", "= FALSE"):
        raise server_error()
    return Condition(f"({definition.sql(context.root)}) IS {'' if key == '= TRUE' else 'NOT '}1")


def _contact(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    kind = contact_data.EMAIL if definition.source == "email" else contact_data.PHONE
    return contact_data.condition(context, kind, operator_key(operator, value, is_bool=False), value)


def _impossible(context: SearchContext, definition: AttributeDef, operator: str, value: Any) -> Condition:
    raise server_error()


_RULES: Mapping[str, Callable[[SearchContext, AttributeDef, str, Any], Condition]] = {
    "personName": _person_name,
    "converted": _converted,
    "sql": _computed,
    "emailFlag": _flag,
    "phoneFlag": _flag,
    "email": _contact,
    "phone": _contact,
    "parentName": _impossible,
    "middle": _impossible,
}
