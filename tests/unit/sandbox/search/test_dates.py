"""Periods around the ends of months, quarters and years, and in time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.sandbox.search.dates import (
    PERIODS,
    Bound,
    date_bounds,
    datetime_bounds,
    find_zone,
    parse_local,
    period,
)
from tests.unit.sandbox.search.crm import NOW, Refused

KYIV = ZoneInfo("Europe/Kyiv")
DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


def ends(kind: str, steps: int, today: str, shift: int = 0) -> tuple[str, str]:
    first, end = period(kind, steps, date.fromisoformat(today), shift)
    return first.isoformat(), end.isoformat()


@pytest.mark.parametrize(
    ("kind", "steps", "today", "shift", "expected"),
    [
        ("month", 0, "2026-01-31", 0, ("2026-01-01", "2026-02-01")),
        ("month", -1, "2026-03-31", 0, ("2026-02-01", "2026-03-01")),
        ("month", -1, "2026-01-01", 0, ("2025-12-01", "2026-01-01")),
        ("month", 1, "2026-12-31", 0, ("2027-01-01", "2027-02-01")),
        ("quarter", 0, "2026-03-31", 0, ("2026-01-01", "2026-04-01")),
        ("quarter", 0, "2026-04-01", 0, ("2026-04-01", "2026-07-01")),
        ("quarter", -1, "2026-02-15", 0, ("2025-10-01", "2026-01-01")),
        ("year", 0, "2026-12-31", 0, ("2026-01-01", "2027-01-01")),
        ("year", -1, "2026-01-01", 0, ("2025-01-01", "2026-01-01")),
        ("fiscalYear", 0, "2026-03-31", 3, ("2025-04-01", "2026-04-01")),
        ("fiscalYear", 0, "2026-04-01", 3, ("2026-04-01", "2027-04-01")),
        ("fiscalYear", -1, "2026-04-01", 3, ("2025-04-01", "2026-04-01")),
        ("fiscalYear", 0, "2026-05-20", 0, ("2026-01-01", "2027-01-01")),
        ("fiscalQuarter", 0, "2026-01-15", 1, ("2025-11-01", "2026-02-01")),
        ("fiscalQuarter", 0, "2026-02-01", 1, ("2026-02-01", "2026-05-01")),
        ("fiscalQuarter", -1, "2026-02-01", 1, ("2025-11-01", "2026-02-01")),
        ("year", 0, "2026-03-01", 3, ("2026-01-01", "2027-01-01")),
    ],
)
def test_periods(kind: str, steps: int, today: str, shift: int, expected: tuple[str, str]) -> None:
    assert ends(kind, steps, today, shift) == expected


@given(today=DAYS, shift=st.integers(0, 11), kind=st.sampled_from(sorted({kind for kind, _ in PERIODS.values()})))
def test_periods_follow_each_other_without_a_gap(today: date, shift: int, kind: str) -> None:
    first, end = period(kind, 0, today, shift)
    assert first <= today < end
    assert period(kind, -1, today, shift)[1] == first
    assert period(kind, 1, today, shift)[0] == end
    assert period(kind, 0, end - timedelta(days=1), shift) == (first, end)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("today", None, [("=", "2026-03-01")]),
        ("past", None, [("<", "2026-03-01")]),
        ("future", None, [(">", "2026-03-01")]),
        ("lastSevenDays", None, [(">=", "2026-02-22"), ("<=", "2026-03-01")]),
        ("lastXDays", "1", [(">=", "2026-02-28"), ("<=", "2026-03-01")]),
        ("lastXDays", None, [(">=", "2026-03-01"), ("<=", "2026-03-01")]),
        ("nextXDays", 31, [(">=", "2026-03-01"), ("<=", "2026-04-01")]),
        ("olderThanXDays", 1, [("<", "2026-02-28")]),
        ("afterXDays", "2", [(">", "2026-03-03")]),
        ("currentMonth", None, [(">=", "2026-03-01"), ("<", "2026-04-01")]),
        ("lastQuarter", None, [(">=", "2025-10-01"), ("<", "2026-01-01")]),
        ("currentFiscalYear", None, [(">=", "2025-07-01"), ("<", "2026-07-01")]),
    ],
)
def test_date_attributes(operator: str, value: Any, expected: list[tuple[str, str]]) -> None:
    bounds = date_bounds(operator, value, date(2026, 3, 1), fiscal_shift=6)
    assert bounds == [Bound(*pair) for pair in expected]


def test_absurd_numbers_of_days_find_an_end() -> None:
    assert date_bounds("afterXDays", 10**9, date(2026, 1, 1))[0].value == "9999-12-31"
    assert date_bounds("olderThanXDays", 10**9, date(2026, 1, 1))[0].value == "0001-01-01"
    bounds = datetime_bounds("afterXDays", 10**9, NOW, UTC)
    assert bounds is not None
    assert bounds[0].value.startswith("9998")


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        # Kyiv is three hours ahead in summer: its day begins at 21:00 UTC.
        ("on", "2026-05-11", [(">=", "2026-05-10 21:00:00"), ("<=", "2026-05-11 20:59:59")]),
        ("on", "2026-05-11 08:00:00", [(">=", "2026-05-11 05:00:00"), ("<=", "2026-05-11 05:00:00")]),
        ("before", "2026-05-11", [("<", "2026-05-10 21:00:00")]),
        ("before", "2026-05-11 08:00", [("<", "2026-05-11 05:00:00")]),
        ("after", "2026-05-11", [(">", "2026-05-11 20:59:59")]),
        ("after", "2026-05-11 08:00:00", [(">", "2026-05-11 05:00:00")]),
        (
            "between",
            ["2026-05-11", "2026-05-12"],
            [(">=", "2026-05-10 21:00:00"), ("<=", "2026-05-12 20:59:59")],
        ),
        ("today", None, [(">=", "2026-05-19 21:00:00"), ("<=", "2026-05-20 20:59:59")]),
        ("past", None, [("<", "2026-05-20 10:30:00")]),
        ("future", None, [(">", "2026-05-20 10:30:00")]),
        ("lastSevenDays", None, [(">=", "2026-05-12 21:00:00"), ("<=", "2026-05-20 10:30:00")]),
        ("lastXDays", "3", [(">=", "2026-05-16 21:00:00"), ("<=", "2026-05-20 10:30:00")]),
        ("nextXDays", 1, [(">=", "2026-05-20 10:30:00"), ("<=", "2026-05-21 21:59:59")]),
        ("olderThanXDays", 1, [("<", "2026-05-18 21:00:00")]),
        ("afterXDays", 1, [(">", "2026-05-20 21:00:00")]),
        ("currentMonth", None, [(">=", "2026-04-30 21:00:00"), ("<=", "2026-05-31 21:00:00")]),
        ("lastYear", None, [(">=", "2024-12-31 22:00:00"), ("<=", "2025-12-31 22:00:00")]),
    ],
)
def test_local_times(operator: str, value: Any, expected: list[tuple[str, str]]) -> None:
    assert datetime_bounds(operator, value, NOW, KYIV) == [Bound(*pair) for pair in expected]


def test_the_day_is_that_of_the_time_zone() -> None:
    late = datetime(2026, 5, 31, 22, 30, tzinfo=UTC)
    bounds = datetime_bounds("currentMonth", None, late, KYIV)
    assert bounds is not None
    assert bounds[0] == Bound(">=", "2026-05-31 21:00:00")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-11", 24)])
def test_days_of_a_clock_change_are_whole(day: str, hours: int) -> None:
    bounds = datetime_bounds("on", day, NOW, KYIV)
    assert bounds is not None
    first, last = (datetime.strptime(b.value, "%Y-%m-%d %H:%M:%S") for b in bounds)  # noqa: DTZ007
    assert last - first == timedelta(hours=hours, seconds=-1)


def test_other_operators_know_nothing_of_zones() -> None:
    assert datetime_bounds("greaterThan", "2026-05-11", NOW, KYIV) is None
    assert datetime_bounds("notOn", "2026-05-11", NOW, KYIV) is None


@pytest.mark.parametrize("value", [None, "", "0", []])
def test_an_empty_value_is_refused(value: Any, refused: Refused) -> None:
    assert refused(datetime_bounds, "on", value, NOW, UTC) == (400, "Bad where item. Empty value.")


@pytest.mark.parametrize("value", ["soon", "2026-13-01", "2026-00-10", "2026-01-32", "20x6-01-01"])
def test_what_is_no_time_is_refused(value: str, refused: Refused) -> None:
    assert refused(datetime_bounds, "on", value, NOW, UTC) == (400, "Bad date value or timezone.")


@pytest.mark.parametrize("value", [None, "2026-01-01", ["2026-01-01"]])
def test_between_needs_two_values(value: Any, refused: Refused) -> None:
    assert refused(datetime_bounds, "between", value, NOW, UTC) == (400, "Bad where item. Bad value.")


def test_a_list_for_a_time_is_a_crash(refused: Refused) -> None:
    assert refused(datetime_bounds, "on", ["2026-01-01"], NOW, UTC)[0] == 500


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-30", "2026-03-02T00:00:00+00:00"),
        ("2026-05-11T08:00:00Z", "2026-05-11T08:00:00+00:00"),
        ("2026-05-11 08:00:00+02:00", "2026-05-11T06:00:00+00:00"),
        ("2026-05-11 24:00", "2026-05-12T00:00:00+00:00"),
        ("tomorrow", "2026-05-21T00:00:00+00:00"),
        ("now", "2026-05-20T10:30:00+00:00"),
        ("x", "2026-05-20T10:30:00+00:00"),
    ],
)
def test_forms_of_times(text: str, moment: str) -> None:
    assert parse_local(text, NOW, UTC)[0] == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("name", "hours"), [("Europe/Kyiv", 3), ("europe/kyiv", 3), ("UTC", 0), ("+05:30", 5.5), ("-08:00", -8)]
)
def test_names_of_zones(name: str, hours: float) -> None:
    assert NOW.astimezone(find_zone(name)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["Nope/Zone", "", "../etc/passwd", "UTC+1"])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        find_zone(name)
