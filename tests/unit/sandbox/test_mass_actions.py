from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.jobs import JobStopped
from tests.unit.sandbox.asking import Asker, reason
from tests.unit.sandbox.clock import Clock

BY_NAME = [{"type": "startsWith", "attribute": "lastName", "value": "Mass"}]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crm(clock: Clock) -> Iterator[Asker]:
    """A sandbox whose jobs are done when the test says so."""
    sandbox = Sandbox(clock=clock, job_delay=2)
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def leads(crm: Asker, count: int) -> list[str]:
    return [crm.create("Lead", lastName=f"Mass {n}")["id"] for n in range(count)]


def mass(crm: Asker, action: str, entity_type: str = "Lead", **body: Any) -> Any:
    return crm.ok("POST", "MassAction", {"entityType": entity_type, "action": action, **body})


def refused(crm: Asker, action: str, entity_type: str = "Lead", **body: Any) -> tuple[int, str | None]:
    return reason(crm.send("POST", "MassAction", {"entityType": entity_type, "action": action, **body}))


def status(crm: Asker, job_id: str) -> Any:
    return crm.ok("GET", f"MassAction/{job_id}/status")


def set_to(status: str) -> dict[str, Any]:
    return {"values": {"status": status}}


# --- which records ---


def test_ids_come_back_in_order_and_once_each(crm: Asker) -> None:
    first, second, third = leads(crm, 3)
    found = mass(crm, "update", params={"ids": [third, first, third, "nope"]}, data=set_to("Dead"))
    assert found == {"count": 2, "ids": [first, third]}
    assert crm.read("Lead", second)["status"] == "New"


def test_more_ids_than_a_statement_takes(crm: Asker) -> None:
    ids = leads(crm, 3)
    found = mass(crm, "delete", params={"ids": [*(f"none{n}" for n in range(1200)), *ids]})
    assert found["count"] == 3


def test_a_search_without_conditions_is_all_that_there_is(crm: Asker) -> None:
    leads(crm, 3)
    assert mass(crm, "update", params={"searchParams": {}}, data=set_to("Dead")) == {"count": 3}


def test_the_select_of_a_search_is_of_no_account_and_its_page_is(crm: Asker) -> None:
    leads(crm, 3)
    search = {"where": BY_NAME, "select": ["nope"], "maxSize": 1, "offset": 1, "orderBy": "lastName", "order": "asc"}
    assert mass(crm, "update", params={"searchParams": search}, data=set_to("Dead")) == {"count": 1}
    found = crm.find("Lead", orderBy="lastName", order="asc")["list"]
    assert [lead["status"] for lead in found] == ["New", "Dead", "New"]


@pytest.mark.parametrize(
    ("params", "answer"),
    [
        ({"ids": "x"}, (400, "Bad 'ids'.")),
        ({"searchParams": "x"}, (400, "Bad 'searchParams'.")),
        ({"where": "x", "ids": ["1"]}, (400, "Bad 'where'.")),
        ({"where": [{"type": "equals", "attribute": "nope", "value": 1}]}, (400, None)),
        ({"searchParams": {"orderBy": 1}}, (400, "orderBy should be string.")),
        ({"ids": []}, (500, None)),
    ],
)
def test_what_is_wrong_with_a_choice_is_told(
    crm: Asker, params: dict[str, Any], answer: tuple[int, str | None]
) -> None:
    found = refused(crm, "update", params=params, data=set_to("Dead"))
    assert found[0] == answer[0]
    assert answer[1] is None or found == answer


# --- update ---


def test_each_record_is_changed_as_by_an_update(crm: Asker) -> None:
    lead_id = leads(crm, 1)[0]
    mass(crm, "update", params={"ids": [lead_id]}, data=set_to("Assigned"))
    notes = crm.ok("GET", f"Lead/{lead_id}/stream")["list"]
    assert [(note["type"], note["data"]["value"]) for note in notes if note["type"] == "Update"] == [
        ("Update", "Assigned")
    ]
    assert crm.read("Lead", lead_id)["modifiedByName"] == "airflow_key"


