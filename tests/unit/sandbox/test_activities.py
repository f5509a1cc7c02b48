from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker
from tests.unit.sandbox.clock import Clock


@pytest.fixture
def crm() -> Iterator[Asker]:
    """A sandbox where it is the first of January 2030."""
    sandbox = Sandbox(clock=Clock())
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def activity(crm: Asker, entity_type: str, start: str | None, **values: Any) -> str:
    body = {"name": f"{entity_type} {start}", "assignedUserId": crm.credentials["variables"]["sales_user_id"]}
    times = {"dateStart": start, "dateEnd": start}
    record_id: str = crm.create(entity_type, **body, **times, **values)["id"]
    return record_id


def names(found: Any) -> list[str]:
    return [item["name"] for item in found]


def test_activities_of_a_person_are_those_it_takes_part_in(crm: Asker) -> None:
    contact, other = crm.create("Contact", lastName="A"), crm.create("Contact", lastName="B")
    mine = activity(crm, "Meeting", "2030-02-01 10:00:00", contactsIds=[contact["id"]])
    activity(crm, "Meeting", "2030-02-02 10:00:00", contactsIds=[other["id"]])
    found = crm.ok("GET", f"Activities/Contact/{contact['id']}/activities")
    assert (found["total"], [item["id"] for item in found["list"]]) == (1, [mine])


def test_activities_of_an_account_are_those_of_its_people_too(crm: Asker) -> None:
    account = crm.create("Account", name="A")
    contact = crm.create("Contact", lastName="C", accountId=account["id"])
    call = activity(crm, "Call", "2030-02-01 10:00:00", parentType="Contact", parentId=contact["id"])
    found = crm.ok("GET", f"Activities/Account/{account['id']}/activities")["list"]
    assert [item["id"] for item in found] == [call]


def test_history_has_emails(crm: Asker) -> None:
    account = crm.create("Account", name="A")
    near = {"parentType": "Account", "parentId": account["id"]}
    body = {"from": "x@example.com", "to": "y@example.com", "name": "Mail", "dateSent": "2029-12-01 10:00:00"}
    crm.ok("POST", "Email", {**body, **near})
    activity(crm, "Meeting", "2029-12-02 10:00:00", status="Held", **near)
    activity(crm, "Meeting", "2030-12-02 10:00:00", **near)
    found = crm.ok("GET", f"Activities/Account/{account['id']}/history")["list"]
    assert [item["_scope"] for item in found] == ["Meeting", "Email"]


def test_the_calendar_has_what_begins_ends_or_goes_on_within_a_time(crm: Asker) -> None:
    sales = crm.as_user("sales")
    crm.create(
        "Meeting",
        name="long",
        dateStart="2030-01-31 10:00:00",
        dateEnd="2030-02-02 10:00:00",
        assignedUserId=crm.credentials["variables"]["sales_user_id"],
    )
    activity(crm, "Call", "2030-02-10 10:00:00")
    activity(crm, "Call", "2030-02-11 10:00:00", status="Not Held")
    activity(crm, "Meeting", "2030-03-01 00:00:00")
    found = sales.ok("GET", "Activities", query="from=2030-02-01&to=2030-03-01")
    assert names(found) == ["long", "Call 2030-02-10 10:00:00"]


def test_the_calendar_of_others_needs_a_permission(crm: Asker) -> None:
    activity(crm, "Call", "2030-02-10 10:00:00")
    query = f"from=2030-02-01&to=2030-03-01&userId={crm.credentials['variables']['sales_user_id']}"
    assert len(crm.ok("GET", "Activities", query=query)) == 1
    admin = crm.as_user("admin")
    path = f"Role/{crm.credentials['variables']['role_full_id']}"
    admin.ok("PUT", path, {"userCalendarPermission": "no"})
    assert crm.send("GET", "Activities", query=query).status == 403


def test_what_comes_next_in_order(crm: Asker) -> None:
    for entity_type, start in (("Call", "2030-01-03 10:00:00"), ("Meeting", "2030-01-02 10:00:00")):
        activity(crm, entity_type, start)
    activity(crm, "Meeting", "2030-01-20 10:00:00")
    activity(crm, "Meeting", "2030-01-02 11:00:00", status="Held")
    sales = crm.as_user("sales")
    found = sales.ok("GET", "Activities/upcoming")
    assert (found["total"], [item["_scope"] for item in found["list"]]) == (2, ["Meeting", "Call"])
    assert sales.ok("GET", "Activities/upcoming", query="futureDays=30&maxSize=1")["total"] == 3


def test_attendees_of_all_sorts_with_their_answers(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L")
    meeting = activity(
        crm,
        "Meeting",
        "2030-02-01 10:00:00",
        leadsIds=[lead["id"]],
        leadsColumns={lead["id"]: {"status": "Accepted"}},
    )
    found = crm.ok("GET", f"Meeting/{meeting}/attendees")["list"]
    assert [(a["_scope"], a["emailAddress"], a["acceptanceStatus"]) for a in found] == [
        ("User", "dummy@dummy.dummy", "None"),
        ("Lead", None, "Accepted"),
    ]
