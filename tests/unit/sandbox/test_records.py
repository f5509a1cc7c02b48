"""Rules of saving that the recordings do not show, or not alone."""

from __future__ import annotations

import threading

import pytest

from tests.unit.sandbox.asking import Asker, reason


def test_second_delete_is_404_and_admin_still_reads_it(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L")["id"]
    assert crm.ok("DELETE", f"Lead/{lead}") is True
    assert reason(crm.send("DELETE", f"Lead/{lead}")) == (404, f"Record {lead} not found.")
    assert crm.as_user("admin").read("Lead", lead)["deleted"] is True


def test_admin_brings_a_deleted_record_back(crm: Asker) -> None:
    admin = crm.as_user("admin")
    lead = crm.create("Lead", lastName="L")["id"]
    assert admin.send("POST", "Lead/action/restoreDeleted", {"id": lead}).status == 409
    crm.ok("DELETE", f"Lead/{lead}")
    assert admin.ok("POST", "Lead/action/restoreDeleted", {"id": lead}) is True
    assert crm.read("Lead", lead)["lastName"] == "L"


def test_address_that_two_records_share_has_one_opt_out(crm: Asker) -> None:
    one = crm.create("Lead", lastName="A", emailAddress="both@example.org")["id"]
    two = crm.create("Contact", lastName="B", emailAddress="BOTH@example.org")["id"]
    crm.ok("PUT", f"Lead/{one}", {"emailAddressIsOptedOut": True})
    assert crm.read("Contact", two)["emailAddressIsOptedOut"] is True


def test_new_primary_address_takes_the_place_of_the_old_one(crm: Asker) -> None:
    data = [{"emailAddress": "a@example.org", "primary": True}, {"emailAddress": "b@example.org"}]
    lead = crm.create("Lead", lastName="A", emailAddressData=data)["id"]
    crm.ok("PUT", f"Lead/{lead}", {"emailAddress": "c@example.org"})
    found = crm.read("Lead", lead)["emailAddressData"]
    assert [(item["emailAddress"], item["primary"]) for item in found] == [
        ("c@example.org", True),
        ("b@example.org", False),
    ]
    crm.ok("PUT", f"Lead/{lead}", {"emailAddress": "b@example.org"})
    assert [item["emailAddress"] for item in crm.read("Lead", lead)["emailAddressData"]] == ["b@example.org"]
    crm.ok("PUT", f"Lead/{lead}", {"emailAddress": None})
    assert crm.read("Lead", lead)["emailAddress"] is None


def test_case_numbers_follow_one_another(crm: Asker) -> None:
    numbers = [crm.read("Case", crm.create("Case", name=f"C{i}")["id"])["number"] for i in range(3)]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


def test_stage_gives_probability_unless_it_is_given(crm: Asker) -> None:
    values = {"name": "O", "amount": 1, "closeDate": "2031-01-01"}
    opportunity = crm.create("Opportunity", **values, stage="Negotiation", probability=5)
    assert opportunity["probability"] == 5
    path = f"Opportunity/{opportunity['id']}"
    assert crm.ok("PUT", path, {"stage": "Proposal"})["probability"] == 50
    lost = crm.ok("PUT", path, {"stage": "Closed Lost"})
    assert (lost["probability"], lost["lastStage"]) == (0, "Proposal")


def test_task_remembers_when_it_was_completed(crm: Asker) -> None:
    user = crm.credentials["variables"]["sales_user_id"]
    task = crm.create("Task", name="T", assignedUserId=user, status="Completed")
    assert task["dateCompleted"] is not None
    assert crm.ok("PUT", f"Task/{task['id']}", {"status": "Started"})["dateCompleted"] is None


def test_title_of_a_contact_is_the_role_at_its_account(crm: Asker) -> None:
    account = crm.create("Account", name="A")["id"]
    contact = crm.create("Contact", lastName="C", accountId=account, title="CEO")["id"]
    crm.ok("PUT", f"Contact/{contact}", {"title": "CTO"})
    record = crm.read("Contact", contact)
    assert record["title"] == "CTO"
    assert record["accountsColumns"] == {account: {"role": "CTO", "isInactive": False}}


def test_contact_moves_to_another_account(crm: Asker) -> None:
    first, second = (crm.create("Account", name=name)["id"] for name in "AB")
    contact = crm.create("Contact", lastName="C", accountId=first)["id"]
    crm.ok("PUT", f"Contact/{contact}", {"accountId": second})
    record = crm.read("Contact", contact)
    assert record["accountId"] == second
    assert set(record["accountsIds"]) == {first, second}


def test_unlinked_account_is_not_the_contacts_account_any_more(crm: Asker) -> None:
    account = crm.create("Account", name="A")["id"]
    contact = crm.create("Contact", lastName="C")["id"]
    crm.ok("POST", f"Account/{account}/contacts", {"id": contact})
    assert crm.read("Contact", contact)["accountId"] == account
    crm.ok("DELETE", f"Account/{account}/contacts", {"id": contact})
    assert crm.read("Contact", contact)["accountId"] is None


def test_first_contact_of_an_opportunity_is_its_primary(crm: Asker) -> None:
    contacts = [crm.create("Contact", lastName=name)["id"] for name in "AB"]
    values = {"name": "O", "amount": 1, "closeDate": "2031-01-01"}
    made = crm.create(
        "Opportunity", **values, contactsIds=contacts, contactsColumns={contacts[1]: {"role": "Evaluator"}}
    )
    record = crm.read("Opportunity", made["id"])
    assert record["contactId"] == contacts[0]
    assert record["contactsColumns"][contacts[1]] == {"role": "Evaluator"}
    crm.ok("PUT", f"Opportunity/{made['id']}", {"contactsIds": [contacts[1]]})
    assert crm.read("Opportunity", made["id"])["contactId"] == contacts[1]


def test_new_lead_can_name_its_target_list(crm: Asker) -> None:
    target_list = crm.create("TargetList", name="T")["id"]
    lead = crm.create("Lead", lastName="L", targetListId=target_list)["id"]
    assert [item["id"] for item in crm.ok("GET", f"TargetList/{target_list}/leads")["list"]] == [lead]


def test_opportunity_of_one_account_cannot_be_linked_to_another(crm: Asker) -> None:
    first, second = (crm.create("Account", name=name)["id"] for name in "AB")
    values = {"name": "O", "amount": 1, "closeDate": "2031-01-01", "accountId": first}
    opportunity = crm.create("Opportunity", **values)["id"]
    assert crm.send("POST", f"Account/{second}/opportunities", {"id": opportunity}).status == 403
    assert crm.ok("POST", f"Account/{first}/opportunities", {"id": opportunity}) is True


def test_link_that_is_read_only_cannot_be_changed(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L")["id"]
    user = crm.credentials["variables"]["sales_user_id"]
    times = {"dateStart": "2031-01-01 10:00:00", "dateEnd": "2031-01-01 11:00:00"}
    meeting = crm.create("Meeting", name="M", assignedUserId=user, **times)["id"]
    assert crm.send("POST", f"Lead/{lead}/meetingsChildren", {"id": meeting}).status == 403


def test_deleted_record_is_in_no_list_of_related_records(crm: Asker) -> None:
    account = crm.create("Account", name="A")["id"]
    contact = crm.create("Contact", lastName="C", accountId=account)["id"]
    crm.ok("DELETE", f"Contact/{contact}")
    assert crm.ok("GET", f"Account/{account}/contacts") == {"total": 0, "list": []}
    assert crm.send("POST", f"Account/{account}/contacts", {"id": contact}).status == 404


def test_mass_relate_takes_only_records_that_one_may_read(crm: Asker) -> None:
    mine = crm.create("Lead", lastName="Mine", assignedUserId=crm.credentials["variables"]["limited_user_id"])["id"]
    crm.create("Lead", lastName="Other")
    target_list = crm.create("TargetList", name="T")["id"]
    role_id = crm.credentials["variables"]["role_limited_id"]
    data = {"Lead": {"read": "own"}, "TargetList": {"read": "all", "edit": "all"}}
    crm.as_user("admin").ok("PUT", f"Role/{role_id}", {"data": data})
    limited = crm.as_user("limited")
    assert limited.ok("POST", f"TargetList/{target_list}/leads", {"massRelate": True, "where": []}) is True
    assert [item["id"] for item in crm.ok("GET", f"TargetList/{target_list}/leads")["list"]] == [mine]


def test_version_conflict_names_the_whole_field(crm: Asker) -> None:
    values = {"name": "O", "amount": 100, "closeDate": "2031-01-01"}
    opportunity = crm.create("Opportunity", **values)["id"]
    stale = {"X-Version-Number": "7"}
    reply = crm.send("PUT", f"Opportunity/{opportunity}", {"amount": 200}, headers=stale)
    assert reason(reply) == (409, "modified")
    assert b'"values":{"amount":100,"amountCurrency":"USD"}' in reply.content
    assert crm.send("PUT", f"Opportunity/{opportunity}", {"amount": 100.0}, headers=stale).status == 200


def test_long_text_is_cut_in_lists_only(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L", description="x" * 20_000)["id"]
    assert len(crm.find("Lead", select=["description"])["list"][0]["description"]) == 10_000
    assert len(crm.read("Lead", lead)["description"]) == 20_000
    short = crm.find("Lead", select=["description"], maxTextAttributeLength=10)
    assert short["list"][0]["description"] == "x" * 10


def test_parallel_updates_count_every_version(crm: Asker) -> None:
    account = crm.create("Account", name="A")["id"]

    def update() -> None:
        for _ in range(10):
            crm.ok("PUT", f"Account/{account}", {})

    threads = [threading.Thread(target=update) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crm.read("Account", account)["versionNumber"] == 41


@pytest.mark.parametrize("body", [{"lastName": "\ud800"}, {"lastName": "a\u0000b"}])
def test_odd_text_is_answered_and_never_breaks_the_server(crm: Asker, body: dict[str, str]) -> None:
    assert crm.send("POST", "Lead", body).status in (200, 500)
    assert crm.send("GET", "Lead").status == 200


def test_target_list_counts_its_entries(crm: Asker) -> None:
    target_list = crm.create("TargetList", name="T")["id"]
    leads = [crm.create("Lead", lastName=name)["id"] for name in "AB"]
    contact = crm.create("Contact", lastName="C")["id"]
    crm.ok("POST", f"TargetList/{target_list}/leads", {"ids": leads})
    crm.ok("POST", f"TargetList/{target_list}/contacts", {"id": contact})
    crm.ok("POST", "TargetList/action/optOut", {"id": target_list, "targetType": "Lead", "targetId": leads[0]})
    record = crm.read("TargetList", target_list)
    assert (record["entryCount"], record["optedOutCount"]) == (3, 1)
