"""Lead conversion on the sandbox: one try."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_espo.exceptions import (
    EspoConflictError,
    EspoDuplicateError,
    EspoForbiddenError,
    EspoInputError,
    EspoNotFoundError,
    EspoUnknownNameError,
)
from tests.unit.conftest import ConnectionSetter
from tests.unit.leads import CONVERT, a_crm, assert_converted_once, convert, counts, lead, of, read
from tests.unit.running import Store, TaskInstance, run_task
from tests.unit.sandbox_crm import SandboxCrm


@pytest.fixture
def crm(connect: ConnectionSetter) -> Iterator[SandboxCrm]:
    with a_crm(connect) as one:
        yield one


# --- one try


def test_a_lead_becomes_what_the_server_suggests_and_what_is_given_on_top(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    assert_converted_once(crm, lead_id, run_task(convert(lead_id)))
    (account,), (contact,), (opportunity,) = (of(crm, name) for name in ("Account", "Contact", "Opportunity"))
    assert (account["name"], account["billingAddressCity"]) == ("Nowak & Co", "Berlin")
    assert (contact["firstName"], contact["emailAddress"]) == ("Ada", "ada@nowak.example")
    assert (opportunity["name"], opportunity["amount"], opportunity["amountCurrency"]) == ("First order", 500, "EUR")
    assert len(crm.calls("POST", CONVERT)) == 1


@pytest.mark.parametrize(("company", "made"), [("Nowak & Co", (1, 1, 0)), (None, (0, 1, 0))])
def test_by_default_it_is_a_contact_and_an_account_if_there_is_a_company(
    crm: SandboxCrm, company: str | None, made: tuple[int, int, int]
) -> None:
    result = run_task(convert(lead(crm, accountName=company), records=None))
    assert counts(crm) == made
    assert (result["account_id"] is not None) == bool(company)


def test_no_records_only_close_the_lead(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    run_task(convert(lead_id, records={}))
    assert counts(crm) == (0, 0, 0)
    assert read(crm, lead_id)["status"] == "Converted"
    assert crm.calls("POST", "Lead/action/getConvertAttributes") == []


def test_without_the_suggestion_only_what_is_given_is_set(crm: SandboxCrm) -> None:
    run_task(convert(lead(crm), records={"Contact": {"lastName": "Kovalenko"}}, use_suggestion=False))
    (contact,) = of(crm, "Contact")
    assert (contact["lastName"], contact["firstName"], contact["emailAddress"]) == ("Kovalenko", None, None)
    assert crm.calls("POST", "Lead/action/getConvertAttributes") == []


def test_an_address_that_is_given_takes_the_place_of_all_of_the_leads(crm: SandboxCrm) -> None:
    both = [{"emailAddress": "a@x.example", "primary": True}, {"emailAddress": "b@x.example", "primary": False}]
    given = {"Account": {"emailAddress": "office@nowak.example"}, "Contact": {"emailAddressData": both}}
    run_task(convert(lead(crm, emailAddressIsOptedOut=True), records=given))
    (account,), (contact,) = of(crm, "Account"), of(crm, "Contact")
    assert [one["emailAddress"] for one in account["emailAddressData"]] == ["office@nowak.example"]
    assert not account["emailAddressIsOptedOut"]
    assert sorted(one["emailAddress"] for one in contact["emailAddressData"]) == ["a@x.example", "b@x.example"]
    assert contact["phoneNumber"] == "+493012345678"


def test_everything_may_be_templated(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    task = convert(
        "{{ params.id }}",
        records={"Opportunity": {"name": "{{ params.name }}", "closeDate": "2031-02-01"}},
        on_duplicate="{{ 'force' }}",
        on_converted="{{ 'skip' }}",
    )
    assert run_task(task, params={"id": lead_id, "name": "Order"})["lead_id"] == lead_id
    assert [one["name"] for one in of(crm, "Opportunity")] == ["Order"]


# --- converted already


def test_a_converted_lead_is_skipped_with_what_was_created(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    first = run_task(convert(lead_id))
    again = run_task(convert(lead_id))
    assert again == first | {"action": "skipped"}
    assert counts(crm) == (1, 1, 1)


def test_a_converted_lead_fails_if_told_so(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    run_task(convert(lead_id))
    with pytest.raises(EspoConflictError, match="converted already"):
        run_task(convert(lead_id, on_converted="fail"))
    assert len(crm.calls("POST", CONVERT)) == 1


def test_a_cleared_task_skips_what_it_converted_before(crm: SandboxCrm) -> None:
    lead_id, store = lead(crm), Store()
    run_task(convert(lead_id), store=store)
    cleared = TaskInstance(try_number=2, max_tries=2)
    assert run_task(convert(lead_id), store=store, ti=cleared)["action"] == "skipped"


# --- refused before anything is written


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"records": {"Opportunity": {"name": "Order"}}}, EspoInputError, "Opportunity needs closeDate"),
        ({"records": {"Opportunity": {}}}, EspoInputError, "name, closeDate"),
        ({"records": {"Contact": {}}, "use_suggestion": False}, EspoInputError, "Contact needs lastName"),
        ({"records": {"Contact": {"lastName": ""}}}, EspoInputError, "Contact needs lastName"),
        ({"records": {"Task": {}}}, EspoInputError, "not converted into Task"),
        ({"records": {"Contact": {"nope": 1}}}, EspoUnknownNameError, "nope"),
        ({"records": {"Contact": "{}"}}, EspoInputError, "no dict"),
        ({"records": ["Contact"]}, EspoInputError, "not a dict"),
        ({"on_duplicate": "merge"}, EspoInputError, "on_duplicate"),
        ({"on_converted": "again"}, EspoInputError, "on_converted"),
        ({"match_by": {"Contact": []}}, EspoInputError, "match_by"),
        ({"lead_id": ""}, EspoInputError, "record id"),
        ({"lead_id": "../User/1"}, EspoInputError, "record id"),
        ({"lead_id": "6746d1f3a0b1c2d3e"}, EspoNotFoundError, "Lead"),
    ],
)
def test_bad_input_changes_nothing(crm: SandboxCrm, given: dict[str, Any], error: type[Exception], says: str) -> None:
    lead_id = lead(crm)
    with pytest.raises(error, match=says):
        run_task(convert(**({"lead_id": lead_id} | given)))
    assert crm.calls("POST", CONVERT) == []
    assert crm.calls("PUT") == []
    assert counts(crm) == (0, 0, 0)


@pytest.mark.parametrize("use_suggestion", [True, False])
def test_without_the_right_to_create_one_of_them_none_is_created(crm: SandboxCrm, use_suggestion: bool) -> None:
    lead_id = lead(crm)
    without_right(crm, "Opportunity")
    records = {
        "Account": {"name": "A"},
        "Contact": {"lastName": "B"},
        "Opportunity": {"name": "C", "amount": 1, "amountCurrency": "USD", "closeDate": "2031-02-01"},
    }
    with pytest.raises(EspoForbiddenError, match="may not create Opportunity"):
        run_task(convert(lead_id, records=records, use_suggestion=use_suggestion))
    assert counts(crm) == (0, 0, 0)
    assert crm.calls("POST", CONVERT) == []


def without_right(crm: SandboxCrm, entity_type: str) -> None:
    admin = crm.asker.as_user("admin")
    (role,) = [one for one in admin.ok("GET", "Role")["list"] if one["name"] == "Airflow full"]
    data = admin.read("Role", role["id"])["data"]
    data[entity_type]["create"] = "no"
    admin.ok("PUT", f"Role/{role['id']}", {"data": data})


# --- duplicates


def test_duplicates_fail_and_nothing_is_created(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    crm.asker.create("Account", name="Nowak & Co")
    with pytest.raises(EspoDuplicateError) as caught:
        run_task(convert(lead_id))
    assert [one["_entityType"] for one in caught.value.records] == ["Account"]
    assert counts(crm) == (1, 0, 0)
    assert read(crm, lead_id)["createdAccountId"] is None


def test_a_duplicate_of_a_later_type_keeps_what_was_created_and_says_so(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    crm.asker.create("Contact", lastName="Other", emailAddress="ada@nowak.example")
    with pytest.raises(EspoDuplicateError, match="Account had been created"):
        run_task(convert(lead_id))
    assert read(crm, lead_id)["createdAccountId"] == of(crm, "Account")[0]["id"]
    result = run_task(convert(lead_id, on_duplicate="force"))
    assert counts(crm) == (1, 2, 1)
    assert result["account_id"] == of(crm, "Account")[0]["id"]


def test_the_existing_account_and_contact_are_used(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    account = crm.asker.create("Account", name="nowak & co")["id"]
    contact = crm.asker.create("Contact", lastName="Nowak-Smith", emailAddress="ADA@nowak.example")["id"]
    result = run_task(convert(lead_id, on_duplicate="use_existing"))
    assert (result["account_id"], result["contact_id"]) == (account, contact)
    assert counts(crm) == (1, 1, 1)
    (opportunity,) = of(crm, "Opportunity")
    assert (opportunity["accountId"], opportunity["contactsIds"]) == (account, [contact])
    assert read(crm, lead_id)["createdContactId"] == contact


def test_a_namesake_is_not_used(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    crm.asker.create("Contact", firstName="Ada", lastName="Nowak", emailAddress="another@ada.example")
    with pytest.raises(EspoDuplicateError, match="Contact: none of them agrees on emailAddress"):
        run_task(convert(lead_id, records={"Contact": {}}, on_duplicate="use_existing"))
    assert counts(crm) == (0, 1, 0)
    run_task(convert(lead_id, records={"Contact": {}}, on_duplicate="force"))
    assert counts(crm) == (0, 2, 0)


def test_match_by_says_who_is_the_same(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    ada = crm.asker.create("Contact", firstName="Ada", lastName="Nowak", phoneNumber="+493012345678")["id"]
    crm.asker.create("Contact", firstName="Ada", lastName="Nowak", phoneNumber="+493099999999")
    task = convert(lead_id, records={"Contact": {}}, on_duplicate="use_existing", match_by={"Contact": ["phoneNumber"]})
    assert run_task(task)["contact_id"] == ada
    assert counts(crm) == (0, 2, 0)


def test_two_that_agree_are_a_choice_that_is_not_ours(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    for _ in range(2):
        crm.asker.create("Account", name="Nowak & Co")
    with pytest.raises(EspoDuplicateError, match="Account: more than one of them agrees on name"):
        run_task(convert(lead_id, on_duplicate="use_existing"))
    assert counts(crm) == (2, 0, 0)
