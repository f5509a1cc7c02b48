"""Times of calls, meetings and tasks: in the right attributes, in UTC, and never an end before a start."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from airflow_provider_espo.activities import call, meeting, task
from airflow_provider_espo.exceptions import EspoInputError
from airflow_provider_espo.hooks.espo import EspoHook
from tests.unit.sandbox_crm import SandboxCrm

KYIV = ZoneInfo("Europe/Kyiv")
TEN = "2026-03-02 10:00:00"


def times(attributes: dict[str, Any]) -> tuple[Any, Any]:
    return attributes.get("dateStart"), attributes.get("dateEnd")


@pytest.mark.parametrize(
    "start",
    [
        "2026-03-02 10:00:00",
        "2026-03-02 10:00",
        "2026-03-02T10:00:00Z",
        "2026-03-02T12:00:00+02:00",
        "2026-03-02T12:00:00.5+02:00",
        " 2026-03-02T05:00-05:00 ",
        datetime(2026, 3, 2, 10),  # noqa: DTZ001 - one without a zone is UTC
        datetime(2026, 3, 2, 10, tzinfo=UTC),
        datetime(2026, 3, 2, 12, tzinfo=KYIV),
        datetime(2026, 3, 2, 15, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        pendulum.datetime(2026, 3, 2, 12, tz="Europe/Kyiv"),
    ],
)
@pytest.mark.parametrize("make", [call, meeting])
def test_times_become_utc(make: Any, start: Any) -> None:
    assert times(make("Talk", start=start, duration=600)) == (TEN, "2026-03-02 10:10:00")


@pytest.mark.parametrize(("make", "end"), [(call, "2026-03-02 10:05:00"), (meeting, "2026-03-02 11:00:00")])
def test_without_end_and_duration_it_takes_as_long_as_by_default(make: Any, end: str) -> None:
    assert times(make("Talk", start=TEN)) == (TEN, end)


@pytest.mark.parametrize("duration", [timedelta(minutes=45), 2700, 2700.0])
def test_a_duration_is_a_timedelta_or_seconds(duration: Any) -> None:
    assert times(meeting("Talk", start=TEN, duration=duration))[1] == "2026-03-02 10:45:00"


def test_a_duration_of_nothing_is_one() -> None:
    assert times(call("Talk", start=TEN, duration=0)) == (TEN, TEN)


@pytest.mark.parametrize(
    ("start", "utc"),
    [
        # An hour before clocks go forward, and an hour before they go back.
        (datetime(2026, 3, 29, 2, 30, tzinfo=KYIV), ("2026-03-29 00:30:00", "2026-03-29 02:30:00")),
        (datetime(2026, 10, 25, 3, 30, tzinfo=KYIV), ("2026-10-25 00:30:00", "2026-10-25 02:30:00")),
        (datetime(2026, 10, 25, 3, 30, tzinfo=KYIV, fold=1), ("2026-10-25 01:30:00", "2026-10-25 03:30:00")),
    ],
)
def test_a_duration_is_time_that_passes_also_when_clocks_change(start: datetime, utc: tuple[str, str]) -> None:
    assert times(meeting("Talk", start=start, duration=timedelta(hours=2))) == utc


def test_ends_in_another_zone_are_compared_as_moments() -> None:
    found = meeting("Talk", start="2026-03-02T10:00:00+02:00", end="2026-03-02T09:30:00+01:00")
    assert times(found) == ("2026-03-02 08:00:00", "2026-03-02 08:30:00")


@pytest.mark.parametrize("day", [date(2026, 3, 2), "2026-03-02", " 2026-03-02 ", pendulum.date(2026, 3, 2)])
def test_a_meeting_of_whole_days_has_days(day: Any) -> None:
    days = {"dateStartDate": "2026-03-02", "dateEndDate": "2026-03-02"}
    assert meeting("Fair", start=day) == {"name": "Fair", **days}
    assert meeting("Fair", start=day, end="2026-03-04") == {"name": "Fair", **days, "dateEndDate": "2026-03-04"}


def test_a_task_has_times_or_days_or_none() -> None:
    assert task("Do") == {"name": "Do"}
    assert task("Do", due="2026-03-05") == {"name": "Do", "dateEndDate": "2026-03-05"}
    assert task("Do", start=date(2026, 3, 2), due=TEN) == {
        "name": "Do",
        "dateStartDate": "2026-03-02",
        "dateEnd": TEN,
    }


def test_a_day_and_a_time_of_a_task_are_compared_in_the_times_own_zone() -> None:
    early = datetime(2026, 3, 2, 0, 30, tzinfo=KYIV)
    assert task("Do", start=date(2026, 3, 2), due=early)["dateEnd"] == "2026-03-01 22:30:00"
    assert task("Do", start="2026-03-02T23:30:00-05:00", due="2026-03-02")["dateEndDate"] == "2026-03-02"
    with pytest.raises(EspoInputError, match="due before it begins"):
        task("Do", start=date(2026, 3, 3), due=early)


def test_other_attributes_go_along() -> None:
    found = call("Talk", start=TEN, assigned_user_id="u", parentType="Lead", parentId="l", contactsIds=["c"])
    assert found["assignedUserId"] == "u"
    assert (found["parentType"], found["parentId"], found["contactsIds"]) == ("Lead", "l", ["c"])


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (call, {"start": TEN, "duration": -1}, "below zero"),
        (meeting, {"start": TEN, "duration": timedelta(seconds=-1)}, "below zero"),
        (meeting, {"start": TEN, "duration": float("nan")}, "not a timedelta"),
        (meeting, {"start": TEN, "duration": float("inf")}, "not a timedelta"),
        (meeting, {"start": TEN, "duration": timedelta.max}, "too long"),
        (meeting, {"start": TEN, "duration": "1h"}, "not a timedelta"),
        (meeting, {"start": TEN, "duration": True}, "not a timedelta"),
        (meeting, {"start": TEN, "end": TEN, "duration": 5}, "not both"),
        (call, {"start": TEN, "end": "2026-03-02 09:59:59"}, "end is before the start"),
        (meeting, {"start": TEN, "end": "2026-03-02 09:59:59"}, "end is before the start"),
        (meeting, {"start": "2026-03-02", "end": "2026-03-01"}, "ends before it begins"),
        (meeting, {"start": "2026-03-02", "duration": 60}, "no duration"),
        (meeting, {"start": "2026-03-02", "end": TEN}, "mixed"),
        (meeting, {"start": TEN, "end": "2026-03-02"}, "two times or two days"),
        (call, {"start": "2026-03-02"}, "whole day"),
        (call, {"start": TEN, "end": date(2026, 3, 2)}, "whole day"),
        (task, {"start": "2026-03-02", "due": "2026-03-01"}, "due before"),
        (task, {"start": TEN, "due": "2026-03-02 09:00:00"}, "due before"),
        (meeting, {"start": "{{ ds }}"}, "template"),
        (meeting, {"start": "{{ ds_x }}"}, "template"),
        (meeting, {"start": "{{ts+60}}"}, "template"),
        (task, {"due": "{{ params.due }}"}, "template"),
        (call, {"start": "tomorrow"}, "not one"),
        (call, {"start": ""}, "not one"),
        (call, {"start": None}, "A time is None"),
        (call, {"start": 1_772_000_000}, "A time is an int"),
        (meeting, {"start": "2026-02-30"}, "not in the calendar"),
        (meeting, {"start": "2026-02-28T25:00:00"}, "not one"),
        (meeting, {"start": datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))}, "outside of the calendar"),
        (meeting, {"start": TEN, "dateEnd": TEN}, "dateEnd: give times as"),
        (task, {"dateEndDate": "2026-03-02"}, "dateEndDate: give times as"),
    ],
)
def test_bad_input_is_refused(make: Any, given: dict[str, Any], says: str) -> None:
    with pytest.raises(EspoInputError, match=says):
        make("Talk", **given)


@pytest.mark.parametrize(
    ("entity_type", "attributes", "stored"),
    [
        ("Call", call("C", start=TEN), {"dateStart": TEN, "dateEnd": "2026-03-02 10:05:00"}),
        ("Meeting", meeting("M", start=TEN), {"dateStart": TEN, "dateEnd": "2026-03-02 11:00:00"}),
        (
            "Meeting",
            meeting("M", start="2026-03-02", end="2026-03-03"),
            {"dateStartDate": "2026-03-02", "dateEndDate": "2026-03-03", "isAllDay": True},
        ),
        ("Task", task("T", due=TEN), {"dateEnd": TEN, "dateEndDate": None}),
        ("Task", task("T", start=TEN, due="2026-03-05"), {"dateStart": TEN, "dateEndDate": "2026-03-05"}),
    ],
)
def test_a_server_takes_them(
    sandbox_crm: SandboxCrm, entity_type: str, attributes: dict[str, Any], stored: dict[str, Any]
) -> None:
    user = {"assignedUserId": sandbox_crm.asker.as_user("sales").ok("GET", "App/user")["user"]["id"]}
    with EspoHook() as hook:
        made = hook.create_record(entity_type, attributes | user)
        # What was given is what is there, so a second write changes nothing.
        assert hook.update_record(entity_type, made["id"], attributes | user)["action"] == "unchanged"
    record = sandbox_crm.asker.read(entity_type, made["id"])
    assert {name: record[name] for name in stored} == stored
