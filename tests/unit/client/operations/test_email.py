"""E-mails from Python: drafts, sending, templates."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import EspoInputError, EspoServerError
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.crm import LEAD, Crm, Reply
from tests.unit.sandbox_crm import SandboxCrm

CONFIG = ClientConfig(site_url=Crm.url, secret="key", max_retries=0)
TEMPLATE = "6746d1f3a0b1c2d40"


@pytest.fixture
def mailer(sandbox_crm: SandboxCrm) -> SandboxCrm:
    sandbox_crm.now = datetime.now(UTC)
    sandbox_crm.sandbox.storage.settings = replace(sandbox_crm.sandbox.storage.settings, mail="accept")
    return sandbox_crm


def mail(**given: Any) -> dict[str, Any]:
    return {"to": "b@x.example", "subject": "Hello", "from_address": "sales@example.com"} | given


def orders(crm: SandboxCrm) -> int:
    return sum(one.json == {"status": "Sending"} for one in crm.calls("PUT"))


def test_a_draft_is_stored_and_sent_later(mailer: SandboxCrm) -> None:
    with EspoHook() as hook:
        draft = hook.draft_email(**mail())
        assert draft["action"] == "created"
        assert mailer.asker.read("Email", draft["id"])["status"] == "Draft"
        for _ in range(2):
            assert hook.send_draft(draft["id"]) == {"id": draft["id"], "action": "sent"}
    assert orders(mailer) == 1


def test_a_later_call_finds_the_mail_of_an_earlier_one(mailer: SandboxCrm) -> None:
    since = datetime.now(UTC)
    with EspoHook() as hook:
        first = hook.send_email(**mail())
        assert hook.send_email(**mail(), look_for_earlier_since=since) == first
        assert hook.draft_email(**mail(), look_for_earlier_since=since) == {"id": first["id"], "action": "found"}
        assert hook.send_email(**mail(subject="Other"), look_for_earlier_since=since) != first
    assert orders(mailer) == 2


def test_both_hooks_send(mailer: SandboxCrm) -> None:
    async def awaiting() -> Any:
        async with EspoAsyncHook() as hook:
            return await hook.send_email(**mail())

    with EspoHook() as hook:
        assert hook.send_email(**mail())["action"] == asyncio.run(awaiting())["action"] == "sent"


def test_text_may_be_plain(mailer: SandboxCrm) -> None:
    with EspoHook() as hook:
        sent = hook.send_email(**mail(body="a < b", is_html=False))
    record = mailer.asker.read("Email", sent["id"])
    assert (record["body"], record["isHtml"]) == ("a < b", False)


def test_an_order_is_never_repeated_by_itself(crm: Crm) -> None:
    """The client would repeat another PUT."""
    crm.on("POST", "Email", {"id": LEAD, "status": "Draft"})
    crm.on("PUT", f"Email/{LEAD}", Reply(502), {"id": LEAD, "status": "Sent"})
    crm.on("GET", f"Email/{LEAD}", {"id": LEAD, "status": "Sending"})
    with EspoHook() as hook, pytest.raises(EspoServerError, match="may still be sending it: a retry looks"):
        hook.send_email(**mail())
    assert len(crm.calls("PUT")) == 1


def test_a_template_is_filled_in_for_a_record(crm: Crm) -> None:
    answer = {"subject": "Hello Ada", "body": "<p>x</p>", "isHtml": True, "attachmentsIds": None}
    crm.on("POST", f"EmailTemplate/{TEMPLATE}/prepare", answer)
    with EspoClient(CONFIG) as client:
        found = client.prepare_email_template(
            TEMPLATE, entity_type="Lead", record_id=LEAD, email_address="ada@x.example"
        )
        client.prepare_email_template(TEMPLATE)
    assert found == {"subject": "Hello Ada", "body": "<p>x</p>", "is_html": True, "attachment_ids": []}
    assert [one.json for one in crm.calls("POST")] == [
        {"parentType": "Lead", "parentId": LEAD, "emailAddress": "ada@x.example"},
        {},
    ]


@pytest.mark.parametrize(
    "given",
    [{"template_id": "../x"}, {"entity_type": "Lead"}, {"record_id": LEAD}, {"entity_type": "", "record_id": "x"}],
)
def test_a_wrong_template_or_record_is_not_asked_for(crm: Crm, given: dict[str, Any]) -> None:
    with EspoClient(CONFIG) as client, pytest.raises(EspoInputError):
        client.prepare_email_template(**({"template_id": TEMPLATE} | given))
    assert crm.sent == []
