"""Leads to be converted, and a sandbox in which conversions break off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.exceptions import EspoError
from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.lead_conversion import Conversion
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import answering
from tests.unit.running import Store, TaskInstance, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm

CONVERT = "Lead/action/convert"
RETRY = TaskInstance(try_number=2, max_tries=1)
WHEN = {"dateStart": "2031-01-01 10:00:00", "dateEnd": "2031-01-01 11:00:00"}
ALL: dict[str, dict[str, Any]] = {
    "Account": {},
    "Contact": {},
    "Opportunity": {"name": "First order", "closeDate": "2031-02-01"},
}


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
    arguments: dict[str, Any] = {"task_id": "convert", "lead_id": lead_id, "records": ALL, "retries": 1}
    return EspoConvertLeadOperator(**(arguments | given))


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
