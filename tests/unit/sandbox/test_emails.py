from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.emails import plain_text
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.settings import Settings
from tests.unit.sandbox.asking import Asker, reason

Mail = Literal["none", "accept", "refuse"]


@pytest.fixture
def mail() -> Mail:
    return "accept"


@pytest.fixture
def crm(mail: Mail) -> Iterator[Asker]:
    sandbox = Sandbox(settings=Settings(mail=mail))
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def email(**values: Any) -> dict[str, Any]:
    body = {"from": "x@example.com", "to": "y@example.com", "subject": "S", "body": "<p>Hi</p>", "status": "Sending"}
    return {**body, **values}


def test_what_is_sent_stands_in_the_stream_of_its_record(crm: Asker) -> None:
    account = crm.create("Account", name="A")
    sent = crm.ok("POST", "Email", email(parentType="Account", parentId=account["id"]))
    assert (sent["status"], sent["name"], bool(sent["dateSent"])) == ("Sent", "S", True)
    note = crm.notes(f"Account/{account['id']}/stream")[-1]
    assert (note["type"], note["relatedId"], note["data"]["emailName"]) == ("EmailSent", sent["id"], "S")


def test_what_is_out_is_neither_changed_nor_sent_again(crm: Asker) -> None:
    account = crm.create("Account", name="A")
    sent = crm.ok("POST", "Email", email(parentType="Account", parentId=account["id"]))
    again = crm.ok("PUT", f"Email/{sent['id']}", {"status": "Sending", "subject": "Other", "to": "z@example.com"})
    assert (again["status"], again["name"], again["to"]) == ("Sent", "S", "y@example.com")
    assert [n["type"] for n in crm.notes(f"Account/{account['id']}/stream")] == ["Create", "EmailSent"]


@pytest.mark.parametrize("mail", ["refuse"])
def test_what_is_refused_becomes_a_draft_that_can_be_sent_later(crm: Asker) -> None:
    reply = crm.send("POST", "Email", email())
    assert reason(reply) == (500, "sendingFail")
    (draft,) = crm.find("Email")["list"]
    assert draft["id"] in reply.content.decode()
    assert crm.read("Email", draft["id"])["status"] == "Draft"
    crm.sandbox.storage.settings = Settings(mail="accept")
    assert crm.ok("PUT", f"Email/{draft['id']}", {"status": "Sending"})["status"] == "Sent"


@pytest.mark.parametrize(
    ("values", "field", "rule"),
    [
        ({"to": ""}, "to", "required"),
        ({"from": None}, "from", "required"),
        ({"to": "nobody"}, "to", "emailAddress"),
        ({"cc": "a@example.com;nobody"}, "cc", "emailAddress"),
        ({"subject": ""}, "name", "required"),
    ],
)
def test_an_email_needs_people_and_a_subject(crm: Asker, values: dict[str, Any], field: str, rule: str) -> None:
    reply = crm.send("POST", "Email", email(**values))
    assert reason(reply) == (400, f"Field validation failure; entityType: Email, field: {field}, type: {rule}.")
    assert crm.find("Email")["list"] == []


def test_a_draft_needs_nobody_until_it_is_sent(crm: Asker) -> None:
    draft = crm.ok("POST", "Email", {"subject": "S", "status": "Draft"})
    assert crm.send("PUT", f"Email/{draft['id']}", {"status": "Sending"}).status == 400
    assert crm.read("Email", draft["id"])["status"] == "Draft"
    body = {"status": "Sending", "from": "x@example.com", "to": "y@example.com"}
    assert crm.ok("PUT", f"Email/{draft['id']}", body)["status"] == "Sent"


def test_addresses_tell_people(crm: Asker) -> None:
    contact = crm.create("Contact", lastName="C", emailAddress="c@example.com")
    sent = crm.ok("POST", "Email", email(to="c@example.com; Sales@Example.com"))
    read = crm.read("Email", sent["id"])
    assert read["to"] == "sales@example.com;c@example.com"
    assert read["idHash"] == {
        "c@example.com": contact["id"],
        "sales@example.com": crm.credentials["variables"]["sales_user_id"],
    }
    assert [e["id"] for e in crm.as_user("sales").find("Email", boolFilterList=["onlyMy"])["list"]] == [sent["id"]]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a</p><p>b</p>", "a\nb"),
        ("a<br>b &amp; c", "a\nb & c"),
        ("<style>p {}</style><b>x</b>", "x"),
        ("1 < 2", "1 < 2"),
    ],
)
def test_the_plain_text_of_a_body(body: str, text: str) -> None:
    assert plain_text(body) == text
