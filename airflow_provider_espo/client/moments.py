"""EspoCRM's form of dates and times: ``YYYY-MM-DD``, and ``YYYY-MM-DD HH:MM:SS`` in UTC without a mark."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?"
    r" ?(?P<zone>[Zz]|[+-]\d\d(?::?\d\d){0,2})?"
)


def utc_text(moment: datetime) -> str:
    """Write a point in time as EspoCRM wants it.

    :param moment: one with a zone is converted to UTC; one without counts as UTC. Fractions of a second are
        dropped.
    :raises OverflowError: where it lies before year 1 or after year 9999 in UTC.
    """
    if moment.utcoffset() is not None:
        moment = moment.astimezone(UTC)
    return f"{date_text(moment)} {moment.hour:02}:{moment.minute:02}:{moment.second:02}"


def date_text(day: date) -> str:
    """Write a date as EspoCRM wants it; of a datetime the date on its own clock."""
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def is_date(text: str) -> bool:
    """Whether a text has the form of a bare date."""
    return _DATE.fullmatch(text.strip()) is not None


def parse(text: str) -> datetime | None:
    """Read a point in time from EspoCRM's form or from ISO 8601, with a zone or without.

    :param text: the text; blanks around it do not matter.
    :return: with its zone where the text has one; ``None`` where the text is no point in time.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    zone = (found["zone"] or "").upper().replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{found['day']}T{found['time']}{zone}")
    except ValueError:
        return None


def from_http(text: str) -> datetime | None:
    """Read an HTTP header's date, such as ``Date``; ``None`` where it is none.

    :param text: the header's value.
    """
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
