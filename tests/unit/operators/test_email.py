"""E-mails by the operator, on the sandbox: each goes out once over all tries, or an error says that nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from airflow_provider_espo.exceptions import (
    EspoApiError,
    EspoConnectionError,
    EspoForbiddenError,
    EspoInputError,
    EspoServerError,
)
from airflow_provider_espo.operators.email import EspoSendEmailOperator
from tests.unit.crm import Lost, TooLate, refusal
from tests.unit.running import Store, TaskInstance, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm

RETRY = TaskInstance(try_number=2, max_tries=1)
CLEARED = TaskInstance(try_number=2, max_tries=2)


@pytest.fixture
def crm(sandbox_crm: SandboxCrm) -> SandboxCrm:
    # What is looked for by the time of an earlier try is told by the worker's clock.
    sandbox_crm.now = datetime.now(UTC)
    mail_server(sandbox_crm, "accept")
    return sandbox_crm


def mail_server(crm: SandboxCrm, does: Literal["none", "accept", "refuse"]) -> None:
    crm.sandbox.storage.settings = replace(crm.sandbox.storage.settings, mail=does)


def send(**given: Any) -> EspoSendEmailOperator:
    arguments: dict[str, Any] = {
        "to": ["B@x.example", "a@x.example"],
        "subject": "Thank you",
        "body": "<p>We have it.</p>",
        "from_address": "sales@example.com",
        "cc": "c@x.example",
    }
    return EspoSendEmailOperator(task_id="send", **({"retries": 1} | arguments | given))


def mails(crm: SandboxCrm) -> list[Any]:
    return [crm.asker.read("Email", one["id"]) for one in crm.asker.find("Email")["list"]]


def orders(crm: SandboxCrm) -> int:
    """How often EspoCRM was told to send."""
    return sum(one.json == {"status": "Sending"} for one in crm.calls("PUT"))


def test_it_goes_out_with_all_that_was_given(crm: SandboxCrm) -> None:
    account = crm.asker.create("Account", name="A")["id"]
    result = run_task(send(bcc="d@x.example; e@x.example", entity_type="Account", record_id=account))
    (mail,) = mails(crm)
    assert result == {"id": mail["id"], "action": "sent"}
    assert (mail["status"], mail["name"], mail["body"]) == ("Sent", "Thank you", "<p>We have it.</p>")
    assert (mail["to"].lower(), mail["cc"], mail["bcc"]) == (
        "b@x.example;a@x.example",
        "c@x.example",
        "d@x.example;e@x.example",
    )
    assert (mail["parentType"], mail["parentId"], mail["from"]) == ("Account", account, "sales@example.com")
    assert orders(crm) == 1


def test_it_is_a_draft_before_it_is_sent(crm: SandboxCrm) -> None:
    run_task(send())
    (created,) = [one.json for one in crm.calls("POST", "Email")]
    assert created["status"] == "Draft"


def test_everything_may_be_templated(crm: SandboxCrm) -> None:
    params = {"to": "x@x.example", "subject": "Hello"}
    run_task(send(to="{{ params.to }}", subject="{{ params.subject }}", body="{{ 1 + 1 }}"), params=params)
    (mail,) = mails(crm)
    assert (mail["to"], mail["name"], mail["body"]) == ("x@x.example", "Hello", "2")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"to": ""}, "no recipient"),
        ({"to": []}, "no recipient"),
        ({"to": " ; "}, "no recipient"),
        ({"to": "somebody"}, "to holds something"),
        ({"to": "Ada <ada@x.example>"}, "without names"),
        ({"to": "a@x.example, b@x.example"}, "to holds something"),
        ({"to": "@x.example"}, "to holds something"),
        ({"to": "a@x.example\r\nBcc: b@x.example"}, "to holds something"),
        ({"to": 5}, "not an e-mail address or a list"),
        ({"cc": ["a@x.example", None]}, "cc is not"),
        ({"bcc": "nobody"}, "bcc holds"),
        ({"from_address": "nobody"}, "from_address holds"),
        ({"subject": " "}, "no subject"),
        ({"body": None}, "no text"),
        ({"entity_type": "Account"}, "record id"),
        ({"record_id": "6746d1f3a0b1c2d3e"}, "entity type"),
        ({"attachment_ids": ["../x"]}, "id"),
    ],
)
def test_bad_input_stores_and_sends_nothing(crm: SandboxCrm, given: dict[str, Any], says: str) -> None:
    with pytest.raises(EspoInputError, match=says):
        run_task(send(**given))
    assert crm.sent == []


def test_recipients_that_are_wrong_stay_out_of_the_error(crm: SandboxCrm) -> None:
    with pytest.raises(EspoInputError) as caught:
        run_task(send(to="ada.nowak(at)x.example"))
    assert "nowak" not in f"{caught.value}{caught.value!r}"


# --- tried again


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("with_store", [True, False], ids=["store", "no store"])
def test_killed_at_any_request_and_tried_again_it_went_out_once(
    crm: SandboxCrm, with_store: bool, carried_out: bool
) -> None:
    number, ended = 0, False
    if not with_store:
        crm.now = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
    while not ended:
        number += 1
        task, store = send(subject=f"Mail {number}"), Store() if with_store else None
        before = len(mails(crm))
        crm.kill_at(number, carried_out=carried_out)
        try:
            run_task(task, store=store)
            ended = True
        except Killed:
            crm.live()
            run_task(task, store=store, ti=RETRY)
        assert len(mails(crm)) == before + 1
        assert {one["status"] for one in mails(crm)} == {"Sent"}
        assert orders(crm) <= before + 1 + (not carried_out) * number
    assert number >= 3


def test_what_was_sent_is_not_sent_again_though_addresses_come_back_otherwise(crm: SandboxCrm) -> None:
    """Without the draft's id: EspoCRM shows an address as it first met it, and several in its own order."""
    crm.asker.create("Contact", lastName="B", emailAddress="b@X.example")
    store = Store()
    task = send()
    run_task(task, store=store)
    only_begun(store)
    assert run_task(task, store=store, ti=RETRY)["action"] == "sent"
    assert (len(mails(crm)), orders(crm)) == (1, 1)


