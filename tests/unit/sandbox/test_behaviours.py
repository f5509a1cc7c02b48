"""What happens by itself when a record is saved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.asking import Asker, reason

SALE = {"name": "O", "amount": 1, "closeDate": "2031-01-01"}


def activity(crm: Asker, entity_type: str, **values: Any) -> Any:
    user = crm.credentials["variables"]["sales_user_id"]
    times = {"dateStart": "2031-01-01 10:00:00", "dateEnd": "2031-01-01 11:00:00"}
    return crm.create(entity_type, name="A", assignedUserId=user, **times, **values)


# --- sales ---


def test_update_without_a_probability_takes_that_of_the_stage(crm: Asker) -> None:
    path = f"Opportunity/{crm.create('Opportunity', **SALE, stage='Proposal', probability=33)['id']}"
    assert crm.ok("PUT", path, {"probability": 40})["probability"] == 40
    assert crm.ok("PUT", path, {"description": "x"})["probability"] == 50


def test_sale_that_was_never_open_was_last_in_the_first_stage(crm: Asker) -> None:
    assert crm.create("Opportunity", **SALE, stage="Closed Lost")["lastStage"] == "Prospecting"


def test_sale_that_was_won_and_is_lost_was_last_in_the_stage_before_won(crm: Asker) -> None:
    made = crm.create("Opportunity", **SALE, stage="Closed Won")
    assert made["lastStage"] == "Closed Won"
    assert crm.ok("PUT", f"Opportunity/{made['id']}", {"stage": "Closed Lost"})["lastStage"] == "Negotiation"


@pytest.mark.parametrize("entity_type", ["Opportunity", "Case"])
def test_contact_that_is_cleared_is_among_the_contacts_no_more(crm: Asker, entity_type: str) -> None:
    first, second = (crm.create("Contact", lastName=name)["id"] for name in "AB")
    values = SALE if entity_type == "Opportunity" else {"name": "C"}
    path = f"{entity_type}/{crm.create(entity_type, **values, contactId=first)['id']}"
    crm.ok("POST", f"{path}/contacts", {"id": second})
    crm.ok("PUT", path, {"contactId": None})
    assert [row["id"] for row in crm.ok("GET", f"{path}/contacts")["list"]] == [second]


# --- activities ---


def test_activities_take_the_account_of_their_parent(crm: Asker) -> None:
    account = crm.create("Account", name="Acme")["id"]
    contact = crm.create("Contact", lastName="C", accountId=account)["id"]
    task = activity(crm, "Task", parentType="Contact", parentId=contact)
    assert (task["accountId"], task["contactId"]) == (account, contact)
    for entity_type in ("Meeting", "Call"):
        made = activity(crm, entity_type, parentType="Contact", parentId=contact)
        assert (made["accountId"], made["accountName"]) == (account, "Acme")


def test_lead_gives_its_account_only_once_it_is_converted(crm: Asker) -> None:
    account = crm.create("Account", name="Acme")["id"]
    for status, expected in (("In Process", None), ("Converted", account)):
        lead = crm.create("Lead", lastName="L", status=status)["id"]
        crm.sandbox.storage.update("Lead", lead, {"createdAccountId": account})
        assert activity(crm, "Task", parentType="Lead", parentId=lead)["accountId"] == expected
        assert activity(crm, "Call", parentType="Lead", parentId=lead).get("accountId") == expected


def test_meeting_without_an_account_does_not_name_one(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L")["id"]
    made = activity(crm, "Meeting", parentType="Lead", parentId=lead)
    assert "accountId" not in made
    assert made["accountName"] is None


def test_another_parent_without_an_account_leaves_none(crm: Asker) -> None:
    account, lead = crm.create("Account", name="Acme")["id"], crm.create("Lead", lastName="L")["id"]
    path = f"Meeting/{activity(crm, 'Meeting', parentType='Account', parentId=account)['id']}"
    assert crm.ok("PUT", path, {"parentType": "Lead", "parentId": lead})["accountId"] is None


def test_parent_without_a_type_is_taken_and_leads_nowhere(crm: Asker) -> None:
    made = activity(crm, "Task", parentId="0123456789abcdef0")
    assert (made["parentId"], made["accountId"]) == ("0123456789abcdef0", None)


# --- articles ---


def test_new_article_comes_first_and_has_its_text_without_markup(crm: Asker) -> None:
    first = crm.create("KnowledgeBaseArticle", name="A", body="<p>Hi &amp; <b>bye</b></p><p>2<br>3</p>")
    second = crm.create("KnowledgeBaseArticle", name="B")
    assert second["order"] == first["order"] - 1
    assert first["bodyPlain"] == "Hi & bye\n2\n3"
    moved = crm.ok("PUT", f"KnowledgeBaseArticle/{first['id']}", {"order": 5})
    assert moved["order"] == first["order"], "the order is not for clients to set"


# --- role columns ---


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"role": "CTO", "isInactive": True}, 200),
        ({"role": None}, 200),
        ({"role": "x" * 101}, 400),
        ({"role": 1}, 400),
        ({"isInactive": 1}, 400),
        ("CTO", 400),
        ({"unknown": 1}, 200),
    ],
)
def test_role_columns_take_what_the_field_that_shows_them_takes(crm: Asker, row: Any, status: int) -> None:
    account, contact = crm.create("Account", name="A")["id"], crm.create("Contact", lastName="C")["id"]
    body = {"accountsIds": [account], "accountsColumns": {account: row}}
    reply = crm.send("PUT", f"Contact/{contact}", body)
    assert reply.status == status
    if status == 400:
        assert reason(reply)[1] == "Field validation failure; entityType: Contact, field: accounts, type: columnsValid."


@pytest.mark.parametrize(("role", "status"), [("Evaluator", 200), (None, 200), ("", 200), ("Nope", 400), (1, 400)])
def test_role_that_is_an_option_takes_only_options(crm: Asker, role: Any, status: int) -> None:
    contact = crm.create("Contact", lastName="C")["id"]
    body = {**SALE, "contactsIds": [contact], "contactsColumns": {contact: {"role": role}}}
    assert crm.send("POST", "Opportunity", body).status == status


def test_empty_address_is_no_address(crm: Asker) -> None:
    made = crm.create("Lead", lastName="L", emailAddressData=[{"emailAddress": ""}])
    assert made["emailAddressData"] == []
