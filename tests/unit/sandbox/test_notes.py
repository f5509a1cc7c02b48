from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.demo import ensure_demo_data
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker
from tests.unit.sandbox.clock import Clock


def types(notes: list[dict[str, Any]]) -> list[str]:
    return [note["type"] for note in notes]


def test_a_status_an_audited_field_and_an_owner_that_change_at_once_leave_an_assign_and_an_update(crm: Asker) -> None:
    sales_id = crm.credentials["variables"]["sales_user_id"]
    lead = crm.create("Lead", lastName="A")
    crm.ok("PUT", f"Lead/{lead['id']}", {"status": "Dead", "doNotCall": True, "assignedUserId": sales_id})
    created, assigned, updated = crm.notes(f"Lead/{lead['id']}/stream")
    assert types([created, assigned, updated]) == ["Create", "Assign", "Update"]
    assert assigned["data"] == {"assignedUserId": sales_id, "assignedUserName": "Sally Sales"}
    assert updated["data"] == {
        "fields": ["doNotCall"],
        "attributes": {"was": {"doNotCall": False}, "became": {"doNotCall": True}},
        "value": "Dead",
    }


def test_who_is_no_longer_assigned_is_noted_too(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A", assignedUserId=crm.credentials["variables"]["sales_user_id"])
    crm.ok("PUT", f"Lead/{lead['id']}", {"assignedUserId": None})
    assert crm.notes(f"Lead/{lead['id']}/stream")[-1]["data"] == {"assignedUserId": None}


def test_equal_values_and_fields_that_are_not_audited_leave_none(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A", status="New")
    crm.ok("PUT", f"Lead/{lead['id']}", {"status": "New", "description": "x", "title": "Dr"})
    assert types(crm.notes(f"Lead/{lead['id']}/stream")) == ["Create"]


def test_links_are_noted_with_their_names(crm: Asker) -> None:
    old, new = crm.create("Account", name="Old"), crm.create("Account", name="New")
    sale = crm.create("Opportunity", name="S", amount=1, closeDate="2031-01-01", accountId=old["id"])
    crm.ok("PUT", f"Opportunity/{sale['id']}", {"accountId": new["id"]})
    attributes = crm.notes(f"Opportunity/{sale['id']}/stream")[-1]["data"]["attributes"]
    assert attributes["was"] == {"accountId": old["id"], "accountName": "Old"}
    assert attributes["became"] == {"accountId": new["id"], "accountName": "New"}


def test_a_record_that_is_created_near_others_is_noted_by_one_of_each_type(crm: Asker) -> None:
    sales_id = crm.credentials["variables"]["sales_user_id"]
    first, second = crm.create("Lead", lastName="A"), crm.create("Lead", lastName="B")
    meeting = crm.create(
        "Meeting",
        name="M",
        dateStart="2031-01-01 10:00:00",
        dateEnd="2031-01-01 11:00:00",
        assignedUserId=sales_id,
        parentType="Lead",
        parentId=first["id"],
        leadsIds=[first["id"], second["id"]],
    )
    notes = [*crm.notes(f"Lead/{first['id']}/stream"), *crm.notes(f"Lead/{second['id']}/stream")]
    near = [note for note in notes if note["type"] == "CreateRelated"]
    assert [(n["relatedType"], n["relatedId"], n["relatedName"]) for n in near] == [("Meeting", meeting["id"], "M")]


def test_an_account_shows_what_was_created_for_it_but_not_how_that_changed(crm: Asker) -> None:
    account = crm.create("Account", name="A")
    case = crm.create("Case", name="C", accountId=account["id"])
    crm.ok("PUT", f"Case/{case['id']}", {"status": "Closed"})
    notes = crm.notes(f"Account/{account['id']}/stream")
    assert [(n["type"], n["parentType"], n.get("parentName")) for n in notes] == [
        ("Create", "Account", None),
        ("Create", "Case", "C"),
    ]


def test_links_that_are_audited_leave_notes_on_both_sides_where_both_are(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A")
    attachment = crm.ok("POST", "Attachment", upload("a.txt"))
    document = crm.create("Document", name="D", fileId=attachment["id"], publishDate="2031-01-01")
    crm.ok("POST", f"Lead/{lead['id']}/documents", {"id": document["id"]})
    crm.ok("DELETE", f"Lead/{lead['id']}/documents", {"id": document["id"]})
    notes = crm.notes(f"Lead/{lead['id']}/stream")
    assert types(notes) == ["Create", "Relate", "Unrelate"]
    assert {n["relatedId"] for n in notes[1:]} == {document["id"]}


def upload(name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "text/plain",
        "role": "Attachment",
        "relatedType": "Document",
        "field": "file",
        "file": "data:text/plain;base64,aGk=",
        **values,
    }


def test_types_without_a_stream_keep_a_record_of_changes_too(crm: Asker) -> None:
    attachment = crm.ok("POST", "Attachment", upload("a.txt"))
    document = crm.create("Document", name="D", fileId=attachment["id"], publishDate="2031-01-01")
    crm.ok("PUT", f"Document/{document['id']}", {"status": "Draft"})
    (note,) = crm.notes(f"Document/{document['id']}/updateStream")
    assert note["data"]["attributes"] == {"was": {"status": "Active"}, "became": {"status": "Draft"}}


def test_a_record_that_is_deleted_has_no_followers_and_no_notes_elsewhere(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A")
    sales_id = crm.credentials["variables"]["sales_user_id"]
    task = crm.create("Task", name="T", parentType="Lead", parentId=lead["id"], assignedUserId=sales_id)
    assert types(crm.notes(f"Lead/{lead['id']}/stream")) == ["Create", "CreateRelated"]
    crm.ok("DELETE", f"Task/{task['id']}")
    assert types(crm.notes(f"Lead/{lead['id']}/stream")) == ["Create"]
    sql = 'SELECT COUNT(*) FROM "Subscription" WHERE "entityId" = ?'
    assert crm.sandbox.storage.value(sql, [task["id"]]) == 0


def test_the_stream_moves_with_notes_and_the_record_does_not() -> None:
    clock = Clock()
    sandbox = Sandbox(clock=clock)
    credentials = ensure_fixture(sandbox.storage)
    crm = Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    account = crm.create("Account", name="A")
    clock.go_on(60)
    crm.create("Case", name="C", accountId=account["id"])
    after = crm.read("Account", account["id"])
    assert after["streamUpdatedAt"] > account["streamUpdatedAt"]
    assert (after["modifiedAt"], after["versionNumber"]) == (account["modifiedAt"], 1)
    sandbox.close()


def test_numbers_rise_without_gaps_when_many_write_at_once(crm: Asker) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: crm.create("Lead", lastName=f"L{i}"), range(40)))
    numbers = crm.sandbox.storage.column('SELECT number FROM "Note" ORDER BY id')
    assert sorted(numbers) == list(range(1, 41))


def test_notes_of_the_demo_data_are_as_old_as_its_records() -> None:
    sandbox = Sandbox()
    ensure_demo_data(sandbox, ensure_fixture(sandbox.storage)["variables"])
    sql = (
        'SELECT COUNT(*) FROM "Note" n JOIN "Lead" l ON l.id = n."parentId" AND n.type = \'Create\''
        ' WHERE n."createdAt" <> l."createdAt"'
    )
    assert sandbox.storage.value(sql) == 0
    sandbox.close()
