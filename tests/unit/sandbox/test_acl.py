from __future__ import annotations

import pytest

from airflow_provider_espo.sandbox.acl import merge_fields, merge_rights, strongest
from tests.unit.sandbox.asking import Asker, reason


def test_strongest_level_wins() -> None:
    assert strongest(["own", "all", "no"]) == "all"
    assert strongest(["own", "team", None]) == "team"
    assert strongest(["not-set"]) == "no"
    assert strongest([]) == "no"


def test_rights_of_several_roles_add_up() -> None:
    merged = merge_rights(
        [
            {"Lead": {"read": "own", "edit": "no"}, "Task": False, "Import": False},
            {"Lead": {"read": "team", "create": "yes"}, "Task": {"read": "all"}, "Import": True},
            {"Lead": False, "Task": False, "Import": False},
        ]
    )
    assert merged == {
        "Lead": {"read": "team", "edit": "no", "create": "yes"},
        "Task": {"read": "all"},
        "Import": True,
    }


def test_field_rights_of_several_roles_add_up() -> None:
    merged = merge_fields(
        [{"Lead": {"phoneNumber": {"read": "no", "edit": "no"}}}, {"Lead": {"phoneNumber": {"read": "yes"}}}]
    )
    assert merged == {"Lead": {"phoneNumber": {"read": "yes", "edit": "no"}}}


def give_role(crm: Asker, data: object, **more: object) -> Asker:
    """The limited user with another role; the answer is a client of it."""
    admin = crm.as_user("admin")
    role_id = crm.credentials["variables"]["role_limited_id"]
    admin.ok("PUT", f"Role/{role_id}", {"data": data, **more})
    return crm.as_user("limited")


def test_change_of_a_role_counts_at_once(crm: Asker) -> None:
    limited = crm.as_user("limited")
    assert limited.send("GET", "Account").status == 403
    limited = give_role(crm, {"Account": {"read": "all"}})
    assert limited.send("GET", "Account").status == 200


def test_team_level_sees_own_records_and_those_of_the_team(crm: Asker) -> None:
    variables = crm.credentials["variables"]
    own = crm.create("Lead", lastName="Own", assignedUserId=variables["limited_user_id"])["id"]
    team = crm.create("Lead", lastName="Team", teamsIds=[variables["team_id"]])["id"]
    other = crm.create("Lead", lastName="Other")["id"]
    limited = give_role(crm, {"Lead": {"read": "team", "edit": "own"}})
    assert {record["id"] for record in limited.find("Lead")["list"]} == {own, team}
    assert limited.send("GET", f"Lead/{team}").status == 200
    assert reason(limited.send("GET", f"Lead/{other}")) == (403, "No 'read' access.")
    assert limited.send("PUT", f"Lead/{own}", {"title": "x"}).status == 200
    assert reason(limited.send("PUT", f"Lead/{team}", {"title": "x"})) == (403, "No edit access.")


def test_collaborator_of_a_task_sees_it_as_own(crm: Asker) -> None:
    variables = crm.credentials["variables"]
    task = crm.create(
        "Task", name="T", assignedUserId=variables["sales_user_id"], collaboratorsIds=[variables["limited_user_id"]]
    )
    limited = give_role(crm, {"Task": {"read": "own"}})
    assert [record["id"] for record in limited.find("Task")["list"]] == [task["id"]]


def test_forbidden_field_is_neither_shown_nor_taken(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L", title="CEO", phoneNumber="+4930123456")["id"]
    limited = give_role(
        crm,
        {"Lead": {"read": "all", "edit": "all"}},
        fieldData={"Lead": {"phoneNumber": {"read": "no", "edit": "no"}, "title": {"read": "yes", "edit": "no"}}},
    )
    record = limited.read("Lead", lead)
    assert "phoneNumber" not in record
    assert "phoneNumberData" not in record
    assert record["title"] == "CEO"
    limited.ok("PUT", f"Lead/{lead}", {"title": "CTO", "phoneNumber": None, "industry": "Energy"})
    record = crm.read("Lead", lead)
    assert (record["title"], record["phoneNumber"], record["industry"]) == ("CEO", "+4930123456", "Energy")
    assert "phoneNumber" not in limited.find("Lead", select=["phoneNumber", "title"])["list"][0]


@pytest.mark.parametrize(("permission", "status"), [("no", 403), ("team", 200), ("all", 200)])
def test_assigning_to_others_needs_a_permission(crm: Asker, permission: str, status: int) -> None:
    limited = give_role(crm, {"Lead": {"create": "yes", "read": "all"}}, assignmentPermission=permission)
    sales = crm.credentials["variables"]["sales_user_id"]
    assert limited.send("POST", "Lead", {"lastName": "L", "assignedUserId": sales}).status == status
    own = crm.credentials["variables"]["limited_user_id"]
    assert limited.send("POST", "Lead", {"lastName": "M", "assignedUserId": own}).status == 200


def test_duplicates_that_one_may_not_read_are_not_told(crm: Asker) -> None:
    crm.create("Lead", firstName="Dan", lastName="Dup", emailAddress="dan@example.org")
    limited = give_role(crm, {"Lead": {"create": "yes", "read": "own"}})
    again = {"firstName": "Dan", "lastName": "Dup", "emailAddress": "dan@example.org"}
    assert limited.send("POST", "Lead", again).status == 200
    assert crm.send("POST", "Lead", again).status == 409


def test_users_change_themselves_but_not_what_they_may(crm: Asker) -> None:
    user_id = crm.credentials["variables"]["sales_user_id"]
    sales = crm.as_user("sales")
    body = {"title": "Boss", "type": "admin", "userName": "root", "isActive": False, "rolesIds": [], "teamsIds": []}
    assert sales.ok("PUT", f"User/{user_id}", {**body, "emailAddress": "x@example.org"})["title"] == "Boss"
    record = crm.as_user("admin").read("User", user_id)
    assert (record["type"], record["userName"], record["isActive"]) == ("regular", "sales", True)
    assert record["emailAddress"] == "sales@example.com"
    assert record["rolesIds"]
    assert record["teamsIds"]
