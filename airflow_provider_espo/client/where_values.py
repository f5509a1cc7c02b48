"""Values of where items: what is turned into plain JSON at once, what passes untouched, what is refused.

A filter is mostly written in a DAG file, where part of it is not known yet: Jinja text and Airflow's
references to other tasks' results. Airflow fills those in later, when it walks the plain dicts and lists of a
template field, so all that is not a value here must come through untouched, and all that is must be plain.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, MappingView, Sequence, Set
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_provider_espo.client import moments
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.wording import a_kind

_JINJA_MARKS = ("{{", "{%", "{#")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")


class Place:
    """Where in a filter something is, for error messages: these name places and never values.

    :param path: such as ``where[2].value[0]``.
    :param operator: the operator's name, where it is known.
    """

    __slots__ = ("operator", "path")

    def __init__(self, path: str, operator: str = "") -> None:
        self.path = path
        self.operator = operator

    def __getitem__(self, index: int) -> Place:
        return Place(f"{self.path}[{index}]", self.operator)

    def error(self, problem: str, hint: str | None = None) -> EspoInputError:
        """Make the error to raise.

        :param problem: what is wrong, without the value.
        :param hint: what to do about it.
        """
        name = f" ({self.operator})" if self.operator else ""
        return EspoInputError(f"{self.path}{name}: {problem}", hint=hint)


class Reading(NamedTuple):
    """How values are to be read.

    :param rendered: whether Airflow has filled in templates already, so that nothing may be left open.
    :param iso_text: whether text in ISO form with ``T`` or an offset is a point in time.
    :param zone: the zone in which EspoCRM will read times; ``None`` for UTC.
    """

    rendered: bool
    iso_text: bool = False
    zone: dt.tzinfo | None = None


def is_template(value: object) -> bool:
    """Tell whether a value is text with Jinja in it."""
    return isinstance(value, str) and any(mark in value for mark in _JINJA_MARKS)


def is_open(value: object) -> bool:
    """Tell whether Airflow may still replace a value: Jinja text, or an object that JSON does not know."""
    return is_template(value) or not (
        value is None or isinstance(value, (Mapping, Sequence, enum.Enum, *_REFUSED, *_CONVERTERS))
    )


def elements(value: object) -> list[Any] | None:
    """Give the elements of a list, a tuple or another sequence, such as the results of mapped tasks.

    :param value: anything.
    :return: a new list, or ``None`` if the value is not a sequence (text and bytes are not).
    """
    if isinstance(value, (str, bytes, bytearray, memoryview)) or not isinstance(value, Sequence):
        return None
    return list(value)


def plain(value: object, place: Place, reading: Reading) -> Any:
    """Turn one value into plain JSON.

    Points in time become ``YYYY-MM-DD HH:MM:SS`` in UTC, or in the reading's zone: without a zone of their
    own they are in that zone already. Fractions of seconds are cut off: EspoCRM stores none.

    :param value: a number, text, bool, date, datetime (pendulum too), ``Decimal``, ``Enum``, ``UUID``, or an
        open value.
    :param place: where it is.
    :param reading: how to read it.
    :return: a JSON scalar, or the open value itself.
    :raises EspoInputError: for null, NaN, bytes, sets, iterators, functions; and for open objects when
        ``rendered``.
    """
    if isinstance(value, enum.Enum):
        return plain(value.value, place, reading)
    if value is None:
        raise place.error("null is not a value here", "Use is_null() or is_not_null()")
    for kind, convert in _CONVERTERS.items():
        if isinstance(value, kind):
            return convert(value, place, reading)
    refuse(value, place)
    if isinstance(value, (Mapping, Sequence)):
        raise place.error(f"one value is needed here, not {a_kind(value)}")
    if reading.rendered:
        raise place.error(
            f"{a_kind(value)} object is not a JSON value",
            "If it is a task, use its .output; is this argument a template field of the operator?",
        )
    return value


def refuse(value: object, place: Place) -> None:
    """Raise for what could be sent by nobody and is no reference to be filled in either.

    :param value: anything.
    :param place: where it is.
    :raises EspoInputError: for sets, dict views, iterators, bytes, times of day, durations, functions.
    """
    if isinstance(value, tuple(_CONVERTERS)):
        return
    for refused, why in _REFUSED.items():
        if isinstance(value, refused):
            raise place.error(f"{a_kind(value)} cannot be sent", why)


def is_moment(text: str) -> bool:
    """Tell whether text is a date, or a date with time, in EspoCRM's form."""
    if not _MOMENT.fullmatch(text):
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_name(value: object) -> bool:
    """Tell whether a value may be the name of an attribute, link or filter: letters, digits and ``_``."""
    return isinstance(value, str) and value.isascii() and value.isidentifier()


