"""Operators relative to the present, and those that read their value as local time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import comparison
from airflow_provider_espo.sandbox.search.dates import (
    DAYS,
    PERIODS,
    date_bounds,
    datetime_bounds,
    find_zone,
)
from airflow_provider_espo.sandbox.search.failures import bad_request
from airflow_provider_espo.sandbox.search.sql import Part, all_of, any_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_espo.sandbox.search.context import SearchContext
    from airflow_provider_espo.sandbox.search.dates import (
        Bound,
    )
    from airflow_provider_espo.sandbox.search.items import WhereItem

OPERATORS = frozenset({*PERIODS, *DAYS})

Convert: TypeAlias = "Callable[[SearchContext, WhereItem], list[Part]]"

#: Times that may be whole days instead: the day stands beside them in an attribute with this ending.
_OPTIONAL_TIMES = ("dateStart", "dateEnd")
_DAY = "Date"


def convert(context: SearchContext, item: WhereItem) -> list[Part]:
    """Parts for one of :data:`OPERATORS` on dates.

    :raises ApiError: 400 if the time zone is unknown
    """
    zone = context.zone
    # Calendar periods are those of the server, whatever zone is asked for.
    if item.time_zone and item.zone_of == "date" and item.type in DAYS:
        try:
            zone = find_zone(item.time_zone)
        except ValueError:
            raise bad_request(f"DateTimeZone::__construct(): Unknown or bad timezone ({item.time_zone})") from None
    bounds = date_bounds(item.type, item.value, context.today(zone), context.fiscal_shift)
    return [_part(context, item.attribute or "", bounds)]


def convert_local(context: SearchContext, item: WhereItem, convert_plain: Convert) -> list[Part]:
    """Parts for an item with ``dateTime: true``.

    :param convert_plain: makes an item without ``dateTime`` into parts
    :raises ApiError: 400 if the time zone is unknown or the value is no time
    """
    attribute = item.attribute or ""
    if item.type in ("on", "before", "after") and php.is_empty(item.value):
        raise bad_request("Bad where item. Empty value.")
    try:
        zone = context.zone if item.time_zone is None else find_zone(item.time_zone)
    except ValueError:
        raise bad_request("Bad timezone") from None
    bounds = datetime_bounds(item.type, item.value, context.now, zone, context.fiscal_shift)
    plain = replace(item, zone_of=None, time_zone=None)
    timed = [_part(context, attribute, bounds)] if bounds is not None else convert_plain(context, plain)
    day = attribute + _DAY
    if (
        attribute not in _OPTIONAL_TIMES
        or day not in context.entity_def.attributes
        or item.type in ("isNull", "isNotNull", "ever")
        or _names_a_time(item)
    ):
        return timed
    whole_day = all_of(part.condition for part in convert_plain(context, replace(plain, attribute=day)))
    no_day = comparison.condition(context, day, "=", None)
    return [Part(any_of([whole_day, all_of([*(part.condition for part in timed), no_day])]))]


def _names_a_time(item: WhereItem) -> bool:
    """Whether a value is more than a day, so that records with a whole day cannot match."""
    values = php.values(item.value) if php.is_array(item.value) else [item.value]
    return any(isinstance(value, str) and len(value) > 11 for value in values)


def _part(context: SearchContext, attribute: str, bounds: list[Bound]) -> Part:
    return Part(all_of(comparison.condition(context, attribute, b.operator, b.value) for b in bounds))
