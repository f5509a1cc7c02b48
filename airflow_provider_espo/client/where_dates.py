"""Where functions for dates and dates with time.

``date_time`` says that the attribute is a date with time, so that EspoCRM works with whole days and the
current moment instead of date text; ``time_zone`` says in which zone days begin (it means ``date_time``).
Without a zone EspoCRM takes its own system time zone. Where days or months are counted from now, an attribute whose
name ends in ``At`` (``createdAt``) is taken for a date with time by itself. For attributes that are plain dates give
neither; where days are counted from today, ``date=True`` with ``time_zone`` says whose today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.where_build import build

if TYPE_CHECKING:
    from airflow_provider_espo.client.where_check import WhereItem


def on(attribute: str, value: Any, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """On that day; with a time of day, in that very second.

    :param attribute: attribute name.
    :param value: date, or date with time: text, ``date``, ``datetime``.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("on", attribute, value, time_zone=time_zone, date_time=date_time)


def not_on(attribute: str, value: Any, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """Not on that day. Records where the attribute is null do not match.

    For dates with time it is made of ``before`` or ``after``: EspoCRM's own leaves out nothing there.

    :param attribute: attribute name.
    :param value: date, or date with time: text, ``date``, ``datetime``.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("notOn", attribute, value, time_zone=time_zone, date_time=date_time)


def before(attribute: str, value: Any, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """Before that day or moment.

    :param attribute: attribute name.
    :param value: date, or date with time: text, ``date``, ``datetime``.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("before", attribute, value, time_zone=time_zone, date_time=date_time)


def after(attribute: str, value: Any, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """After that day or moment: with a date, from the next day on.

    :param attribute: attribute name.
    :param value: date, or date with time: text, ``date``, ``datetime``.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("after", attribute, value, time_zone=time_zone, date_time=date_time)


def between(attribute: str, low: Any, high: Any, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """From the lowest to the highest value, both included. For numbers too.

    :param attribute: attribute name.
    :param low: the lowest value: number, date, or date with time.
    :param high: the highest value; a date with ``date_time`` means to the end of that day.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("between", attribute, [low, high], time_zone=time_zone, date_time=date_time)


def today(attribute: str, *, time_zone: str | None = None, date_time: bool = False, date: bool = False) -> WhereItem:
    """On the current day.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("today", attribute, time_zone=time_zone, date_time=date_time, date=date)


def past(attribute: str, *, time_zone: str | None = None, date_time: bool = False, date: bool = False) -> WhereItem:
    """Before today; for dates with time before this moment.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("past", attribute, time_zone=time_zone, date_time=date_time, date=date)


def future(attribute: str, *, time_zone: str | None = None, date_time: bool = False, date: bool = False) -> WhereItem:
    """After today; for dates with time after this moment.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("future", attribute, time_zone=time_zone, date_time=date_time, date=date)


def last_seven_days(
    attribute: str, *, time_zone: str | None = None, date_time: bool = False, date: bool = False
) -> WhereItem:
    """Seven days ago or later, to today; for dates with time to this moment.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("lastSevenDays", attribute, time_zone=time_zone, date_time=date_time, date=date)


def last_x_days(
    attribute: str, days: Any, *, time_zone: str | None = None, date_time: bool = False, date: bool = False
) -> WhereItem:
    """So many days ago or later, to today; for dates with time to this moment.

    :param attribute: attribute name.
    :param days: a number, 0 or more.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("lastXDays", attribute, days, time_zone=time_zone, date_time=date_time, date=date)


def next_x_days(
    attribute: str, days: Any, *, time_zone: str | None = None, date_time: bool = False, date: bool = False
) -> WhereItem:
    """From today to so many days ahead; for dates with time from this moment.

    :param attribute: attribute name.
    :param days: a number, 0 or more.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("nextXDays", attribute, days, time_zone=time_zone, date_time=date_time, date=date)


def older_than_x_days(
    attribute: str, days: Any, *, time_zone: str | None = None, date_time: bool = False, date: bool = False
) -> WhereItem:
    """Before the day that was so many days ago.

    :param attribute: attribute name.
    :param days: a number, 0 or more.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("olderThanXDays", attribute, days, time_zone=time_zone, date_time=date_time, date=date)


def after_x_days(
    attribute: str, days: Any, *, time_zone: str | None = None, date_time: bool = False, date: bool = False
) -> WhereItem:
    """After the day that is so many days ahead; for dates with time from its beginning.

    :param attribute: attribute name.
    :param days: a number, 0 or more.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    :param date: the attribute is a plain date, and ``time_zone`` is for what today is.
    """
    return build("afterXDays", attribute, days, time_zone=time_zone, date_time=date_time, date=date)


def current_month(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the current month.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("currentMonth", attribute, time_zone=time_zone, date_time=date_time)


def last_month(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the month before the current one.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("lastMonth", attribute, time_zone=time_zone, date_time=date_time)


def next_month(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the month after the current one.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("nextMonth", attribute, time_zone=time_zone, date_time=date_time)


def current_quarter(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the current quarter of the calendar year.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("currentQuarter", attribute, time_zone=time_zone, date_time=date_time)


def last_quarter(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the quarter before the current one.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("lastQuarter", attribute, time_zone=time_zone, date_time=date_time)


def current_year(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the current calendar year.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("currentYear", attribute, time_zone=time_zone, date_time=date_time)


def last_year(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the calendar year before the current one.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("lastYear", attribute, time_zone=time_zone, date_time=date_time)


def current_fiscal_year(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the current fiscal year, as EspoCRM's settings have it.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("currentFiscalYear", attribute, time_zone=time_zone, date_time=date_time)


def last_fiscal_year(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the fiscal year before the current one.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("lastFiscalYear", attribute, time_zone=time_zone, date_time=date_time)


def current_fiscal_quarter(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the current quarter of the fiscal year.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("currentFiscalQuarter", attribute, time_zone=time_zone, date_time=date_time)


def last_fiscal_quarter(attribute: str, *, time_zone: str | None = None, date_time: bool = False) -> WhereItem:
    """In the quarter of the fiscal year before the current one.

    :param attribute: attribute name.
    :param time_zone: IANA name of the days' zone, such as ``Europe/Kyiv``; EspoCRM's own when not given.
    :param date_time: the attribute is a date with time.
    """
    return build("lastFiscalQuarter", attribute, time_zone=time_zone, date_time=date_time)
