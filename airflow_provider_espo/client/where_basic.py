"""Where functions for groups, values, text and nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.where_build import build

if TYPE_CHECKING:
    from airflow_provider_espo.client.where_check import WhereItem


def and_(*items: Any) -> WhereItem:
    """All of the items hold. Items of a ``where`` list are and-ed anyway: this is for use inside of ``or_``.

    :param items: where items, at least one.
    """
    return _group("and", items)


def or_(*items: Any) -> WhereItem:
    """At least one of the items holds.

    :param items: where items, at least one.
    """
    return _group("or", items)


def _group(operator: str, items: tuple[Any, ...]) -> WhereItem:
    if not items:
        raise EspoInputError(
            f"{operator}_() without items would let every record through",
            hint="Leave it out, or use none() where nothing may match",
        )
    return build(operator, value=list(items))


def none(attribute: str = "id") -> WhereItem:
    """No record matches.

    :param attribute: EspoCRM wants an attribute, any.
    """
    return build("none", attribute)


def equals(attribute: str, value: Any) -> WhereItem:
    """The attribute equals the value; letter case of text does not matter on MySQL and MariaDB.

    :param attribute: attribute name.
    :param value: text, number, bool or point in time; a list acts as :func:`in_`.
    """
    return build("equals", attribute, value)


def not_equals(attribute: str, value: Any) -> WhereItem:
    """The attribute has another value. Records where it is null do not match.

    :param attribute: attribute name.
    :param value: text, number, bool or point in time; a list acts as :func:`not_in`.
    """
    return build("notEquals", attribute, value)


def greater_than(attribute: str, value: Any) -> WhereItem:
    """The attribute is greater than the value.

    :param attribute: attribute name.
    :param value: number, text, or point in time (compared as UTC).
    """
    return build("greaterThan", attribute, value)


def less_than(attribute: str, value: Any) -> WhereItem:
    """The attribute is less than the value.

    :param attribute: attribute name.
    :param value: number, text, or point in time (compared as UTC).
    """
    return build("lessThan", attribute, value)


def greater_than_or_equals(attribute: str, value: Any) -> WhereItem:
    """The attribute is the value or greater.

    :param attribute: attribute name.
    :param value: number, text, or point in time (compared as UTC).
    """
    return build("greaterThanOrEquals", attribute, value)


def less_than_or_equals(attribute: str, value: Any) -> WhereItem:
    """The attribute is the value or less.

    :param attribute: attribute name.
    :param value: number, text, or point in time (compared as UTC).
    """
    return build("lessThanOrEquals", attribute, value)


def in_(attribute: str, values: Any) -> WhereItem:
    """The attribute is one of the values.

    :param attribute: attribute name.
    :param values: a list, not empty and without null.
    """
    return build("in", attribute, values)


def not_in(attribute: str, values: Any) -> WhereItem:
    """The attribute is none of the values. Records where it is null do not match.

    :param attribute: attribute name.
    :param values: a list, not empty and without null.
    """
    return build("notIn", attribute, values)


def is_null(attribute: str) -> WhereItem:
    """The attribute has no value. Empty text is a value.

    :param attribute: attribute name.
    """
    return build("isNull", attribute)


def is_not_null(attribute: str) -> WhereItem:
    """The attribute has a value. Empty text is one.

    :param attribute: attribute name.
    """
    return build("isNotNull", attribute)


def ever(attribute: str) -> WhereItem:
    """The attribute has a value: EspoCRM's other name of :func:`is_not_null` for dates.

    :param attribute: attribute name.
    """
    return build("ever", attribute)


def is_true(attribute: str) -> WhereItem:
    """The bool attribute is true.

    :param attribute: attribute name.
    """
    return build("isTrue", attribute)


def is_false(attribute: str) -> WhereItem:
    """The bool attribute is false.

    :param attribute: attribute name.
    """
    return build("isFalse", attribute)


def contains(attribute: str, text: str) -> WhereItem:
    """The attribute has the text in it. ``%`` and ``_`` in the text are wildcards.

    :param attribute: attribute name.
    :param text: not empty.
    """
    return build("contains", attribute, text)


def not_contains(attribute: str, text: str) -> WhereItem:
    """The attribute has not the text in it. Records where it is null do not match.

    :param attribute: attribute name.
    :param text: not empty; ``%`` and ``_`` are wildcards.
    """
    return build("notContains", attribute, text)


def starts_with(attribute: str, text: str) -> WhereItem:
    """The attribute begins with the text.

    :param attribute: attribute name.
    :param text: not empty; ``%`` and ``_`` are wildcards.
    """
    return build("startsWith", attribute, text)


def ends_with(attribute: str, text: str) -> WhereItem:
    """The attribute ends with the text.

    :param attribute: attribute name.
    :param text: not empty; ``%`` and ``_`` are wildcards.
    """
    return build("endsWith", attribute, text)


def like(attribute: str, pattern: str) -> WhereItem:
    """The whole attribute matches an SQL pattern.

    :param attribute: attribute name.
    :param pattern: ``%`` stands for any text, ``_`` for one character.
    """
    return build("like", attribute, pattern)


def not_like(attribute: str, pattern: str) -> WhereItem:
    """The whole attribute does not match an SQL pattern. Records where it is null do not match. EspoCRM 7.1+.

    :param attribute: attribute name.
    :param pattern: ``%`` stands for any text, ``_`` for one character.
    """
    return build("notLike", attribute, pattern)