def only_begun(store: Store) -> None:
    """Let the try have died before it could store the draft's id."""
    (key,) = store
    store[key] = store[key] | {"job_id": None}


@pytest.mark.parametrize(
    "other", [{"cc": "x@x.example"}, {"to": "x@x.example"}, {"body": "Other"}, {"subject": "Other"}]
)
def test_another_mail_to_somebody_is_another_one(crm: SandboxCrm, other: dict[str, Any]) -> None:
    store = Store()
    run_task(send(), store=store)
    only_begun(store)
    run_task(send(**other), store=store, ti=RETRY)
    assert (len(mails(crm)), orders(crm)) == (2, 2)


def test_a_mail_that_was_only_stored_is_not_the_one_that_was_to_be_sent(crm: SandboxCrm) -> None:
    store = Store()
    run_task(send(), store=store)
    only_begun(store)
    (mail,) = mails(crm)
    crm.sandbox.storage.update("Email", mail["id"], {"status": "Archived"})
    run_task(send(), store=store, ti=RETRY)
    assert sorted(one["status"] for one in mails(crm)) == ["Archived", "Sent"]


def test_a_lost_answer_to_the_draft_makes_no_second_one(crm: SandboxCrm) -> None:
    crm.on("POST", "Email", carried_out_and_lost(crm, "POST", "Email"))
    run_task(send())
    assert (len(mails(crm)), orders(crm)) == (1, 1)


@pytest.mark.parametrize("failure", [Lost, TooLate])
def test_a_lost_answer_to_the_order_is_looked_up(crm: SandboxCrm, failure: type[Exception]) -> None:
    def lose(sent: Any) -> None:
        if sent.method == "PUT":
            raise failure

    crm.after = lose
    assert run_task(send())["action"] == "sent"
    assert orders(crm) == 1


def carried_out_and_lost(crm: SandboxCrm, method: str, path: str) -> Callable[[Any], Any]:
    def answer(sent: Any) -> Any:
        crm.asker.ok(method, path, sent.json)
        raise Lost

    return answer


def test_an_order_that_never_arrived_is_given_by_the_retry(crm: SandboxCrm) -> None:
    store, task = Store(), send()

    def lose(sent: Any) -> None:
        if sent.method == "PUT":
            raise Lost

    crm.before = lose
    with pytest.raises(EspoConnectionError, match="remains as a draft, which a retry sends"):
        run_task(task, store=store)
    crm.live()
    run_task(task, store=store, ti=RETRY)
    assert [one["status"] for one in mails(crm)] == ["Sent"]


def test_what_the_mail_server_refused_is_sent_by_the_retry(crm: SandboxCrm) -> None:
    store, task = Store(), send()
    mail_server(crm, "refuse")
    with pytest.raises(EspoServerError, match="The mail server refused it"):
        run_task(task, store=store)
    mail_server(crm, "accept")
    run_task(task, store=store, ti=RETRY)
    assert [one["status"] for one in mails(crm)] == ["Sent"]


def test_without_a_mail_account_it_stays_sending_and_the_retry_does_not_guess(crm: SandboxCrm) -> None:
    store, task = Store(), send()
    mail_server(crm, "none")
    with pytest.raises(EspoServerError, match=r"no mail account that may send.*Its status is Sending"):
        run_task(task, store=store)
    mail_server(crm, "accept")
    for _ in range(2):
        with pytest.raises(EspoApiError, match="not known whether the e-mail was sent: its status is Sending"):
            run_task(task, store=store, ti=RETRY)
    assert orders(crm) == 1
    # What the error tells one to do.
    (mail,) = mails(crm)
    crm.sandbox.storage.update("Email", mail["id"], {"status": "Draft"})
    run_task(task, store=store, ti=RETRY)
    assert [one["status"] for one in mails(crm)] == ["Sent"]


def test_a_refused_try_does_not_take_the_mail_of_another_task_for_its_own(crm: SandboxCrm) -> None:
    store, task = Store(), send()
    crm.on("POST", "Email", refusal(403), carried_out(crm))
    with pytest.raises(EspoForbiddenError):
        run_task(task, store=store)
    run_task(send(), store=Store())
    run_task(task, store=store, ti=RETRY)
    assert (len(mails(crm)), orders(crm)) == (2, 2)


def carried_out(crm: SandboxCrm) -> Callable[[Any], Any]:
    return lambda sent: crm.asker.ok("POST", "Email", sent.json)


def test_a_mail_from_long_before_is_not_taken(crm: SandboxCrm) -> None:
    crm.now -= timedelta(hours=1)
    run_task(send(), store=Store())
    crm.now += timedelta(hours=1)
    crm.kill_at(1, carried_out=False)
    store = Store()
    with pytest.raises(Killed):
        run_task(send(), store=store)
    crm.live()
    run_task(send(), store=store, ti=RETRY)
    assert (len(mails(crm)), orders(crm)) == (2, 2)


def test_a_cleared_task_sends_anew(crm: SandboxCrm) -> None:
    store, task = Store(), send()
    run_task(task, store=store)
    run_task(task, store=store, ti=CLEARED)
    assert (len(mails(crm)), orders(crm)) == (2, 2)
