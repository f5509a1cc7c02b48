from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.sandbox.asking import Asker, reason

OPPORTUNITY = {"name": "O", "amount": 1, "closeDate": "2031-01-01"}
DATES = {"dateStart": "2031-01-01 10:00:00", "dateEnd": "2031-01-01 11:00:00"}
ALL = {"Account": {"name": "A"}, "Contact": {"lastName": "C"}, "Opportunity": OPPORTUNITY}


@pytest.fixture
def lead_id(crm: Asker) -> str:
    new_id: str = crm.create("Lead", lastName="L")["id"]
    return new_id


def convert(crm: Asker, lead_id: str, records: dict[str, Any], **options: Any) -> Any:
    return crm.ok("POST", "Lead/action/convert", {"id": lead_id, "records": records, **options})


def refused(crm: Asker, lead_id: str, records: Any, **options: Any) -> tuple[int, str | None]:
    body = {"id": lead_id, "records": records, **options}
    return reason(crm.send("POST", "Lead/action/convert", body))


def user_of(crm: Asker) -> str:
    found: str = crm.credentials["variables"]["sales_user_id"]
    return found


def count(crm: Asker, entity_type: str) -> int:
    total: int = crm.find(entity_type)["total"]
    return total


# --- half-way ---


def test_what_was_created_before_a_failure_stays_and_the_lead_knows_nothing_of_it(crm: Asker, lead_id: str) -> None:
    records = {**ALL, "Opportunity": {"name": "O", "amount": 1}}
    assert refused(crm, lead_id, records)[0] == 400
    assert (count(crm, "Account"), count(crm, "Contact"), count(crm, "Opportunity")) == (1, 1, 0)
    lead = crm.read("Lead", lead_id)
    assert (lead["status"], lead["createdAccountId"], lead["convertedAt"]) == ("New", None, None)
    account = crm.read("Account", crm.find("Account")["list"][0]["id"])
    assert account["originalLeadId"] is None


def test_a_second_try_with_the_same_records_meets_its_own_orphan(crm: Asker, lead_id: str) -> None:
    refused(crm, lead_id, {**ALL, "Opportunity": {}})
    orphan = crm.find("Account")["list"][0]["id"]
    reply = crm.send("POST", "Lead/action/convert", {"id": lead_id, "records": ALL})
    assert reason(reply) == (409, "duplicate")
    assert {"id": orphan, "name": "A", "_entityType": "Account"} in json.loads(reply.content)
    assert count(crm, "Account") == 1
    convert(crm, lead_id, ALL, skipDuplicateCheck=True)
    assert count(crm, "Account") == 2


def test_after_the_first_duplicate_nothing_more_is_created(crm: Asker, lead_id: str) -> None:
    crm.create("Account", name="A")
    twin = crm.create("Contact", lastName="X", emailAddress="c@example.com")["id"]
    records = {**ALL, "Contact": {"lastName": "C", "emailAddress": "c@example.com"}}
    reply = crm.send("POST", "Lead/action/convert", {"id": lead_id, "records": records})
    assert [item["_entityType"] for item in json.loads(reply.content)] == ["Account", "Contact"]
    assert json.loads(reply.content)[1]["id"] == twin
    assert (count(crm, "Account"), count(crm, "Contact"), count(crm, "Opportunity")) == (1, 1, 0)


def test_missing_types_are_not_linked_with_what_is_there(crm: Asker, lead_id: str) -> None:
    account_id = crm.create("Account", name="A")["id"]
    convert(crm, lead_id, {"Contact": {"lastName": "C", "accountId": account_id}, "Opportunity": OPPORTUNITY})
    lead = crm.read("Lead", lead_id)
    opportunity = crm.read("Opportunity", lead["createdOpportunityId"])
    assert lead["createdAccountId"] is None
    assert (opportunity["accountId"], opportunity["contactId"]) == (None, lead["createdContactId"])
    assert crm.read("Contact", lead["createdContactId"])["accountId"] == account_id


def test_the_title_that_is_given_becomes_the_role_with_the_account(crm: Asker, lead_id: str) -> None:
    convert(crm, lead_id, {"Account": {"name": "A"}, "Contact": {"lastName": "C", "title": "CTO"}})
    contact = crm.read("Contact", crm.read("Lead", lead_id)["createdContactId"])
    assert (contact["title"], contact["accountName"]) == ("CTO", "A")


# --- what moves along ---


@pytest.mark.parametrize(
    ("records", "parent_type"),
    [(ALL, "Opportunity"), ({"Account": {"name": "A"}}, "Account"), ({"Contact": {"lastName": "C"}}, None)],
)
def test_activities_that_the_lead_attends_go_over(
    crm: Asker, lead_id: str, records: dict[str, Any], parent_type: str | None
) -> None:
    values = {"name": "X", "leadsIds": [lead_id], "assignedUserId": user_of(crm), **DATES}
    ids = {name: crm.create(name, **values)["id"] for name in ("Meeting", "Call")}
    lead = convert(crm, lead_id, records)
    for entity_type, record_id in ids.items():
        record = crm.read(entity_type, record_id)
        assert record["parentType"] == parent_type
        assert record["parentId"] == (lead[f"created{parent_type}Id"] if parent_type else None)
        assert record["contactsIds"] == ([lead["createdContactId"]] if "Contact" in records else [])
        assert record["leadsIds"] == [lead_id]


