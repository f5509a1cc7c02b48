"""Lead conversion on the sandbox: whatever breaks wherever, each lead is converted once into one of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.exceptions import (
    EspoAmbiguousMatchError,
    EspoConflictError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoNotFoundError,
    EspoServerError,
    EspoUnknownNameError,
    EspoValidationError,
)
from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.lead_conversion import Conversion
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import Lost, Sent, TooLate, answering, refusal
from tests.unit.running import DAG_RUN_STARTED, Store, TaskInstance, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm

CONVERT = "Lead/action/convert"
RETRY = TaskInstance(try_number=2, max_tries=1)
ALL = {"Account": {}, "Contact": {}, "Opportunity": {"name": "First order", "closeDate": "2031-02-01"}}


@pytest.fixture
def crm(connect: ConnectionSetter) -> Iterator[SandboxCrm]:
    with a_crm(connect) as one:
        yield one


@contextmanager
def a_crm(connect: ConnectionSetter, now: datetime | None = None) -> Iterator[SandboxCrm]:
    crm = SandboxCrm()
    # What is looked for by the time of an earlier try is told by the worker's clock.
    crm.now = now or datetime.now(UTC)
    forget_shared_states()
    connect(password=crm.credentials["api_key"])
    with answering(crm):
        yield crm
    crm.sandbox.close()


def lead(crm: SandboxCrm, **attributes: Any) -> str:
    values: dict[str, Any] = {
        "firstName": "Ada",
        "lastName": "Nowak",
        "accountName": "Nowak & Co",
        "emailAddress": "ada@nowak.example",
        "phoneNumber": "+493012345678",
        "title": "CTO",
        "addressCity": "Berlin",
        "opportunityAmount": 500,
        "opportunityAmountCurrency": "EUR",
        "description": "met at a fair",
    }
    given = values | attributes
    return str(crm.asker.create("Lead", **{name: value for name, value in given.items() if value is not None})["id"])


def convert(lead_id: str, **given: Any) -> EspoConvertLeadOperator:
    return EspoConvertLeadOperator(**({"task_id": "convert", "lead_id": lead_id, "records": ALL, "retries": 1} | given))


def of(crm: SandboxCrm, entity_type: str) -> list[Any]:
    found = crm.asker.find(entity_type, maxSize=200)["list"]
    return [crm.asker.ok("GET", f"{entity_type}/{one['id']}") for one in found]


def counts(crm: SandboxCrm) -> tuple[int, int, int]:
    account, contact, opportunity = (len(of(crm, name)) for name in ("Account", "Contact", "Opportunity"))
    return account, contact, opportunity


def read(crm: SandboxCrm, lead_id: str) -> Any:
    return crm.asker.ok("GET", f"Lead/{lead_id}")


def tries(crm: SandboxCrm, task: EspoConvertLeadOperator, store: Store | None = None) -> Any:
    """Two tries of a task instance, of which the first fails."""
    memory = Store() if store is None else store
    with pytest.raises((EspoError, Killed)):
        run_task(task, store=memory)
    crm.live()
    return run_task(task, store=memory, ti=RETRY)


def assert_converted_once(crm: SandboxCrm, lead_id: str, result: Any) -> None:
    now = read(crm, lead_id)
    assert counts(crm) == (1, 1, 1)
    assert now["status"] == "Converted"
    (account,), (contact,), (opportunity,) = (of(crm, name) for name in ("Account", "Contact", "Opportunity"))
    assert (now["createdAccountId"], now["createdContactId"], now["createdOpportunityId"]) == (
        account["id"],
        contact["id"],
        opportunity["id"],
    )
    assert contact["accountId"] == opportunity["accountId"] == account["id"]
    assert opportunity["contactsIds"] == [contact["id"]]
    assert result == {
        "lead_id": lead_id,
        "account_id": account["id"],
        "contact_id": contact["id"],
        "opportunity_id": opportunity["id"],
        "action": "converted",
        "not_carried_over": [],
    }


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


# --- tried again after a failure


@pytest.mark.parametrize("with_store", [True, False], ids=["store", "no store"])
@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
def test_killed_at_any_request_and_tried_again_there_is_one_of_each(
    connect: ConnectionSetter, carried_out: bool, with_store: bool
) -> None:
    number, ended = 0, False
    while not ended:
        number += 1
        with a_crm(connect, None if with_store else DAG_RUN_STARTED) as crm:
            lead_id, store = lead(crm), Store() if with_store else None
            crm.kill_at(number, carried_out=carried_out)
            try:
                result = run_task(convert(lead_id), store=store)
                ended = True
            except Killed:
                crm.live()
                result = run_task(convert(lead_id), store=store, ti=RETRY)
            assert_converted_once(crm, lead_id, result)
    assert number > 5


@pytest.mark.parametrize("created", [0, 1, 2, 3])
@pytest.mark.parametrize("on_duplicate", ["fail", "use_existing", "force"])
def test_a_server_that_breaks_off_half_way_leaves_nothing_twice(
    crm: SandboxCrm, created: int, on_duplicate: str
) -> None:
    lead_id, store = lead(crm), Store()
    task = convert(lead_id, on_duplicate=on_duplicate)
    with breaking_off(created), pytest.raises(EspoServerError, match="Try again in some minutes"):
        run_task(task, store=store)
    assert sum(counts(crm)) == created
    assert_converted_once(crm, lead_id, run_task(task, store=store, ti=RETRY))


@contextmanager
def breaking_off(created: int) -> Iterator[None]:
    """Let the server fail once it has created so many records."""
    real = Conversion.create

    def create(self: Conversion, entity_type: str, values: Any) -> None:
        if created:
            real(self, entity_type, values)
        if len(self.created) == created:
            raise ApiError(500)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversion, "create", create)
        yield


def test_a_server_that_breaks_off_after_it_noted_the_conversion_has_converted(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    there = hang_on(crm, lead_id)

    def fail(_self: Conversion) -> None:
        raise ApiError(500)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversion, "move_activities", fail)
        result = run_task(convert(lead_id))
    assert_converted_once(crm, lead_id, result)
    assert crm.asker.read("Call", there["Call"])["parentId"] == result["opportunity_id"]


@pytest.mark.parametrize("failure", [Lost, TooLate])
def test_within_one_try_nothing_is_sent_twice(crm: SandboxCrm, failure: type[Exception]) -> None:
    """The server may still be at it, and a second request would create what the first is about to create."""
    crm.on("POST", CONVERT, failure)
    with pytest.raises(EspoError, match="is looked for, and used") as caught:
        run_task(convert(lead(crm)))
    assert caught.value.outcome_unknown
    assert len(crm.calls("POST", CONVERT)) == 1


def test_a_failure_later_than_the_first_step_keeps_what_there_is_and_says_why(crm: SandboxCrm) -> None:
    lead_id, store = lead(crm), Store()
    task = convert(lead_id, records=ALL | {"Opportunity": {"name": "Order", "closeDate": "someday"}})
    with pytest.raises(EspoValidationError, match="closeDate"):
        run_task(task, store=store)
    now = read(crm, lead_id)
    assert counts(crm) == (1, 1, 0)
    assert (now["status"], now["createdAccountId"], now["createdContactId"]) == (
        "New",
        of(crm, "Account")[0]["id"],
        of(crm, "Contact")[0]["id"],
    )
    # Mended and cleared, which is another task instance in all but name.
    assert_converted_once(crm, lead_id, run_task(convert(lead_id), store=Store()))


def test_what_was_deleted_after_a_failed_try_is_made_anew(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    with pytest.raises(EspoValidationError):
        run_task(convert(lead_id, records=ALL | {"Opportunity": {"name": "Order", "closeDate": "someday"}}))
    (account,) = of(crm, "Account")
    crm.asker.ok("DELETE", f"Account/{account['id']}")
    result = run_task(convert(lead_id))
    assert result["account_id"] not in (None, account["id"])
    assert of(crm, "Contact")[0]["accountId"] in (account["id"], None, result["account_id"])
    assert counts(crm) == (1, 1, 1)


def test_a_retry_that_comes_after_a_success_that_nobody_saw_returns_it(crm: SandboxCrm) -> None:
    lead_id, store = lead(crm), Store()

    def die(sent: Sent) -> None:
        if sent.path == CONVERT:
            raise Killed

    crm.after = die
    task = convert(lead_id, on_converted="fail")
    assert_converted_once(crm, lead_id, tries(crm, task, store))


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


# --- leads of the same company

PLAIN = {"emailAddress": None, "phoneNumber": None, "title": None}


def test_leads_of_one_company_do_not_take_each_others_account(crm: SandboxCrm) -> None:
    one, other = lead(crm, **PLAIN), lead(crm, **PLAIN, lastName="Kowalska")
    store = Store()
    with breaking_off(1), pytest.raises(EspoServerError):
        run_task(convert(other, on_duplicate="force"), store=store)
    first = run_task(convert(one, on_duplicate="force"))
    second = run_task(convert(other, on_duplicate="force"), store=store, ti=RETRY)
    assert first["account_id"] != second["account_id"]
    assert counts(crm) == (2, 2, 2)
    assert read(crm, one)["createdAccountId"] == first["account_id"]


def test_a_refused_try_does_not_take_what_another_task_makes_meanwhile(crm: SandboxCrm) -> None:
    lead_id, store = lead(crm, **PLAIN), Store()
    account = crm.asker.create("Account", name="Nowak & Co")["id"]
    for ti in (None, RETRY):
        with pytest.raises(EspoDuplicateError):
            run_task(convert(lead_id), store=store, ti=ti)
    assert counts(crm) == (1, 0, 0)
    assert [one["id"] for one in of(crm, "Account")] == [account]
    assert read(crm, lead_id)["createdAccountId"] is None


def test_where_it_is_not_clear_whose_record_it_is_none_is_taken(crm: SandboxCrm) -> None:
    one, other = lead(crm, **PLAIN), lead(crm, **PLAIN, lastName="Kowalska")
    store = Store()
    for lead_id, memory in ((one, Store()), (other, store)):
        with breaking_off(1), pytest.raises(EspoServerError):
            run_task(convert(lead_id, on_duplicate="force"), store=memory)
    with pytest.raises(EspoAmbiguousMatchError, match="createdAccountId") as caught:
        run_task(convert(other, on_duplicate="force"), store=store, ti=RETRY)
    assert sorted(caught.value.record_ids) == sorted(account["id"] for account in of(crm, "Account"))
    # What the error tells one to do.
    crm.asker.ok("PUT", f"Lead/{one}", {"createdAccountId": caught.value.record_ids[0]})
    result = run_task(convert(other, on_duplicate="force"), store=store, ti=RETRY)
    assert result["account_id"] == caught.value.record_ids[1]
    assert len(of(crm, "Account")) == 2


# --- what hangs on the lead

WHEN = {"dateStart": "2031-01-01 10:00:00", "dateEnd": "2031-01-01 11:00:00"}


def user_id(crm: SandboxCrm) -> str:
    found = crm.asker.find("User", where=[{"type": "equals", "attribute": "userName", "value": "sales"}])
    return str(found["list"][0]["id"])


def hang_on(crm: SandboxCrm, lead_id: str) -> dict[str, str]:
    """Give a lead activities and a document."""
    user = user_id(crm)
    common = {**WHEN, "assignedUserId": user, "parentType": "Lead", "parentId": lead_id}
    mail = {"from": "a@x.example", "to": "b@x.example", "status": "Archived", "dateSent": WHEN["dateStart"]}
    content = {"name": "a.txt", "type": "text/plain", "file": "data:text/plain;base64,aGk="}
    file = crm.asker.create("Attachment", role="Attachment", relatedType="Document", field="file", **content)["id"]
    document = crm.asker.create("Document", name="D", publishDate="2030-01-01", fileId=file)["id"]
    crm.asker.ok("POST", f"Lead/{lead_id}/documents", {"id": document})
    return {
        "Meeting": crm.asker.create("Meeting", name="M", leadsIds=[lead_id], **common)["id"],
        "Call": crm.asker.create("Call", name="C", leadsIds=[lead_id], **common)["id"],
        "Email": crm.asker.create("Email", name="E", parentType="Lead", parentId=lead_id, **mail)["id"],
        "Document": document,
    }


def carried(crm: SandboxCrm, there: dict[str, str]) -> Any:
    """Where what hung on a lead hangs now."""
    rows: dict[str, Any] = {}
    for name in ("Meeting", "Call", "Email"):
        record = crm.asker.read(name, there[name])
        rows[name] = (record["parentType"], len(record.get("contactsIds", ())) if name != "Email" else None)
    for name in ("accounts", "contacts", "opportunities"):
        rows[name] = len(crm.asker.ok("GET", f"Document/{there['Document']}/{name}")["list"])
    return rows


@pytest.mark.parametrize("types", [("Account", "Contact", "Opportunity"), ("Account", "Contact"), ("Contact",)])
def test_a_retry_carries_over_what_the_server_would_have(crm: SandboxCrm, types: tuple[str, ...]) -> None:
    records = {name: ALL[name] for name in types}
    at_once = lead(crm, lastName="Once", accountName="Once & Co", emailAddress="once@once.example")
    there = hang_on(crm, at_once)
    run_task(convert(at_once, records=records))
    expected = carried(crm, there)

    lead_id, store = lead(crm), Store()
    there = hang_on(crm, lead_id)
    with breaking_off(len(types)), pytest.raises(EspoServerError):
        run_task(convert(lead_id, records=records), store=store)
    result = run_task(convert(lead_id, records=records), store=store, ti=RETRY)
    assert carried(crm, there) == expected
    assert result["not_carried_over"] == []


def test_what_the_user_may_not_change_is_named_and_stops_nothing(crm: SandboxCrm) -> None:
    lead_id = lead(crm)
    there = hang_on(crm, lead_id)
    with pytest.raises(EspoValidationError):
        run_task(convert(lead_id, records=ALL | {"Opportunity": {"name": "Order", "closeDate": "someday"}}))
    crm.on("POST", f"Meeting/{there['Meeting']}/contacts", refusal(403))
    crm.on("GET", f"Lead/{lead_id}/documents", refusal(403))
    result = run_task(convert(lead_id))
    assert result["not_carried_over"] == [f"Meeting/{there['Meeting']}", f"Lead/{lead_id}/documents"]
    assert len(crm.asker.read("Call", there["Call"])["contactsIds"]) == 1


def test_an_error_while_carrying_over_is_made_good_by_the_retry(crm: SandboxCrm) -> None:
    lead_id, store = lead(crm), Store()
    there = hang_on(crm, lead_id)
    records = ALL | {"Opportunity": {"name": "Order", "closeDate": "someday"}}
    with pytest.raises(EspoValidationError):
        run_task(convert(lead_id, records=records))
    path = f"Meeting/{there['Meeting']}/contacts"
    crm.on("POST", path, refusal(400), lambda sent: crm.asker.ok("POST", path, sent.json))
    with pytest.raises(EspoError):
        run_task(convert(lead_id, on_converted="fail"), store=store)
    assert run_task(convert(lead_id, on_converted="fail"), store=store, ti=RETRY)["action"] == "converted"
    assert len(crm.asker.read("Meeting", there["Meeting"])["contactsIds"]) == 1


def test_a_retry_links_nobody_who_takes_part_already(crm: SandboxCrm) -> None:
    lead_id, store = lead(crm), Store()
    there = hang_on(crm, lead_id)
    run_task(convert(lead_id), store=store)
    # The worker died before it could say so.
    assert run_task(convert(lead_id), store=store, ti=RETRY)["action"] == "converted"
    assert crm.calls("POST", f"Meeting/{there['Meeting']}/contacts") == []
    assert len(crm.asker.read("Meeting", there["Meeting"])["contactsIds"]) == 1


# --- many


def test_mapped_over_many_leads_with_failures_each_is_converted_once(connect: ConnectionSetter) -> None:
    with a_crm(connect) as crm:
        ids = [
            lead(crm, lastName=f"L{n}", accountName=f"Company {n // 2}", emailAddress=f"l{n}@x.example")
            for n in range(20)
        ]
        for number, lead_id in enumerate(ids):
            store = Store()
            crm.kill_at(3 + number % 7, carried_out=bool(number % 2))
            task = convert(lead_id, on_duplicate="force")
            try:
                run_task(task, store=store)
            except Killed:
                crm.live()
                run_task(task, store=store, ti=RETRY)
            crm.live()
        leads = [read(crm, lead_id) for lead_id in ids]
        assert {one["status"] for one in leads} == {"Converted"}
        assert counts(crm) == (20, 20, 20)
        for name in ("Account", "Contact", "Opportunity"):
            assert len({one[f"created{name}Id"] for one in leads}) == 20
