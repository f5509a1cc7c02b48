"""Attributes of calls, meetings and tasks, with times in the right places.

EspoCRM keeps times in UTC and whole days in attributes of their own (``dateStartDate``), computes no end from a
duration, and accepts an end before its start. These functions return attributes for ``EspoCreateRecordOperator`` and
``EspoHook.create_record``::

    meeting("Kick-off", start=pendulum.datetime(2026, 3, 2, 10, tz="Europe/Kyiv"), duration=timedelta(hours=1),
            assigned_user_id=user_id, contactsIds=[contact_id])
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.moments import is_date, parse, utc_text
from airflow_provider_espo.client.wording import a_kind

Moment: TypeAlias = datetime | date | str

_TIMES = frozenset({"dateStart", "dateEnd", "dateStartDate", "dateEndDate"})


def call(
    name: str,
    *,
    start: Moment,
    end: Moment | None = None,
    duration: timedelta | float | None = None,
    assigned_user_id: str | None = None,
    **attributes: Any,
) -> dict[str, Any]:
    """Return the attributes of a call.

    :param name: its subject.
    :param start: when it begins: a time (``datetime``, or ISO text), UTC unless it says otherwise.
    :param end: when it ends.
    :param duration: or how long it takes, as ``timedelta`` or in seconds; 5 minutes without both.
    :param assigned_user_id: who has it.
    :param attributes: other attributes, by EspoCRM's names, such as ``parentType``, ``parentId`` or ``contactsIds``.
    :raises EspoInputError: a whole day (a call has none), an end before the start, both or a negative duration.
    """
    others = _assigned(assigned_user_id) | attributes
    if _is_day(start) or _is_day(end):
        raise EspoInputError("A call has a time and cannot take a whole day")
    return _timed(name, start, end, _or_default(end, duration, timedelta(minutes=5)), others)


def meeting(
    name: str,
    *,
    start: Moment,
    end: Moment | None = None,
    duration: timedelta | float | None = None,
    assigned_user_id: str | None = None,
    **attributes: Any,
) -> dict[str, Any]:
    """Return the attributes of a meeting.

    :param name: its subject.
    :param start: when it begins: a time, UTC unless it says otherwise, or a ``date`` (``2026-03-02``) for whole days.
    :param end: when it ends; for whole days the last day.
    :param duration: or how long it takes, as ``timedelta`` or in seconds; an hour, or that day, without both.
    :param assigned_user_id: who has it.
    :param attributes: other attributes, by EspoCRM's names, such as ``parentType``, ``parentId`` or ``usersIds``.
    :raises EspoInputError: an end before the start, a day and a time mixed, both or a negative duration.
    """
    others = _assigned(assigned_user_id) | attributes
    if not _is_day(start):
        if end is not None and _is_day(end):
            raise EspoInputError("The meeting begins at a time and ends on a day: give two times or two days")
        return _timed(name, start, end, _or_default(end, duration, timedelta(hours=1)), others)
    if duration is not None:
        raise EspoInputError("A meeting of whole days has no duration", hint="Give the last day as end")
    first = _day(start)
    last = first if end is None else _day(end)
    if last < first:
        raise EspoInputError("The meeting ends before it begins")
    return _joined({"name": name, "dateStartDate": first.isoformat(), "dateEndDate": last.isoformat()}, others)


def task(
    name: str,
    *,
    due: Moment | None = None,
    start: Moment | None = None,
    assigned_user_id: str | None = None,
    **attributes: Any,
) -> dict[str, Any]:
    """Return the attributes of a task.

    :param name: its subject.
    :param due: until when: a time, UTC unless it says otherwise, or a ``date`` (``2026-03-02``) for a day.
    :param start: from when.
    :param assigned_user_id: who has it; EspoCRM wants somebody.
    :param attributes: other attributes, by EspoCRM's names, such as ``parentType``, ``parentId`` or ``priority``.
    :raises EspoInputError: due before the start.
    """
    times: dict[str, Any] = {}
    for attribute, moment in (("dateStart", start), ("dateEnd", due)):
        if moment is None:
            continue
        if _is_day(moment):
            times[f"{attribute}Date"] = _day(moment).isoformat()
        else:
            times[attribute] = _text(_time(moment))
    if start is not None and due is not None and _is_before(due, start):
        raise EspoInputError("The task is due before it begins")
    return _joined({"name": name, **times}, _assigned(assigned_user_id) | attributes)


def _timed(
    name: str,
    start: Moment,
    end: Moment | None,
    duration: timedelta | None,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    begins = _time(start)
    try:
        ends = _time(end) if end is not None else begins + (duration or timedelta())
    except OverflowError:
        raise EspoInputError("duration is too long") from None
    if ends < begins:
        raise EspoInputError("The end is before the start")
    return _joined({"name": name, "dateStart": _text(begins), "dateEnd": _text(ends)}, attributes)


def _joined(ours: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    # The other times among them: what is computed here and what is given there could contradict each other.
    if both := sorted(_TIMES & others.keys()):
        raise EspoInputError(f"{', '.join(both)}: give times as start, end, due or duration")
    return ours | others


def _or_default(end: Moment | None, duration: timedelta | float | None, default: timedelta) -> timedelta | None:
    if end is not None:
        if duration is not None:
            raise EspoInputError("Give end or duration, not both")
        return None
    if duration is None:
        return default
    if isinstance(duration, bool) or not isinstance(duration, timedelta | int | float):
        raise EspoInputError("duration is not a timedelta or a number of seconds")
    try:
        length = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    except (ValueError, OverflowError):
        raise EspoInputError("duration is not a timedelta or a number of seconds") from None
    if length < timedelta():
        raise EspoInputError("duration is below zero")
    return length


def _is_day(moment: Moment | None) -> bool:
    if isinstance(moment, str):
        return is_date(moment)
    return isinstance(moment, date) and not isinstance(moment, datetime)


def _day(moment: Moment) -> date:
    if isinstance(moment, str) and is_date(moment):
        try:
            return date.fromisoformat(moment.strip())
        except ValueError:
            raise EspoInputError("A day is not in the calendar", hint="Write it as 2026-03-02") from None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        return moment
    # Tells what is wrong with it.
    _time(moment)
    raise EspoInputError("A day and a time are mixed: give two times or two days")


def _local_time(moment: Moment) -> datetime:
    """The time with the zone it is said in; UTC where none is said."""
    if isinstance(moment, str) and not is_date(moment):
        found = parse(moment)
        if found is None:
            raise EspoInputError(
                "A time is not one",
                hint="Write it as 2026-03-02T10:00:00+02:00; a template is not rendered yet where it is written, so "
                "call this in a @task",
            )
        moment = found
    if not isinstance(moment, datetime):
        if isinstance(moment, str | date):
            raise EspoInputError("A day and a time are mixed: give two times or two days")
        raise EspoInputError(f"A time is {a_kind(moment)}", hint="Give a datetime, or ISO text")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _time(moment: Moment) -> datetime:
    try:
        utc = _local_time(moment).astimezone(UTC)
    except OverflowError:
        raise EspoInputError("A time lies outside of the calendar") from None
    # A plain one: pendulum's forgets its zone in sums.
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, tzinfo=UTC)


def _is_before(moment: Moment, other: Moment) -> bool:
    """Whether a time or day lies before another one: a day is one of the calendar that the time is said in."""
    if _is_day(moment) or _is_day(other):
        days = [_day(one) if _is_day(one) else _local_time(one).date() for one in (moment, other)]
        return days[0] < days[1]
    return _time(moment) < _time(other)


def _text(moment: datetime) -> str:
    return utc_text(moment)


def _assigned(user_id: str | None) -> dict[str, str]:
    return {} if user_id is None else {"assignedUserId": user_id}