def test_tasks_and_meetings_that_only_have_the_lead_as_parent_stay(crm: Asker, lead_id: str) -> None:
    values = {"name": "X", "parentType": "Lead", "parentId": lead_id, "assignedUserId": user_of(crm)}
    task = crm.create("Task", **values)["id"]
    meeting = crm.create("Meeting", **values, **DATES)["id"]
    convert(crm, lead_id, ALL)
    assert crm.read("Task", task)["parentId"] == lead_id
    assert crm.read("Meeting", meeting)["parentId"] == lead_id


def test_emails_go_over_and_documents_are_shared(crm: Asker, lead_id: str) -> None:
    parent = {"parentType": "Lead", "parentId": lead_id}
    email = crm.create("Email", name="E", subject="E", **{"from": "a@example.com", "to": "b@example.com"}, **parent)[
        "id"
    ]
    file = {"name": "a.txt", "type": "text/plain", "file": "data:text/plain;base64,aGk="}
    attachment = crm.create("Attachment", role="Attachment", relatedType="Document", field="file", **file)["id"]
    document = crm.create("Document", name="D", publishDate="2030-01-01", fileId=attachment)["id"]
    crm.ok("POST", f"Lead/{lead_id}/documents", {"id": document})
    lead = convert(crm, lead_id, ALL)
    assert crm.read("Email", email)["parentId"] == lead["createdOpportunityId"]
    for path in (
        f"Account/{lead['createdAccountId']}",
        f"Opportunity/{lead['createdOpportunityId']}",
        f"Lead/{lead_id}",
    ):
        assert [d["id"] for d in crm.ok("GET", f"{path}/documents")["list"]] == [document]


def test_followers_follow_what_the_lead_became(crm: Asker, lead_id: str) -> None:
    crm.as_user("sales").ok("PUT", f"Lead/{lead_id}/subscription")
    lead = convert(crm, lead_id, {"Account": {"name": "A"}})
    assert crm.read("Account", lead["createdAccountId"])["followersIds"] == [
        crm.credentials["variables"]["sales_user_id"]
    ]


# --- requests that are refused ---


@pytest.mark.parametrize("records", [[], "x", [{"Account": {}}]])
def test_records_that_are_no_object_are_refused(crm: Asker, lead_id: str, records: Any) -> None:
    assert refused(crm, lead_id, records)[0] == 400


def test_values_that_are_no_object_are_refused_and_nothing_is_created(crm: Asker, lead_id: str) -> None:
    assert refused(crm, lead_id, {"Account": "A"})[0] == 500
    assert count(crm, "Account") == 0


def test_without_the_right_to_create_a_target_nothing_is_created(crm: Asker, lead_id: str) -> None:
    admin = crm.as_user("admin")
    everything = {"create": "yes", "read": "all", "edit": "all", "delete": "all", "stream": "all"}
    role = admin.create("Role", name="Leads only", data={"Lead": everything, "Contact": everything})
    made = admin.create("User", userName="few", lastName="F", type="api", authMethod="ApiKey", rolesIds=[role["id"]])
    few = Asker(crm.sandbox, crm.credentials, {"X-Api-Key": made["apiKey"]})
    assert refused(few, lead_id, {"Account": {"name": "A"}}) == (403, "No create access.")
    assert list(few.ok("POST", "Lead/action/getConvertAttributes", {"id": lead_id})) == ["Contact"]
    assert count(crm, "Account") == 0


# --- suggestions ---


def test_custom_fields_of_one_name_and_type_are_suggested(crm: Asker) -> None:
    for entity_type, spec in (("Lead", "int"), ("Account", "int"), ("Contact", "varchar")):
        crm.sandbox.add_field(entity_type, "cScore", spec)
    lead_id = crm.create("Lead", lastName="L", cScore=7)["id"]
    found = crm.ok("POST", "Lead/action/getConvertAttributes", {"id": lead_id})
    assert found["Account"]["cScore"] == 7
    assert "cScore" not in found["Contact"]


def test_suggested_attributes_can_be_converted_as_they_are(crm: Asker) -> None:
    lead = crm.create("Lead", firstName="Ada", lastName="L", accountName="Co", opportunityAmount=5, title="CTO")
    found = crm.ok("POST", "Lead/action/getConvertAttributes", {"id": lead["id"]})
    found["Opportunity"] |= {"name": "O", "closeDate": "2031-01-01"}
    answer = convert(crm, lead["id"], found)
    assert answer["createdAccountName"] == "Co"
    assert crm.read("Contact", answer["createdContactId"])["title"] == "CTO"
    assert crm.read("Opportunity", answer["createdOpportunityId"])["amount"] == 5