def test_values_that_cannot_be_set_change_nothing_and_count_nothing(crm: Asker) -> None:
    lead_id = leads(crm, 1)[0]
    data = {"values": {"convertedAt": "2030-01-01 00:00:00", "createdById": "x"}}
    assert mass(crm, "update", params={"ids": [lead_id]}, data=data) == {"count": 0, "ids": []}


def test_teams_are_added_to_those_that_are_there(crm: Asker) -> None:
    admin = crm.as_user("admin")
    other = admin.create("Team", name="Other")["id"]
    own = crm.credentials["variables"]["team_id"]
    lead_id = crm.create("Lead", lastName="Mass", teamsIds=[other])["id"]
    data = {"values": {"teamsIds": [own]}, "actions": {"teamsIds": "add"}}
    for _ in range(2):
        assert mass(crm, "update", params={"ids": [lead_id]}, data=data)["count"] == 1
    assert set(crm.read("Lead", lead_id)["teamsIds"]) == {own, other}


def test_records_that_the_user_may_not_edit_are_left_out(crm: Asker) -> None:
    admin = crm.as_user("admin")
    rights = {"Lead": {"create": "yes", "read": "all", "edit": "own", "delete": "own", "stream": "all"}}
    role = admin.create("Role", name="Own leads", data=rights, massUpdatePermission="yes")
    user = admin.create("User", userName="own", lastName="Own", type="api", authMethod="ApiKey", rolesIds=[role["id"]])
    own = Asker(crm.sandbox, crm.credentials, {"X-Api-Key": user["apiKey"]})
    other, mine = leads(crm, 1)[0], crm.create("Lead", lastName="Mass", assignedUserId=user["id"])["id"]
    assert mass(own, "update", params={"ids": [other, mine]}, data=set_to("Dead")) == {"count": 1, "ids": [mine]}
    assert mass(own, "delete", params={"where": BY_NAME}) == {"count": 1}
    assert crm.read("Lead", other)["status"] == "New"


def test_locked_records_are_left_out(crm: Asker) -> None:
    free, locked = (crm.create("Account", name=name)["id"] for name in ("Free", "Locked"))
    assert mass(crm, "lock", "Account", params={"ids": [locked]}) == {"count": 1, "ids": [locked]}
    data = {"values": {"type": "Partner"}}
    both = {"ids": [free, locked]}
    assert mass(crm, "update", "Account", params=both, data=data)["ids"] == [free]
    assert mass(crm, "delete", "Account", params=both)["ids"] == [free]
    assert mass(crm, "unlock", "Account", params={"ids": [locked]})["count"] == 1
    assert mass(crm, "update", "Account", params={"ids": [locked]}, data=data)["ids"] == [locked]


# --- rights and names ---


def test_an_action_that_is_not_for_a_type_is_refused_whatever_the_rights(crm: Asker) -> None:
    admin, params = crm.as_user("admin"), {"ids": ["x"]}
    assert refused(admin, "update", "Role", params=params) == (403, "Mass action 'update' is disabled for 'Role'.")
    assert mass(admin, "delete", "Role", params=params) == {"count": 0, "ids": []}


def test_without_any_right_to_a_type_even_an_order_is_refused(crm: Asker) -> None:
    limited = crm.as_user("limited")
    assert refused(limited, "update", "Account", params={"ids": ["x"]}, idle=True) == (403, "")


def test_converting_needs_the_permission_and_an_amount(crm: Asker) -> None:
    sales, params, data = crm.as_user("sales"), {"ids": ["x"]}, {"targetCurrency": "EUR"}
    assert refused(sales, "convertCurrency", params=params, data=data) == (403, "No mass-update permission.")
    assert refused(crm, "convertCurrency", "Account", params=params, data=data)[0] == 403
    bad = {"targetCurrency": "XXX"}
    assert refused(crm, "convertCurrency", params=params, data=bad) == (400, "Target currency rate is not specified.")


