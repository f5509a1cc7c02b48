"""A lead that the watcher told of gets somebody, and a lead that is told of again keeps whom it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_espo.where import equals, in_
from tests.system.conftest import Crm

Run = Callable[[Sequence[str]], Any]


@pytest.fixture
def run_with_events(monkeypatch: pytest.MonkeyPatch, crm: Crm, run_dag: Callable[..., Any]) -> Run:
    """Run the DAG as the scheduler does when the watcher told of leads; each id is an event of its own."""
    from airflow.models import dagrun

    make = dagrun.get_or_create_dagrun

    def run(ids: Sequence[str]) -> Any:
        def make_with_events(*args: Any, session: Any, **kwargs: Any) -> Any:
            from airflow.models.asset import AssetEvent, AssetModel

            dag_run = make(*args, session=session, **kwargs)
            asset = session.query(AssetModel).filter_by(name="web_leads").one()
            for lead_id in ids:
                extra = {"from_trigger": True, "payload": _payload(crm, lead_id)}
                dag_run.consumed_asset_events.append(AssetEvent(asset_id=asset.id, extra=extra))
            session.commit()
            return dag_run

        monkeypatch.setattr(dagrun, "get_or_create_dagrun", make_with_events)
        return run_dag("on_new_lead")

    return run


def _payload(crm: Crm, lead_id: str) -> dict[str, Any]:
    """What the example's own watcher says of a lead."""
    from on_new_lead import web_leads

    (watcher,) = web_leads.watchers
    trigger: Any = watcher.trigger
    stamp = crm.hook.get_record("Lead", lead_id)["createdAt"]
    payload: dict[str, Any] = trigger.payload([{"id": lead_id, "stamp": stamp}])
    return payload


def new_lead(crm: Crm, **attributes: Any) -> str:
    # Not "New", so that the demo user leaves it alone.
    lead = {"lastName": uuid4().hex, "source": "Web Site", "status": "In Process", **attributes}
    lead_id: str = crm.hook.create_record("Lead", lead, on_duplicate="force")["id"]
    crm.hook.update_record("Lead", lead_id, {"assignedUserId": None})
    return lead_id


def owner_of(crm: Crm, lead_id: str) -> str | None:
    owner: str | None = crm.hook.get_record("Lead", lead_id)["assignedUserId"]
    return owner


def open_leads(crm: Crm) -> dict[str, int]:
    open_ones = in_("status", ["New", "Assigned", "In Process"])
    people = crm.hook.list_records("User", where=[equals("type", "regular")], select=["id"])
    return {
        person["id"]: crm.hook.count_records("Lead", where=[equals("assignedUserId", person["id"]), open_ones])
        for person in people
    }


def test_new_leads_go_to_whoever_has_the_fewest(crm: Crm, run_with_events: Run) -> None:
    before = open_leads(crm)
    leads = [new_lead(crm) for _ in range(3)]

    assert str(run_with_events(leads).state) == "success"

    owners = [owner_of(crm, lead) for lead in leads]
    assert None not in owners
    expected = dict(before)
    for _ in leads:
        fewest = min(expected, key=lambda person: (expected[person], person))
        expected[fewest] += 1
    assert open_leads(crm) == expected
    assert {crm.hook.get_record("Lead", lead)["status"] for lead in leads} == {"Assigned"}


def test_a_lead_that_is_told_of_again_keeps_its_owner(crm: Crm, run_with_events: Run) -> None:
    lead = new_lead(crm)
    run_with_events([lead])
    owner, changed_at = owner_of(crm, lead), crm.hook.get_record("Lead", lead)["modifiedAt"]

    again = run_with_events([lead, lead])

    assert str(again.state) == "success"
    assert again.get_task_instance("who_gets_what").state == "success"
    assert owner_of(crm, lead) == owner is not None
    assert crm.hook.get_record("Lead", lead)["modifiedAt"] == changed_at


def test_airflow_keeps_no_name(crm: Crm, run_with_events: Run, kept_of: Callable[[Any], list[str]]) -> None:
    lead = new_lead(crm, lastName="Quixote")
    kept = kept_of(run_with_events([lead]))
    assert any(lead in text for text in kept)
    assert [text for text in kept if "Quixote" in text] == []
