"""Looks at changes: where they stop, where the next one goes on, and what the server's clock has to do with it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.change_cursor import ChangeCursor
from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.changes import changes, first_place, newest_changes, stamp_attribute
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.sync import EspoClient
from tests.unit.crm import Crm, Reply, Sent

TODAY = "2026-03-01"
LAG = 30.0


class Leads:
    """A CRM with leads by id and stamp, a clock, and pages that take their time."""

    def __init__(self, crm: Crm, *, page_seconds: float = 0.0) -> None:
        self.stamps: dict[str, str] = {}
        self.now = "12:00:00"
        self.passed = 0.0
        self._page_seconds = page_seconds
        crm.on("GET", "Lead", self._answer)

    def state(self) -> ClientState:
        state = new_state(ClientConfig(site_url=Crm.url, secret="key", max_retries=0, page_size=2))
        state.clock = lambda: self.passed
        return state

    def _answer(self, sent: Sent) -> Any:
        self.passed += self._page_seconds
        rows = sorted((f"{TODAY} {stamp}", key) for key, stamp in self.stamps.items())
        if sent.search["order"] == "desc":
            rows.reverse()
        fit = [{"id": key, "createdAt": stamp} for stamp, key in rows if _holds(sent.search["where"], stamp, key)]
        size = sent.search["maxSize"]
        told = {"list": fit[:size], "total": -1 if len(fit) > size else -2}
        return Reply(200, told, {"Date": f"Sun, 01 Mar 2026 {self.now} GMT", "Content-Type": "application/json"})


def _holds(where: list[dict[str, Any]], stamp: str, key: str) -> bool:
    return all(_item_holds(item, stamp, key) for item in where)


def _item_holds(item: dict[str, Any], stamp: str, key: str) -> bool:
    if item["type"] in ("and", "or"):
        each = [_item_holds(one, stamp, key) for one in item["value"]]
        return all(each) if item["type"] == "and" else any(each)
    value = {"createdAt": stamp, "id": key}[item["attribute"]]
    return bool(
        {
            "equals": value == item["value"],
            "greaterThan": value > item["value"],
            "greaterThanOrEquals": value >= item["value"],
            "lessThanOrEquals": value <= item["value"],
        }[item["type"]]
    )


def look(leads: Leads, place: ChangeCursor, **given: Any) -> tuple[list[str], ChangeCursor, float | None]:
    state = leads.state()
    with EspoClient(state.config, state) as client:
        found, after, again = client.run(
            changes(state, "Lead", "created", place, **({"lag": LAG, "limit": None} | given))
        )
    return [record["id"] for record in found], after, again


def start(leads: Leads) -> ChangeCursor:
    state = leads.state()
    with EspoClient(state.config, state) as client:
        return client.run(first_place(state, "Lead", "created", lag=LAG))


def test_a_look_whose_pages_take_long_stops_and_the_next_ones_go_on_there(crm: Crm) -> None:
    leads = Leads(crm, page_seconds=40)
    place = start(leads)
    leads.stamps = {f"l{number}": f"11:5{number}:00" for number in range(9)}
    seen: list[str] = []
    again: float | None = 0.0
    looks = 0
    while again is not None:
        asked = leads.passed
        found, place, again = look(leads, ChangeCursor.from_json(place.to_json()), seconds=60)
        assert leads.passed - asked <= 80
        seen += found
        looks += 1
    assert seen == sorted(leads.stamps)
    assert looks == 3


def test_a_change_of_this_second_is_left_until_the_second_is_over(crm: Crm) -> None:
    leads = Leads(crm)
    place = start(leads)
    leads.stamps = {"a": "11:59:59", "b": "12:00:00"}
    found, place, again = look(leads, place)
    assert (found, again) == (["a"], 1.0)
    leads.now = "12:00:01"
    found, place, again = look(leads, place)
    assert (found, again) == (["b"], None)
    assert look(leads, place)[0] == []


@pytest.mark.parametrize(("stamp", "again"), [("12:00:20", 21.0), ("12:01:00", 61.0), ("12:01:01", None)])
def test_a_look_is_repeated_when_a_clock_ahead_will_have_passed_but_not_for_the_future(
    crm: Crm, stamp: str, again: float | None
) -> None:
    leads = Leads(crm)
    place = start(leads)
    leads.stamps = {"ahead": stamp}
    assert look(leads, place)[0::2] == ([], again)


@pytest.mark.parametrize("ahead", ["12:00:01", "12:00:59", "23:00:00"])
def test_watching_begins_behind_what_is_there_and_never_beyond_the_servers_clock(crm: Crm, ahead: str) -> None:
    leads = Leads(crm)
    leads.stamps = {"old": "11:00:00", "late": "11:59:50", "ahead": ahead}
    place = start(leads)
    assert place.at <= f"{TODAY} 12:00:00"
    leads.stamps["new"] = "12:00:02"
    leads.now = "12:00:10"
    assert look(leads, place)[0] == ["new"]


def test_the_newest_are_told_up_to_the_servers_clock_and_that_others_were_left_out(crm: Crm) -> None:
    leads = Leads(crm)
    leads.stamps = {"now": "11:59:59", "near": "12:00:59", "future": "13:00:00"}
    state = leads.state()
    with EspoClient(state.config, state) as client:
        newest = client.run(newest_changes(state, "Lead", "created", ChangeCursor(), lag=LAG, size=3))
        assert [record["id"] for record in newest.records] == ["near", "now"]
        assert (newest.now, newest.from_future) == (f"{TODAY} 12:00:00", True)
        hidden = client.run(newest_changes(state, "Lead", "created", ChangeCursor(), lag=LAG, size=1))
        assert (hidden.records, hidden.from_future) == ([], True)
        upto = client.run(newest_changes(state, "Lead", "created", ChangeCursor(), lag=LAG, size=1, upto=hidden.near))
        assert [record["id"] for record in upto.records] == ["near"]


def test_other_kinds_of_changes_are_refused() -> None:
    with pytest.raises(EspoInputError, match="created, modified"):
        stamp_attribute("deleted")
