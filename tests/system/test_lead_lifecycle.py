"""New leads that qualify are converted and stale ones recycled; others stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_espo.where import in_, older_than_x_days
from tests.system.conftest import Crm

Run = Callable[..., Any]
STALE = [in_("status", ["New", "Assigned", "In Process"]), older_than_x_days("modifiedAt", 90, date_time=True)]
#: 100 points.
BEST = {"source": "Existing Customer", "phoneNumber": "+493012345678", "opportunityAmount": 20_000_000}
#: 80 points.
GOOD = {**BEST, "opportunityAmount": None}
#: A run that has to do with leads of today that have 80 points.
CONVERT_ONLY = {"new_days": 1, "qualified_from": 80, "stale_days": 30_000}


@pytest.fixture
def make_lead(crm: Crm) -> Iterator[Callable[..., str]]:
    """Make a lead with a name of its own."""
    made = []

    def make(owner_id: str | None, **attributes: Any) -> str:
        tag = uuid4().hex
        values = {"lastName": tag, "emailAddress": f"{tag}@example.com", "accountName": f"{tag} Ltd", **attributes}
        # Not "New", so that the demo user leaves it alone.
        lead = crm.hook.create_record("Lead", {"status": "In Process", **values}, on_duplicate="force")
        crm.hook.update_record("Lead", lead["id"], {"assignedUserId": owner_id})
        made.append(lead["id"])
        return str(lead["id"])

    yield make
    crm.hook.write_many("Lead", [{"id": lead_id} for lead_id in made], operation="delete")


@pytest.fixture
def owner_id(crm: Crm) -> str:
    """A person who has leads."""
    people = crm.hook.list_records("User", where=[in_("type", ["regular", "admin"])], select=["id"], limit=1)
    return str(people[0]["id"])


def test_leads_that_qualify_are_converted_once_and_their_owners_told(
    crm: Crm, run_dag: Run, make_lead: Callable[..., str], owner_id: str
) -> None:
    best, good = make_lead(owner_id, **BEST), make_lead(owner_id, **GOOD)
    person = make_lead(owner_id, **{**BEST, "accountName": None})
    nobodys, weak = make_lead(None, **BEST), make_lead(owner_id)
    score_attribute = ""
    if crm.sandbox is not None:
        score_attribute = "cScore"
        crm.sandbox.add_field("Lead", score_attribute, "int")
    dag_run = run_dag("lead_lifecycle", **CONVERT_ONLY, score_attribute=score_attribute)
    assert str(dag_run.state) == "success"
    amounts = {}
    for lead_id in (best, good, person):
        lead = crm.hook.get_record("Lead", lead_id)
        assert lead["status"] == "Converted"
        assert bool(lead["createdAccountId"]) == (lead_id != person)
        opportunity = crm.hook.get_record("Opportunity", lead["createdOpportunityId"])
        assert opportunity["assignedUserId"] == owner_id
        assert opportunity["accountId"] == lead["createdAccountId"]
        amounts[lead_id] = opportunity["amount"]
        assert posts_on(crm, lead_id) == ["Qualified by its attributes and converted by Airflow."]
        assert notices_about(crm, lead_id) == 1
    assert amounts == {best: 20_000_000, good: 0, person: 20_000_000}
    for lead_id in (nobodys, weak):
        assert crm.hook.get_record("Lead", lead_id)["status"] == "In Process"
        assert posts_on(crm, lead_id) == []
        if score_attribute:
            assert crm.hook.get_record("Lead", lead_id)[score_attribute] == (100 if lead_id == nobodys else 35)

    again = run_dag("lead_lifecycle", **CONVERT_ONLY)

    assert str(again.state) == "success"
    assert notices_about(crm, best) == 1


def test_the_best_leads_are_converted_first_and_one_that_cannot_be_stops_no_other(
    crm: Crm, run_dag: Run, make_lead: Callable[..., str], owner_id: str
) -> None:
    twin = {"emailAddress": f"{uuid4().hex}@example.com", "accountName": None, "lastName": uuid4().hex}
    two_have_it = [
        crm.hook.create_record(
            "Contact", {name: twin[name] for name in ("emailAddress", "lastName")}, on_duplicate="force"
        )
        for _ in range(2)
    ]
    ambiguous, best, good = (
        make_lead(owner_id, **BEST, **twin),
        make_lead(owner_id, **BEST),
        make_lead(owner_id, **GOOD),
    )
    dag_run = run_dag("lead_lifecycle", **CONVERT_ONLY | {"max_converted": 2})
    # Visible, and yet the others went on.
    assert str(dag_run.state) == "failed"
    status = {lead_id: crm.hook.get_record("Lead", lead_id)["status"] for lead_id in (ambiguous, best, good)}
    assert status == {ambiguous: "In Process", best: "Converted", good: "In Process"}
    assert notices_about(crm, best) == 1
    assert notices_about(crm, ambiguous) == 0
    for contact in two_have_it:
        crm.hook.delete_record("Contact", contact["id"])


def test_stale_leads_are_recycled_all_or_none(crm: Crm, run_dag: Run) -> None:
    nothing_to_convert = {"max_converted": 0}
    stale = crm.hook.count_records("Lead", where=STALE)
    refused = run_dag("lead_lifecycle", **nothing_to_convert, max_stale=max(stale - 1, 0))
    assert str(refused.state) == ("failed" if stale else "success")
    assert crm.hook.count_records("Lead", where=STALE) == stale
    if crm.is_real:
        # Somebody may still want them.
        return
    assert stale > 0
    assert str(run_dag("lead_lifecycle", **nothing_to_convert, max_stale=stale).state) == "success"
    assert crm.hook.count_records("Lead", where=STALE) == 0


def test_airflow_keeps_nothing_of_what_people_wrote(
    run_dag: Run, make_lead: Callable[..., str], owner_id: str, kept_of: Callable[[Any], list[str]]
) -> None:
    tag = uuid4().hex
    person = {"lastName": tag, "emailAddress": f"{tag}@example.com", "accountName": f"{tag} Ltd"}
    lead_id = make_lead(owner_id, **BEST, **person)
    kept = kept_of(run_dag("lead_lifecycle", **CONVERT_ONLY))
    assert any(lead_id in text for text in kept)
    assert [text for text in kept for word in (tag, "+4930") if word in text] == []


def posts_on(crm: Crm, lead_id: str) -> list[str]:
    notes = crm.hook.list_notes(entity_type="Lead", record_id=lead_id, note_types=["Post"])
    return [note["post"] for note in notes]


def notices_about(crm: Crm, lead_id: str) -> int:
    """Posts to people that link to a lead."""
    return len(crm.hook.list_notes(stream="own", note_types=["Post"], text=f"Lead/view/{lead_id}"))
