from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.asking import Asker, reason


def act(crm: Asker, action: str, entity_type: str, record_id: str, **data: Any) -> Any:
    return crm.ok("POST", "Action", {"entityType": entity_type, "action": action, "id": record_id, "data": data})


def refused(crm: Asker, action: str, entity_type: str, record_id: str, **data: Any) -> tuple[int, str | None]:
    body = {"entityType": entity_type, "action": action, "id": record_id, "data": data}
    return reason(crm.send("POST", "Action", body))


# --- currency ---


def opportunity(crm: Asker, amount: float, currency: str) -> str:
    record_id: str = crm.create(
        "Opportunity", name="O", amount=amount, amountCurrency=currency, closeDate="2031-01-01"
    )["id"]
    return record_id


def test_amount_is_rounded_to_cents(crm: Asker) -> None:
    record = act(crm, "convertCurrency", "Opportunity", opportunity(crm, 100, "USD"), targetCurrency="EUR")
    assert (record["amount"], record["amountCurrency"]) == (89.29, "EUR")


def test_every_amount_of_a_record_is_converted(crm: Asker) -> None:
    crm.sandbox.add_field("Lead", "cBudget", "currency")
    lead = crm.create("Lead", lastName="L", opportunityAmount=112, cBudget=1.12, cBudgetCurrency="USD")
    record = act(crm, "convertCurrency", "Lead", lead["id"], targetCurrency="EUR")
    assert (record["opportunityAmount"], record["cBudget"], record["cBudgetCurrency"]) == (100, 1, "EUR")


def test_given_rates_take_the_place_of_those_that_are_set(crm: Asker) -> None:
    eur = opportunity(crm, 100, "EUR")
    assert refused(crm, "convertCurrency", "Opportunity", eur, targetCurrency="USD", rates={"GBP": 2})[0] == 500
    assert act(crm, "convertCurrency", "Opportunity", eur, targetCurrency="USD", rates={"EUR": 2})["amount"] == 200


def test_a_record_that_the_user_may_not_edit_is_refused(crm: Asker) -> None:
    limited = crm.as_user("limited")
    lead = crm.create("Lead", lastName="L", assignedUserId=crm.credentials["variables"]["limited_user_id"])
    assert refused(limited, "convertCurrency", "Lead", lead["id"], targetCurrency="USD")[0] == 403


# --- locks ---


def test_a_locked_record_keeps_what_is_not_left_open(crm: Asker) -> None:
    account_id = crm.create("Account", name="A", type="Partner")["id"]
    act(crm, "lock", "Account", account_id)
    sales = crm.credentials["variables"]["sales_user_id"]
    assert crm.ok("PUT", f"Account/{account_id}", {"type": "Partner", "assignedUserId": sales})["isLocked"] is True
    reply = crm.send("PUT", f"Account/{account_id}", {"billingAddressCity": "Rome"})
    assert reason(reply) == (409, "cannotModifyLockedRecord")
    assert b'"Billing Address City"' in reply.content
    assert crm.read("Account", account_id)["billingAddressCity"] is None


def test_the_lock_itself_is_set_by_the_action_only(crm: Asker) -> None:
    account_id = crm.create("Account", name="A", isLocked=True)["id"]
    assert crm.ok("PUT", f"Account/{account_id}", {"isLocked": True})["isLocked"] is False


def test_types_without_locking_refuse(crm: Asker) -> None:
    assert refused(crm, "lock", "Lead", crm.create("Lead", lastName="L")["id"])[0] == 403


# --- merge ---


def test_links_notes_and_followers_go_over(crm: Asker) -> None:
    stays, goes = (crm.create("Account", name=name)["id"] for name in ("Stays", "Goes"))
    sales_id = crm.credentials["variables"]["sales_user_id"]
    task = crm.create("Task", name="T", parentType="Account", parentId=goes, assignedUserId=sales_id)["id"]
    case = crm.create("Case", name="C", accountId=goes)["id"]
    sales = crm.as_user("sales")
    sales.ok("PUT", f"Account/{goes}/subscription")
    crm.create("Note", post="hello", type="Post", parentType="Account", parentId=goes)
    record = act(crm, "merge", "Account", stays, sourceIdList=[goes], attributes={"name": "Both"})
    assert record["name"] == "Both"
    assert record["followersIds"] == [sales_id]
    assert crm.read("Task", task)["parentId"] == stays
    assert crm.read("Case", case)["accountId"] == stays
    posts = [note["post"] for note in crm.ok("GET", f"Account/{stays}/stream")["list"] if note["type"] == "Post"]
    assert posts == ["hello"]
    assert crm.send("GET", f"Account/{goes}").status == 404


def test_addresses_are_gathered_the_first_stays_primary(crm: Asker) -> None:
    stays = crm.create("Contact", lastName="A", emailAddress="a@example.com", phoneNumber="+493012345671")["id"]
    goes = crm.create("Contact", lastName="B", emailAddress="A@example.com", phoneNumber="+493012345672")["id"]
    record = act(crm, "merge", "Contact", stays, sourceIdList=[goes], attributes={})
    assert [item["emailAddress"] for item in record["emailAddressData"]] == ["a@example.com"]
    assert [(p["phoneNumber"], p["primary"]) for p in record["phoneNumberData"]] == [
        ("+493012345671", True),
        ("+493012345672", False),
    ]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ({"attributes": {}}, (400, "No 'sourceIdList'.")),
        ({"sourceIdList": []}, (400, "No 'attributes'.")),
        ({"sourceIdList": ["nope"], "attributes": {}}, (404, "Source record not found.")),
    ],
)
def test_what_lacks_for_a_merge_is_told(crm: Asker, data: dict[str, Any], answer: tuple[int, str]) -> None:
    assert refused(crm, "merge", "Account", crm.create("Account", name="A")["id"], **data) == answer


def test_a_merge_that_cannot_be_finished_changes_nothing(crm: Asker) -> None:
    stays, goes, locked = (crm.create("Account", name=name)["id"] for name in ("Stays", "Goes", "Locked"))
    contact = crm.create("Contact", lastName="C", accountId=goes)["id"]
    act(crm, "lock", "Account", locked)
    answer = refused(crm, "merge", "Account", stays, sourceIdList=[goes, locked], attributes={"name": "All"})
    assert answer == (409, "cannotRemoveLockedRecord")
    assert crm.read("Account", goes)["name"] == "Goes"
    assert crm.read("Contact", contact)["accountId"] == goes
