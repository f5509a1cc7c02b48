"""Operators relative to the present, against records. The present is 2026-05-20 10:30 UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.sandbox.settings import Settings
from tests.unit.sandbox.search.crm import Crm, Refused, item


@pytest.fixture
def plans(crm: Crm) -> Crm:
    """Opportunities by the day they close, named after it."""
    for day in ("2025-06-30", "2026-03-31", "2026-04-30", "2026-05-19", "2026-05-20", "2026-05-21", "2026-07-01"):
        crm.add("Opportunity", day, name=day, closeDate=day)
    crm.add("Opportunity", "open", name="open")
    return crm


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("today", None, "2026-05-20"),
        ("past", None, "2025-06-30 2026-03-31 2026-04-30 2026-05-19"),
        ("future", None, "2026-05-21 2026-07-01"),
        ("lastXDays", "1", "2026-05-19 2026-05-20"),
        ("nextXDays", 1, "2026-05-20 2026-05-21"),
        ("olderThanXDays", 20, "2025-06-30 2026-03-31"),
        ("afterXDays", 1, "2026-07-01"),
        ("currentMonth", None, "2026-05-19 2026-05-20 2026-05-21"),
        ("lastMonth", None, "2026-04-30"),
        ("currentQuarter", None, "2026-04-30 2026-05-19 2026-05-20 2026-05-21"),
        ("lastQuarter", None, "2026-03-31"),
        ("lastYear", None, "2025-06-30"),
        ("on", "2026-05-19", "2026-05-19"),
        ("notOn", "2026-05-19", "2025-06-30 2026-03-31 2026-04-30 2026-05-20 2026-05-21 2026-07-01"),
        ("after", "2026-05-21", "2026-07-01"),
        ("between", ["2026-05-20", "2026-05-21"], "2026-05-20 2026-05-21"),
    ],
)
def test_dates(plans: Crm, operator: str, value: Any, found: str) -> None:
    assert plans.where("Opportunity", item(operator, "closeDate", value)) == found


def test_the_day_is_that_of_the_zone_asked_for(plans: Crm) -> None:
    plans.now = datetime(2026, 5, 20, 22, 0, tzinfo=UTC)
    today = item("today", "closeDate", timeZone="Europe/Kyiv")
    assert plans.where("Opportunity", {**today, "date": True}) == "2026-05-21"
    # A zone alone says nothing about what it is for.
    assert plans.where("Opportunity", today) == "2026-05-20"


def test_the_day_is_that_of_the_server() -> None:
    crm = Crm(Settings(time_zone="Asia/Tokyo", fiscal_year_shift=5))
    crm.now = datetime(2026, 5, 31, 16, 0, tzinfo=UTC)
    for day in ("2026-05-31", "2026-06-01"):
        crm.add("Opportunity", day, name=day, closeDate=day)
    assert crm.where("Opportunity", item("today", "closeDate")) == "2026-06-01"
    assert crm.where("Opportunity", item("lastFiscalYear", "closeDate")) == "2026-05-31"
    crm.add("Call", "call", name="c", dateStart="2026-05-31 15:30:00")
    assert crm.where("Call", item("today", "dateStart", dateTime=True)) == "call"
    crm.storage.close()


def test_an_unknown_zone(plans: Crm, refused: Refused) -> None:
    bad = item("today", "closeDate", date=True, timeZone="Nope/Zone")
    reason = "DateTimeZone::__construct(): Unknown or bad timezone (Nope/Zone)"
    assert refused(plans.where, "Opportunity", bad) == (400, reason)
    plans.add("Call", "call", name="c")
    bad = item("on", "dateStart", "2026-05-01", dateTime=True, timeZone="Nope/Zone")
    assert refused(plans.where, "Call", bad) == (400, "Bad timezone")


@pytest.fixture
def calls(crm: Crm) -> Crm:
    """Calls around a midnight in Kyiv."""
    for key, start in (
        ("noon10", "2026-05-10 12:00:00"),
        ("late10", "2026-05-10 21:30:00"),
        ("noon11", "2026-05-11 12:00:00"),
    ):
        crm.add("Call", key, name=key, dateStart=start)
    crm.add("Call", "open", name="open")
    return crm


@pytest.mark.parametrize(
    ("operator", "value", "more", "found"),
    [
        ("on", "2026-05-11", {"dateTime": True, "timeZone": "Europe/Kyiv"}, "late10 noon11"),
        ("on", "2026-05-10", {"dateTime": True}, "noon10 late10"),
        ("on", "2026-05-10", {"dateTime": "1", "timeZone": "UTC"}, "noon10 late10"),
        ("on", "2026-05-10 12:00:00", {}, "noon10"),
        ("on", "2026-05-10", {}, ""),
        ("before", "2026-05-11", {"dateTime": True, "timeZone": "Europe/Kyiv"}, "noon10"),
        ("greaterThan", "2026-05-10 21:30:00", {"dateTime": True, "timeZone": "Europe/Kyiv"}, "noon11"),
        # This one filters nothing.
        ("notOn", "2026-05-10", {"dateTime": True, "timeZone": "UTC"}, "noon10 late10 noon11"),
        ("isNull", None, {"dateTime": True}, "open"),
        ("past", None, {}, "noon10 late10 noon11"),
        ("lastXDays", 9, {"dateTime": True}, "noon11"),
        ("future", None, {"dateTime": True}, ""),
    ],
)
def test_local_times(calls: Crm, operator: str, value: Any, more: dict[str, Any], found: str) -> None:
    assert calls.where("Call", item(operator, "dateStart", value, **more)) == found


def test_a_group_has_no_zone(calls: Crm, refused: Refused) -> None:
    bad = {"type": "or", "value": [], "dateTime": True}
    assert refused(calls.where, "Call", bad) == (400, "Bad datetime where item. Empty 'attribute'.")


def test_whole_days_are_found_by_their_day(crm: Crm) -> None:
    crm.add("Meeting", "timed", name="t", dateStart="2026-05-10 21:30:00")
    crm.add("Meeting", "whole", name="w", dateStart="2026-05-11 00:00:00", dateStartDate="2026-05-11")
    kyiv: dict[str, Any] = {"dateTime": True, "timeZone": "Europe/Kyiv"}
    assert crm.where("Meeting", item("on", "dateStart", "2026-05-11", **kyiv)) == "timed whole"
    assert crm.where("Meeting", item("on", "dateStart", "2026-05-10", **kyiv)) == ""
    assert crm.where("Meeting", item("before", "dateStart", "2026-05-11 00:30:00", **kyiv)) == ""
    assert crm.where("Meeting", item("before", "dateStart", "2026-05-11", **kyiv)) == ""
    assert crm.where("Meeting", item("past", "dateStart", **kyiv)) == "timed whole"
    assert crm.where("Meeting", item("isNotNull", "dateStart", **kyiv)) == "timed whole"


def test_a_date_operator_on_text_finds_nothing(crm: Crm) -> None:
    crm.add("Lead", "a", lastName="A")
    assert crm.where("Lead", item("today", "lastName")) == ""
