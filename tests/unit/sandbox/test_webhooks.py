"""Webhooks: which changes are told, to whom, when, and what becomes of deliveries that fail."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.settings import Settings
from tests.unit.sandbox.asking import Asker, reason
from tests.unit.sandbox.clock import Clock
from tests.unit.sandbox.test_acl import give_role
from tests.unit.sandbox.test_imports import order
from tests.webhook_receiver import Receiver, receiving

RETRIED = (401, 403, 404, 405, 408, 500, 503)
FINAL = (400, 402, 409, 429, 501, 502, 504)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


Maker = Callable[..., Asker]


@pytest.fixture
def make(clock: Clock) -> Iterator[Maker]:
    """Makes a sandbox with settings of its own, asked by the API user with all rights."""
    sandboxes = []

    def made(**settings: Any) -> Asker:
        settings = {"webhooks_internal": True, **settings}
        sandbox = Sandbox(settings=Settings(**settings), clock=clock, webhook_delay=0)
        sandboxes.append(sandbox)
        credentials = ensure_fixture(sandbox.storage)
        return Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})

    yield made
    for sandbox in sandboxes:
        sandbox.close()


@pytest.fixture
def crm(make: Maker) -> Asker:
    return make()


def register(crm: Asker, event: str, url: str, **values: Any) -> dict[str, Any]:
    reply = crm.send("POST", "Webhook", {"event": event, "url": url, **values})
    assert reply.status == 201, reason(reply)
    webhook: dict[str, Any] = json.loads(reply.content)
    return webhook


def deliver(crm: Asker) -> int:
    """One run; how many requests it made."""
    return crm.sandbox.webhooks.run()


# --- what is told ---


def test_changes_of_one_webhook_come_in_one_request_in_their_order(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.create", receiver.url)
    ids = [crm.create("Lead", lastName=name)["id"] for name in "ABC"]
    assert deliver(crm) == 1
    assert [[change["id"] for change in changes] for changes in receiver.changes()] == [ids]
    assert deliver(crm) == 0


def test_a_request_has_no_more_changes_than_a_batch(make: Maker, receiver: Receiver) -> None:
    crm = make(webhook_batch_size=2)
    register(crm, "Lead.create", receiver.url)
    for name in "ABC":
        crm.create("Lead", lastName=name)
    assert [deliver(crm), deliver(crm), deliver(crm)] == [1, 1, 0]
    assert [len(changes) for changes in receiver.changes()] == [2, 1]


def test_a_run_takes_only_so_many_events_and_webhooks(make: Maker, receiver: Receiver) -> None:
    crm = make(webhook_run_size=2)
    for path in ("a", "b", "c"):
        register(crm, "Lead.create", f"{receiver.url}/{path}")
    for name in "ABC":
        crm.create("Lead", lastName=name)
    assert deliver(crm) == 2
    assert [(request.path, len(request.changes)) for request in receiver.received] == [("/a", 2), ("/b", 2)]
    deliver(crm)
    deliver(crm)
    told = [(request.path, change["lastName"]) for request in receiver.received for change in request.changes]
    assert sorted(told) == [(f"/{path}", name) for path in "abc" for name in "ABC"]


def test_each_webhook_gets_a_request_of_its_own(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.create", f"{receiver.url}/one")
    register(crm, "Lead.create", f"{receiver.url}/two?x=1")
    register(crm, "Contact.create", f"{receiver.url}/three")
    crm.create("Lead", lastName="A")
    deliver(crm)
    assert [request.path for request in receiver.received] == ["/one", "/two?x=1"]
    assert receiver.received[0].headers["Signature"] != receiver.received[1].headers["Signature"]


def test_an_update_that_changes_nothing_is_not_told_again(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.update", receiver.url)
    lead_id = crm.create("Lead", lastName="A")["id"]
    crm.ok("PUT", f"Lead/{lead_id}", {"lastName": "B"})
    crm.ok("PUT", f"Lead/{lead_id}", {"lastName": "B"})
    deliver(crm)
    assert [[change.get("lastName") for change in changes] for changes in receiver.changes()] == [["B"]]


@pytest.mark.parametrize(
    ("field", "values", "told"),
    [
        ("opportunityAmount", {"opportunityAmountCurrency": "EUR"}, {"opportunityAmountConverted": 112}),
        ("emailAddress", {"emailAddress": "b@example.com"}, {"emailAddress": "b@example.com"}),
        ("address", {"addressCity": "Wien"}, {"addressCity": "Wien", "addressStreet": None}),
        ("name", {"firstName": "Ann"}, {"firstName": "Ann", "lastName": "A", "name": "Ann A"}),
        ("assignedUser", {"assignedUserId": "SALES"}, {"assignedUserName": "Sally Sales"}),
    ],
)
def test_a_change_of_a_part_is_a_change_of_its_field(
    crm: Asker, receiver: Receiver, field: str, values: dict[str, Any], told: dict[str, Any]
) -> None:
    values = {n: crm.credentials["variables"]["sales_user_id"] if v == "SALES" else v for n, v in values.items()}
    register(crm, f"Lead.fieldUpdate.{field}", receiver.url)
    lead = crm.create("Lead", lastName="A", opportunityAmount=100, emailAddress="a@example.com")
    crm.ok("PUT", f"Lead/{lead['id']}", {"description": "of another field"})
    crm.ok("PUT", f"Lead/{lead['id']}", values)
    deliver(crm)
    [[change]] = receiver.changes()
    assert change["id"] == lead["id"]
    assert change.items() >= {**values, **told}.items()
    assert "description" not in change


def test_a_mass_update_is_told(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.fieldUpdate.status", receiver.url)
    ids = [crm.create("Lead", lastName=name)["id"] for name in "AB"]
    order = {"entityType": "Lead", "action": "update", "params": {"ids": ids}, "data": {"status": "Dead"}}
    crm.ok("POST", "MassAction", order)
    deliver(crm)
    assert receiver.changes() == [[{"id": lead_id, "status": "Dead"} for lead_id in ids]]


@pytest.mark.parametrize(("silent", "told"), [(True, []), (False, ["A", "B"])])
def test_an_import_is_told_unless_it_is_silent(crm: Asker, receiver: Receiver, silent: bool, told: list[str]) -> None:
    register(crm, "Lead.create", receiver.url)
    order_of = order(crm, "A\nB\n", ["lastName"], silentMode=silent)
    assert crm.ok("POST", "Import", order_of)["countCreated"] == 2
    deliver(crm)
    assert [change["lastName"] for changes in receiver.changes() for change in changes] == told


def test_what_is_refused_or_taken_back_is_not_told(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.create", receiver.url)
    assert crm.send("POST", "Lead", {"lastName": "A", "assignedUserId": "nobody"}).status == 403
    with suppress(RuntimeError), crm.sandbox.storage.transaction():
        crm.create("Lead", lastName="B")
        raise RuntimeError
    assert crm.find("Lead")["total"] == 0
    assert deliver(crm) == 0
    assert crm.sandbox.webhooks.waiting() == 0


def test_own_changes_are_left_out_but_those_of_others_are_told(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.create", receiver.url, skipOwn=True)
    crm.create("Lead", lastName="Mine")
    crm.as_user("sales").create("Lead", lastName="Theirs")
    deliver(crm)
    assert [[change["lastName"] for change in changes] for changes in receiver.changes()] == [["Theirs"]]


def test_an_inactive_webhook_hears_nothing_also_of_what_waits(crm: Asker, receiver: Receiver) -> None:
    webhook = register(crm, "Lead.create", receiver.url)
    crm.create("Lead", lastName="A")
    crm.ok("PUT", f"Webhook/{webhook['id']}", {"isActive": False})
    crm.create("Lead", lastName="B")
    crm.ok("PUT", f"Webhook/{webhook['id']}", {"isActive": True})
    crm.create("Lead", lastName="C")
    deliver(crm)
    assert "B" not in [change["lastName"] for changes in receiver.changes() for change in changes]
    crm.ok("DELETE", f"Webhook/{webhook['id']}")
    crm.create("Lead", lastName="D")
    deliver(crm)
    assert "D" not in [change["lastName"] for changes in receiver.changes() for change in changes]


# --- what the owner may know ---


def test_the_owner_is_told_of_no_record_and_no_attribute_that_is_hidden_from_it(crm: Asker, receiver: Receiver) -> None:
    limited = give_role(
        crm,
        {"Webhook": True, "Lead": {"create": "no", "read": "own", "edit": "no", "delete": "no"}},
        fieldData={"Lead": {"description": {"read": "no", "edit": "no"}}},
    )
    register(limited, "Lead.create", receiver.url)
    crm.create("Lead", lastName="Other", description="x")
    mine = crm.credentials["variables"]["limited_user_id"]
    crm.create("Lead", lastName="Mine", description="x", title="y", assignedUserId=mine)
    deliver(crm)
    [[change]] = receiver.changes()
    assert (change["lastName"], change["title"]) == ("Mine", "y")
    assert "description" not in change


def test_the_webhook_of_an_administrator_is_told_of_everything(crm: Asker, receiver: Receiver) -> None:
    webhook = register(crm.as_user("admin"), "Lead.create", receiver.url)
    assert webhook["userName"] is None
    crm.create("Lead", lastName="A", description="x")
    deliver(crm)
    assert receiver.changes()[0][0]["description"] == "x"


def test_webhooks_of_a_user_who_was_switched_off_hear_nothing(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.create", receiver.url)
    crm.create("Lead", lastName="A")
    user_id = crm.credentials["variables"]["api_user_id"]
    crm.as_user("admin").ok("PUT", f"User/{user_id}", {"isActive": False})
    assert deliver(crm) == 0
    assert receiver.received == []


def test_everyone_sees_only_their_own_webhooks(crm: Asker, receiver: Receiver) -> None:
    mine = register(crm, "Lead.create", receiver.url)
    limited = give_role(crm, {"Webhook": True, "Lead": {"read": "all"}})
    theirs = register(limited, "Lead.create", receiver.url)
    assert [webhook["id"] for webhook in crm.find("Webhook")["list"]] == [mine["id"]]
    assert [webhook["id"] for webhook in limited.find("Webhook")["list"]] == [theirs["id"]]
    assert reason(limited.send("PUT", f"Webhook/{mine['id']}", {"isActive": False})) == (403, "No edit access.")
    assert reason(limited.send("DELETE", f"Webhook/{mine['id']}")) == (403, "No delete access.")
    assert len(crm.as_user("admin").find("Webhook")["list"]) == 2


def test_a_user_has_no_more_than_fifty(crm: Asker, receiver: Receiver) -> None:
    for index in range(50):
        register(crm, "Lead.create", f"{receiver.url}/{index}")
    assert crm.send("POST", "Webhook", {"event": "Lead.create", "url": receiver.url}).status == 403


def test_a_webhook_needs_the_right_to_read_what_it_tells(crm: Asker, receiver: Receiver) -> None:
    limited = give_role(crm, {"Webhook": True, "Lead": {"read": "all"}})
    assert limited.send("POST", "Webhook", {"event": "Account.create", "url": receiver.url}).status == 403


# --- where they may go ---


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:18098/x", 201),
        ("http://localhost:18099/x", 201),
        ("http://127.0.0.1/x", 400),
        ("http://localhost:8080/x", 400),
        ("http://192.168.1.1/x", 400),
        ("http://[::1]:18098/x", 400),
        ("http://[fd00::1]/x", 400),
        ("http://nowhere.example/x", 400),
        ("http://both.example/x", 400),
        ("https://outside.example/x", 201),
        ("https://8.8.8.8/x", 201),
    ],
)
def test_internal_addresses_are_refused_unless_they_are_allowed(
    make: Maker, monkeypatch: pytest.MonkeyPatch, url: str, status: int
) -> None:
    known = {
        "localhost": ["127.0.0.1"],
        "outside.example": ["8.8.8.8", "2001:4860:4860::8888"],
        "both.example": ["8.8.8.8", "10.0.0.1"],
    }

    def look_up(host: str, *args: Any, **options: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    reply = make(webhooks_internal=False).send("POST", "Webhook", {"event": "Lead.create", "url": url})
    assert reply.status == status
    if status == 400:
        assert reason(reply)[1] == "Field validation failure; entityType: Webhook, field: url, type: notInternal."


# --- deliveries that fail ---


@pytest.mark.parametrize("status", RETRIED)
def test_some_answers_are_tried_again_after_a_while(crm: Asker, receiver: Receiver, clock: Clock, status: int) -> None:
    register(crm, "Lead.create", receiver.url)
    receiver.answers = [status]
    crm.create("Lead", lastName="A")
    deliver(crm)
    clock.go_on(599)
    assert deliver(crm) == 0
    clock.go_on(1)
    assert deliver(crm) == 1
    assert receiver.received[0].body == receiver.received[1].body
    assert crm.sandbox.webhooks.waiting() == 0


def test_after_four_attempts_it_is_given_up(crm: Asker, receiver: Receiver, clock: Clock) -> None:
    register(crm, "Lead.create", receiver.url)
    receiver.answers = [500] * 9
    crm.create("Lead", lastName="A")
    for _ in range(6):
        deliver(crm)
        clock.go_on(600)
    assert len(receiver.received) == 4
    assert crm.sandbox.webhooks.waiting() == 0


@pytest.mark.parametrize("status", FINAL)
def test_other_refusals_are_final(crm: Asker, receiver: Receiver, clock: Clock, status: int) -> None:
    register(crm, "Lead.create", receiver.url)
    receiver.answers = [status]
    crm.create("Lead", lastName="A")
    deliver(crm)
    clock.go_on(600)
    assert deliver(crm) == 0
    assert crm.sandbox.webhooks.waiting() == 0


def test_a_redirection_counts_as_taken_and_is_not_followed(crm: Asker, receiver: Receiver) -> None:
    register(crm, "Lead.create", receiver.url)
    receiver.answers = [302]
    crm.create("Lead", lastName="A")
    deliver(crm)
    assert len(receiver.received) == 1
    assert crm.sandbox.webhooks.waiting() == 0


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(("as_before_10", "waiting"), [(False, 0), (True, 1)])
def test_a_receiver_that_is_down_loses_the_change_since_espocrm_10(
    make: Maker, as_before_10: bool, waiting: int
) -> None:
    crm = make(webhook_retry_unreachable=as_before_10)
    register(crm, "Lead.create", f"http://127.0.0.1:{closed_port()}/x")
    crm.create("Lead", lastName="A")
    deliver(crm)
    assert crm.sandbox.webhooks.waiting() == waiting


def test_a_receiver_that_does_not_answer_is_tried_again(make: Maker) -> None:
    crm = make(webhook_timeout=0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        register(crm, "Lead.create", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        crm.create("Lead", lastName="A")
        assert deliver(crm) == 1
    assert crm.sandbox.webhooks.waiting() == 1


def test_after_410_also_what_waits_for_the_webhook_is_dropped(crm: Asker, receiver: Receiver, clock: Clock) -> None:
    webhook = register(crm, "Lead.create", receiver.url)
    receiver.answers = [500, 410]
    crm.create("Lead", lastName="A")
    deliver(crm)
    crm.create("Lead", lastName="B")
    deliver(crm)
    assert crm.send("GET", f"Webhook/{webhook['id']}").status == 404
    clock.go_on(600)
    assert deliver(crm) == 0