def is_point_in_time(value: object) -> bool:
    """Tell whether a value is an instant in whatever zone it is read: it names its own, or counts as UTC."""
    if isinstance(value, dt.datetime):
        return True
    parsed = moments.parse(value) if isinstance(value, str) else None
    return parsed is not None and parsed.tzinfo is not None


def zone_named(name: str, place: Place) -> dt.tzinfo:
    """Find a time zone.

    :param name: an IANA name such as ``Europe/Kyiv``.
    :param place: where it stands.
    :raises EspoInputError: if there is none of that name: EspoCRM would answer 400.
    """
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise place.error(
            "the time zone is not known", "Use a name of the IANA list, such as Europe/Kyiv or UTC"
        ) from None


def _from_text(value: str, place: Place, reading: Reading) -> str:
    text = value if type(value) is str else str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise place.error("the text has half a surrogate pair and cannot be sent as UTF-8") from None
    parsed = moments.parse(text) if reading.iso_text else None
    if parsed is None or (parsed.tzinfo is None and "T" not in text):
        return text
    return _from_datetime(parsed, place, reading)


def _from_datetime(value: dt.datetime, place: Place, reading: Reading) -> str:
    try:
        if reading.zone is not None and value.utcoffset() is not None:
            value = value.astimezone(reading.zone).replace(tzinfo=None)
        return moments.utc_text(value)
    except OverflowError:
        raise place.error("the time is outside of the years that can be sent") from None


def _from_date(value: dt.date, _place: Place, _reading: Reading) -> str:
    return moments.date_text(value)


def _from_float(value: float, place: Place, _reading: Reading) -> float | int:
    if not math.isfinite(value):
        raise place.error("NaN and Infinity cannot be sent", "Drop or replace such values first")
    # PHP takes 0.0 for "empty", and EspoCRM then drops the item from an or/and; the integer stays.
    return float(value) if value else 0


def _from_decimal(value: Decimal, place: Place, reading: Reading) -> float | int | str:
    if not value.is_finite():
        raise place.error("NaN and Infinity cannot be sent", "Drop or replace such values first")
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    number = float(value)
    # Text where a JSON number would lose digits; the database compares it by value all the same.
    return _from_float(number, place, reading) if Decimal(repr(number)) == value else format(value, "f")


def _from_number(value: int, _place: Place, _reading: Reading) -> int:
    return int(value)


def _from_bool(value: bool, _place: Place, _reading: Reading) -> bool:
    return value


def _from_uuid(value: uuid.UUID, _place: Place, _reading: Reading) -> str:
    return str(value)


# In this order: a bool is an int, and a datetime is a date.
_CONVERTERS: dict[type, Callable[[Any, Place, Reading], Any]] = {
    bool: _from_bool,
    str: _from_text,
    int: _from_number,
    float: _from_float,
    Decimal: _from_decimal,
    dt.datetime: _from_datetime,
    dt.date: _from_date,
    uuid.UUID: _from_uuid,
}

_NOT_JSON = "Turn it into text or a number first"
_CALLED = "Call the task function, and give what it returns"
_REFUSED: dict[type, str] = {
    # A set's order changes from process to process, and with it the DAG's serialized form on each parse.
    Set: "Give a list in a fixed order, such as sorted(…)",
    MappingView: "Give a list, such as list(…)",
    Iterator: "It can be read only once: give a list, such as list(…)",
    bytes: "Decode it to text first",
    bytearray: "Decode it to text first",
    memoryview: "Decode it to text first",
    dt.time: _NOT_JSON,
    dt.timedelta: _NOT_JSON,
    complex: _NOT_JSON,
    Callable: _CALLED,  # type: ignore[dict-item]
}
