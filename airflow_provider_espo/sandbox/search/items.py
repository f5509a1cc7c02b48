"""A where item: one condition of a filter, or a group of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search.failures import crash, server_error

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUPS = ("and", "or")
SUB_QUERIES = ("not", "subQueryIn", "subQueryNotIn")

_KNOWN_KEYS = frozenset({"type", "attribute", "field", "value", "dateTime", "date", "timeZone"})


@dataclass(frozen=True, slots=True)
class WhereItem:
    """One item of a ``where``.

    :param type: the operator
    :param attribute: attribute or link; None for groups
    :param value: operand, with the types that it had when it came
    :param zone_of: ``dateTime`` if the value is local time to be compared with a UTC attribute, ``date`` if a
        date attribute is compared with today in a time zone
    :param time_zone: name of that time zone; None for the server's
    """

    type: str
    attribute: str | None = None
    value: Any = None
    zone_of: Literal["dateTime", "date"] | None = None
    time_zone: str | None = None


def parse_item(raw: Any) -> WhereItem:
    """Read one raw item.

    :raises ApiError: 500 (EspoCRM does not expect clients to send bad items): without a word for an unknown
        key, a missing type or attribute, by the framework if the item is no object or a part of it has the
        wrong type
    """
    if not php.is_array(raw):
        raise crash()
    fields: Mapping[Any, Any] = raw if isinstance(raw, dict) else dict(enumerate(raw))
    kind = fields.get("type")
    if php.is_empty(kind):
        raise server_error()
    attribute = fields.get("attribute")
    if attribute is None:
        attribute = fields.get("field")
    zone_of = _zone_of(fields)
    time_zone = fields.get("timeZone") if zone_of else None
    if any(php.is_array(part) for part in (kind, attribute, time_zone)):
        raise crash()
    if not fields.keys() <= _KNOWN_KEYS:
        raise server_error()
    if php.is_empty(attribute) and kind not in (*GROUPS, *SUB_QUERIES):
        raise server_error()
    value = fields.get("value")
    if kind in GROUPS:
        value = [] if value is None else value
        if not php.is_array(value) or not php.is_list(value):
            raise server_error()
    return WhereItem(
        type=php.to_string(kind),
        attribute=None if attribute is None else php.to_string(attribute),
        value=value,
        zone_of=zone_of,
        time_zone=None if time_zone is None else php.to_string(time_zone),
    )


def _zone_of(fields: Mapping[Any, Any]) -> Literal["dateTime", "date"] | None:
    if not php.is_empty(fields.get("dateTime")):
        return "dateTime"
    return "date" if not php.is_empty(fields.get("date")) else None
