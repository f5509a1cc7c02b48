"""Periods relative to today, and local times as UTC.

Two families, as EspoCRM has them: a *date* attribute is compared with dates of the server's time zone, its
periods end before the first day of the next one. A *datetime* attribute holds UTC; with ``dateTime: true`` a
value is local time and becomes a UTC range that includes its end. Without ``dateTime`` a datetime attribute
is treated as a date attribute is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search.failures import bad_request, crash

if TYPE_CHECKING:
    from datetime import tzinfo

STAMP = "%Y-%m-%d %H:%M:%S"

_DATE_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_RELATIVE_DAYS = {"": None, "now": None, "today": 0, "midnight": 0, "tomorrow": 1, "yesterday": -1}
_OFFSET = re.compile(r"([+-])(\d{1,2}):?(\d{2})?")

#: Operators on a calendar period: which one (``month``, ``quarter``, ...) and how many of them from the
#: current one.
PERIODS: dict[str, tuple[str, int]] = {
    "currentMonth": ("month", 0),
    "lastMonth": ("month", -1),
    "nextMonth": ("month", 1),
    "currentQuarter": ("quarter", 0),
    "lastQuarter": ("quarter", -1),
    "currentYear": ("year", 0),
    "lastYear": ("year", -1),
    "currentFiscalYear": ("fiscalYear", 0),
    "lastFiscalYear": ("fiscalYear", -1),
    "currentFiscalQuarter": ("fiscalQuarter", 0),
    "lastFiscalQuarter": ("fiscalQuarter", -1),
}
#: Operators on days counted from today.
DAYS = (
    "today",
    "past",
    "future",
    "lastSevenDays",
    "lastXDays",
    "nextXDays",
    "olderThanXDays",
    "afterXDays",
)


@dataclass(frozen=True, slots=True)
class Bound:
    """One side of a range.

    :param operator: ``=``, ``>``, ``>=``, ``<`` or ``<=``
    :param value: a date or a UTC stamp as the database holds it
    """

    operator: str
    value: str


def find_zone(name: str) -> tzinfo:
    """A time zone by its name (letter case does not matter) or its offset.

    :raises ValueError: if there is no such zone
    """
    if match := _OFFSET.fullmatch(name):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(_zone_names()[name.lower()])
    except KeyError:
        raise ValueError(f"no time zone {name!r}") from None


@lru_cache(maxsize=1)
def _zone_names() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def period(kind: str, steps: int, today: date, fiscal_shift: int = 0) -> tuple[date, date]:
    """First day of a calendar period and of the one behind it.

    :param kind: ``month``, ``quarter``, ``year``, ``fiscalYear`` or ``fiscalQuarter``
    :param steps: 0 for the period that ``today`` is in, -1 for the one before, 1 for the next
    :param fiscal_shift: months by which a fiscal year begins after January
    """
    length = {"month": 1, "quarter": 3, "fiscalQuarter": 3}.get(kind, 12)
    shift = fiscal_shift if kind.startswith("fiscal") else 0
    months = today.year * 12 + today.month - 1 - shift
    first = months - months % length + shift + steps * length
    return _first_of(first), _first_of(first + length)


def _first_of(months: int) -> date:
    return date(months // 12, months % 12 + 1, 1)


def date_bounds(operator: str, value: Any, today: date, fiscal_shift: int = 0) -> list[Bound]:
    """What a relative operator means for a date attribute.

    :param operator: one of :data:`PERIODS` or :data:`DAYS`
    :param value: number of days, for the operators that take one
    :param today: date in the time zone that counts
    :param fiscal_shift: months by which a fiscal year begins after January
    """
    if operator in PERIODS:
        first, end = period(*PERIODS[operator], today, fiscal_shift)
        return [Bound(">=", first.isoformat()), Bound("<", end.isoformat())]
    days = 7 if operator == "lastSevenDays" else php.to_int(value)
    now = today.isoformat()
    match operator:
        case "today":
            return [Bound("=", now)]
        case "past":
            return [Bound("<", now)]
        case "future":
            return [Bound(">", now)]
        case "lastSevenDays" | "lastXDays":
            return [Bound(">=", _shifted(today, -days)), Bound("<=", now)]
        case "nextXDays":
            return [Bound(">=", now), Bound("<=", _shifted(today, days))]
        case "olderThanXDays":
            return [Bound("<", _shifted(today, -days))]
        case _:
            return [Bound(">", _shifted(today, days))]


def _shifted(day: date, days: int) -> str:
    try:
        return (day + timedelta(days=days)).isoformat()
    except OverflowError:
        return (date.max if days > 0 else date.min).isoformat()


def datetime_bounds(
    operator: str, value: Any, now: datetime, zone: tzinfo, fiscal_shift: int = 0
) -> list[Bound] | None:
    """What an operator means for a UTC attribute if its value is local time.

    :param operator: any operator
    :param value: its operand
    :param now: the present, with a time zone
    :param zone: time zone of the value
    :param fiscal_shift: months by which a fiscal year begins after January
    :return: bounds, None if the operator knows nothing of time zones and takes its value as it is
    :raises ApiError: 400 if the value is missing or is no time
    """
    local = now.astimezone(zone).replace(microsecond=0)
    if operator in PERIODS:
        first, end = period(*PERIODS[operator], local.date(), fiscal_shift)
        return _between(_midnight(first, zone), _midnight(end, zone))
    if operator in DAYS:
        return _day_bounds(operator, value, local, zone)
    if operator in ("on", "before", "after"):
        if php.is_empty(value):
            raise bad_request("Bad where item. Empty value.")
        moment, is_date = parse_local(value, now, zone)
        match operator:
            case "on":
                return _between(moment, _day_end(moment) if is_date else moment)
            case "before":
                return [Bound("<", _stamp(moment))]
            case _:
                return [Bound(">", _stamp(_day_end(moment) if is_date else moment))]
    if operator == "between":
        return _between_values(value, now, zone)
    return None


def _day_bounds(operator: str, value: Any, local: datetime, zone: tzinfo) -> list[Bound]:
    days = 7 if operator == "lastSevenDays" else php.to_int(value)
    match operator:
        case "today":
            start = _midnight(local.date(), zone)
            return _between(start, _day_end(start))
        case "past":
            return [Bound("<", _stamp(local))]
        case "future":
            return [Bound(">", _stamp(local))]
        case "lastSevenDays" | "lastXDays":
            return _between(_midnight_in(local, -days, zone), local)
        case "nextXDays":
            # One hour too long, as on the real server: its last day ends at 24:59:59.
            return _between(local, _midnight_in(local, days + 1, zone) + timedelta(minutes=59, seconds=59))
        case "olderThanXDays":
            return [Bound("<", _stamp(_midnight_in(local, -days, zone)))]
        case _:
            return [Bound(">", _stamp(_midnight_in(local, days, zone)))]


def _between_values(value: Any, now: datetime, zone: tzinfo) -> list[Bound]:
    ends = php.values(value) if php.is_array(value) else []
    if len(ends) < 2:
        raise bad_request("Bad where item. Bad value.")
    first, _ = parse_local(ends[0], now, zone)
    last, is_date = parse_local(ends[1], now, zone)
    return _between(first, last.astimezone(UTC) + timedelta(days=1, seconds=-1) if is_date else last)


def parse_local(value: Any, now: datetime, zone: tzinfo) -> tuple[datetime, bool]:
    """A time in a time zone, and whether the text is short enough to mean a whole day.

    :raises ApiError: 400 if the text is no time, 500 if it is no text at all
    """
    if php.is_array(value):
        raise crash()
    text = php.to_string(value)
    return _parse(text.strip(), now, zone), len(text) <= 10


def _parse(text: str, now: datetime, zone: tzinfo) -> datetime:
    local = now.astimezone(zone).replace(microsecond=0)
    if text.lower() in _RELATIVE_DAYS:
        days = _RELATIVE_DAYS[text.lower()]
        return local if days is None else _midnight_in(local, days, zone)
    if len(text) == 1 and text.isascii() and text.isalpha() and text.lower() != "j":
        # A single letter is a military time zone to PHP: the present.
        return local
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise bad_request("Bad date value or timezone.")
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    # A day that the month does not have runs over into the next one.
    if not (1 <= month <= 12 and day <= 31 and hour <= 24 and minute <= 59 and second <= 59 and year):
        raise bad_request("Bad date value or timezone.")
    if match["zone"]:
        offset = match["zone"].upper()
        zone = UTC if offset in ("Z", "UTC") else find_zone(offset)
    start = datetime(year, month, 1, tzinfo=zone)
    return start + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _midnight_in(local: datetime, days: int, zone: tzinfo) -> datetime:
    try:
        return _midnight(local.date() + timedelta(days=days), zone)
    except OverflowError:
        return datetime(9998 if days > 0 else 2, 1, 1, tzinfo=zone)


def _day_end(moment: datetime) -> datetime:
    """The last second of the day that begins now by the wall clock: one of 23 or 25 hours counts as well."""
    return moment + timedelta(days=1, seconds=-1)


def _between(start: datetime, end: datetime) -> list[Bound]:
    return [Bound(">=", _stamp(start)), Bound("<=", _stamp(end))]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(STAMP)
