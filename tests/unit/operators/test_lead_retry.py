"""Lead conversion on the sandbox: whatever breaks wherever, each lead is converted once into one of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_espo.exceptions import (
    EspoAmbiguousMatchError,
    EspoDuplicateError,
    EspoError,
    EspoServerError,
    EspoValidationError,
)
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.lead_conversion import Conversion
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import Lost, Sent, TooLate, refusal
from tests.unit.leads import (
    ALL,
    CONVERT,
    RETRY,
    a_crm,
    assert_converted_once,
    breaking_off,
    carried,
    convert,
    counts,
    hang_on,
    lead,
    of,
    read,
    tries,
)
from tests.unit.running import DAG_RUN_STARTED, Store, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm


@pytest.fixture
def crm(connect: ConnectionSetter) -> Iterator[SandboxCrm]:
    with a_crm(connect) as one:
        yield one


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


def test_what_is_the_same_for_all_leads_goes_by_the_account_and_the_contact(crm: SandboxCrm) -> None:
    """Opportunities of mapped tasks have all values alike, and several may be under way."""
    one, other = lead(crm), lead(crm, lastName="Kowalska", accountName="K & Co", emailAddress="k@k.example")
    stores = Store(), Store()
    for lead_id, store in ((one, stores[0]), (other, stores[1])):
        with breaking_off(3), pytest.raises(EspoServerError):
            run_task(convert(lead_id, on_duplicate="force"), store=store)
    assert counts(crm) == (2, 2, 2)
    made = {record["accountId"]: record["id"] for record in of(crm, "Opportunity")}
    for lead_id, store in ((other, stores[1]), (one, stores[0])):
        result = run_task(convert(lead_id, on_duplicate="force"), store=store, ti=RETRY)
        assert result["opportunity_id"] == made[result["account_id"]]
    assert counts(crm) == (2, 2, 2)


def test_a_try_that_created_nothing_takes_nothing_of_another_lead(crm: SandboxCrm) -> None:
    one, other = lead(crm), lead(crm, lastName="Kowalska", accountName="K & Co", emailAddress="k@k.example")
    store = Store()
    with breaking_off(0), pytest.raises(EspoServerError):
        run_task(convert(other, on_duplicate="force"), store=store)
    with breaking_off(3), pytest.raises(EspoServerError):
        run_task(convert(one, on_duplicate="force"), store=Store())
    result = run_task(convert(other, on_duplicate="force"), store=store, ti=RETRY)
    assert counts(crm) == (2, 2, 2)
    assert crm.asker.read("Opportunity", result["opportunity_id"])["accountId"] == result["account_id"]


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