def test_only_an_administrator_lets_others_follow(crm: Asker) -> None:
    account_id, sales_id = crm.create("Account", name="A")["id"], crm.credentials["variables"]["sales_user_id"]
    order = {"params": {"ids": [account_id]}, "data": {"userId": sales_id}}
    assert refused(crm, "follow", "Account", **order)[0] == 403
    assert mass(crm.as_user("admin"), "follow", "Account", **order)["count"] == 1
    assert crm.read("Account", account_id)["followersIds"] == [sales_id]
    assert mass(crm.as_user("admin"), "unfollow", "Account", **order)["count"] == 1
    assert crm.read("Account", account_id)["followersIds"] == []


# --- in the background ---


def test_an_ordered_action_is_done_later_and_counted_at_its_end(crm: Asker, clock: Clock) -> None:
    ids = leads(crm, 3)
    job_id = mass(crm, "update", params={"where": BY_NAME}, data=set_to("Dead"), idle=True)["id"]
    assert status(crm, job_id) == {"status": "Pending", "processedCount": 0}
    clock.go_on(1)
    crm.sandbox.jobs.run_due()
    assert status(crm, job_id) == {"status": "Running", "processedCount": 0}
    assert crm.read("Lead", ids[0])["status"] == "New"
    clock.go_on(1)
    crm.sandbox.jobs.run_due()
    assert status(crm, job_id) == {"status": "Success", "processedCount": 3}
    assert crm.read("Lead", ids[0])["status"] == "Dead"


@pytest.mark.parametrize(
    "order",
    [
        {"action": "nope", "params": {"where": BY_NAME}},
        {"action": "update", "params": {"ids": []}, "data": set_to("Dead")},
        {"action": "update", "params": {"where": [{"type": "nope"}]}, "data": set_to("Dead")},
        {"action": "recalculateFormula", "params": {"where": []}},
    ],
)
def test_what_would_have_been_refused_fails_later_without_a_word(
    crm: Asker, clock: Clock, order: dict[str, Any]
) -> None:
    leads(crm, 1)
    job_id = crm.ok("POST", "MassAction", {"entityType": "Lead", "idle": True, **order})["id"]
    clock.go_on(2)
    crm.sandbox.jobs.run_due()
    assert status(crm, job_id) == {"status": "Failed", "processedCount": 0}


def test_the_search_is_made_when_the_job_runs(crm: Asker, clock: Clock) -> None:
    job_id = mass(crm, "delete", params={"where": BY_NAME}, idle=True)["id"]
    leads(crm, 2)
    clock.go_on(2)
    crm.sandbox.jobs.run_due()
    assert status(crm, job_id)["processedCount"] == 2


def test_an_action_is_broken_off_between_two_records_when_the_sandbox_stops(crm: Asker, clock: Clock) -> None:
    ids, seen = leads(crm, 3), []

    def stop_at_second() -> None:
        seen.append(1)
        if len(seen) == 2:
            raise JobStopped

    crm.sandbox.jobs._checkpoint = stop_at_second  # type: ignore[method-assign]
    job_id = mass(crm, "update", params={"ids": ids}, data=set_to("Dead"), idle=True)["id"]
    clock.go_on(2)
    crm.sandbox.jobs.run_due()
    assert status(crm, job_id) == {"status": "Failed", "processedCount": 0}
    assert [crm.read("Lead", i)["status"] for i in ids] == ["Dead", "New", "New"]


def test_a_restarted_sandbox_shows_finished_jobs_to_who_ordered_them(tmp_path: Path, clock: Clock) -> None:
    sandbox = Sandbox(str(tmp_path / "crm.sqlite"), clock=clock, job_delay=0)
    credentials = ensure_fixture(sandbox.storage)
    crm = Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    leads(crm, 2)
    job_id = mass(crm, "delete", params={"where": BY_NAME}, idle=True)["id"]
    sandbox.jobs.run_due()
    sandbox.close()
    sandbox = Sandbox(str(tmp_path / "crm.sqlite"), clock=clock, job_delay=0)
    crm = Asker(sandbox, (new := ensure_fixture(sandbox.storage)), {"X-Api-Key": new["api_key"]})
    assert status(crm, job_id) == {"status": "Success", "processedCount": 2}
    assert crm.send("GET", f"MassAction/{job_id}/status", headers={"X-Api-Key": new["limited_api_key"]}).status == 403
    sandbox.close()
