"""Lead conversion: which requests it sends in which order, and the same by both clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoDuplicateError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.crm import Crm, Reply, Sent, page, refusal

LEAD, ACCOUNT, CONTACT, DEAL, OTHER = (f"6746d1f3a0b1c2d{number:02}" for number in range(5))
CONVERT, SUGGEST = "Lead/action/convert", "Lead/action/getConvertAttributes"

ACCOUNT_DEFS = {"fields": {"name": {"type": "varchar", "required": True}, "emailAddress": {"type": "email"}}}
CONTACT_DEFS = {
    "fields": {
        "lastName": {"type": "varchar", "required": True},
        "emailAddress": {"type": "email"},
        "account": {"type": "link"},
        "originalLead": {"type": "linkOne", "readOnly": True},
    }
}
DEAL_DEFS = {
    "fields": {
        "name": {"type": "varchar", "required": True},
        "amount": {"type": "currency", "required": True},
        "closeDate": {"type": "date", "required": True},
        "stage": {"type": "enum", "required": True, "default": "Prospecting", "options": ["Prospecting"]},
        "account": {"type": "link"},
        "contact": {"type": "link"},
        "contacts": {"type": "linkMultiple"},
    },
    "links": {"contacts": {"type": "hasMany", "entity": "Contact"}},
}
SUGGESTED = {
    "Account": {"name": "Nowak & Co", "industry": None, "createdByName": "x"},
    "Contact": {"lastName": "Nowak", "teamsIds": []},
    "Opportunity": {"amount": 500, "amountCurrency": "EUR"},
}
RECORDS = {"Account": {}, "Contact": None, "Opportunity": {"name": "Order", "closeDate": "2031-02-01"}}
CREATED = {"createdAccountId": ACCOUNT, "createdContactId": CONTACT, "createdOpportunityId": DEAL}


@pytest.fixture
def server(crm: Crm) -> Crm:
    """A CRM with a lead of a company, in which all goes well."""
    for name, defs in (("Account", ACCOUNT_DEFS), ("Contact", CONTACT_DEFS), ("Opportunity", DEAL_DEFS)):
        crm.has(name, defs)
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "accountName": "Nowak & Co"})
    crm.on("POST", SUGGEST, SUGGESTED)
    crm.on("POST", CONVERT, {"id": LEAD, "status": "Converted", **CREATED})
    return crm


def convert(lead_id: str = LEAD, **given: Any) -> Any:
    with EspoHook() as hook:
        return hook.convert_lead(lead_id, **({"records": RECORDS} | given))


def paths(crm: Crm) -> list[str]:
    return [f"{one.method} {one.path}" for one in crm.sent]


def test_it_reads_asks_and_converts_in_this_order(server: Crm) -> None:
    assert convert() == {
        "lead_id": LEAD,
        "account_id": ACCOUNT,
        "contact_id": CONTACT,
        "opportunity_id": DEAL,
        "action": "converted",
        "not_carried_over": [],
    }
    assert paths(server) == [f"GET Lead/{LEAD}", *["GET Metadata"] * 3, f"POST {SUGGEST}", f"POST {CONVERT}"]
    assert server.sent[-1].json == {
        "id": LEAD,
        "records": {
            "Account": {"name": "Nowak & Co"},
            "Contact": {"lastName": "Nowak"},
            "Opportunity": {"amount": 500, "amountCurrency": "EUR", "name": "Order", "closeDate": "2031-02-01"},
        },
        "skipDuplicateCheck": False,
    }


def test_force_skips_the_duplicate_check(server: Crm) -> None:
    convert(on_duplicate="force")
    assert server.sent[-1].json["skipDuplicateCheck"] is True


def test_what_the_lead_names_is_left_out_and_pointed_to(server: Crm) -> None:
    server.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "createdAccountId": ACCOUNT})
    server.on("GET", f"Account/{ACCOUNT}", {"id": ACCOUNT})
    nothing_hangs_on_it(server)
    convert(records={"Account": {}, "Contact": {}})
    (sent,) = server.calls("POST", CONVERT)
    assert sent.json["records"] == {"Contact": {"accountId": ACCOUNT, "lastName": "Nowak"}}


def test_a_given_link_is_kept(server: Crm) -> None:
    server.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "createdAccountId": ACCOUNT})
    server.on("GET", f"Account/{ACCOUNT}", {"id": ACCOUNT})
    nothing_hangs_on_it(server)
    convert(records={"Contact": {"accountId": OTHER}})
    (sent,) = server.calls("POST", CONVERT)
    assert sent.json["records"]["Contact"]["accountId"] == OTHER


def nothing_hangs_on_it(crm: Crm) -> None:
    for name in ("meetings", "calls", "emails", "documents"):
        crm.on("GET", f"Lead/{LEAD}/{name}", page())


def test_a_server_without_an_activity_type_has_none_to_carry_over(server: Crm) -> None:
    server.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "createdAccountId": ACCOUNT})
    server.on("GET", f"Account/{ACCOUNT}", {"id": ACCOUNT})
    nothing_hangs_on_it(server)
    server.on("GET", f"Lead/{LEAD}/meetings", refusal(404))
    assert convert(records={"Account": {}})["not_carried_over"] == []


def test_what_was_carried_over_is_not_written_again(server: Crm) -> None:
    server.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", **CREATED})
    for path in (f"Account/{ACCOUNT}", f"Contact/{CONTACT}", f"Opportunity/{DEAL}"):
        server.on("GET", path, {"id": path.partition("/")[2]})
    nothing_hangs_on_it(server)
    there = {"id": OTHER, "parentType": "Opportunity", "parentId": DEAL}
    server.on("GET", f"Lead/{LEAD}/calls", page(there))
    server.on("GET", f"Call/{OTHER}/contacts", page({"id": CONTACT}))
    convert()
    assert [one.path for one in server.sent if one.method in ("PUT", "POST")] == [CONVERT]
    assert server.calls("POST", CONVERT)[0].json["records"] == {}


@pytest.mark.parametrize(
    ("records", "listed"),
    [
        ([{"id": OTHER, "_entityType": "Contact"}], ["Account"]),
        ([{"id": OTHER, "_entityType": "Account"}, {"id": OTHER, "_entityType": "Contact"}], []),
    ],
)
def test_after_a_duplicate_only_what_stands_before_it_is_looked_for(
    server: Crm, records: list[dict[str, str]], listed: list[str]
) -> None:
    """The others were not created, and what looks like them is somebody else's."""
    server.on("POST", CONVERT, Reply(409, records, {"X-Status-Reason": "duplicate"}))
    looked: list[str] = []

    def nothing(sent: Sent) -> Any:
        looked.append(sent.path)
        return page()

    for name in ("Account", "Contact", "Opportunity"):
        server.on("GET", name, nothing)
    with pytest.raises(EspoDuplicateError):
        convert()
    assert looked == listed


def test_a_required_address_may_be_given_with_its_flags(server: Crm) -> None:
    fields = ACCOUNT_DEFS["fields"] | {"emailAddress": {"type": "email", "required": True}}
    server.has("Account", {"fields": fields})
    with pytest.raises(EspoInputError, match="Account needs emailAddress"):
        convert(records={"Account": {}})
    data = [{"emailAddress": "n@x.example", "primary": True}]
    convert(records={"Account": {"emailAddressData": data}})
    assert server.sent[-1].json["records"]["Account"]["emailAddressData"] == data


def test_a_deleted_lead_is_not_there_for_administrators_either(server: Crm) -> None:
    server.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "deleted": True})
    with pytest.raises(EspoNotFoundError, match="deleted"):
        convert()
    assert server.calls("POST") == []


@pytest.mark.parametrize("answer", [{"id": LEAD, "status": "New"}, "fine", Reply(200, b"<html>")])
def test_an_answer_that_does_not_say_converted_leaves_it_open(server: Crm, answer: Any) -> None:
    server.on("POST", CONVERT, answer)
    with pytest.raises(Exception, match="POST Lead/action/convert") as caught:
        convert()
    assert caught.value.outcome_unknown  # type: ignore[attr-defined]
    assert len(server.calls("POST", CONVERT)) == 1


def test_both_clients_send_the_same(server: Crm) -> None:
    expected = convert()
    blocking = [(one.method, one.path, one.query, one.json) for one in server.sent]
    server.sent.clear()

    async def awaiting() -> Any:
        async with EspoAsyncHook() as hook:
            return await hook.convert_lead(LEAD, records=RECORDS)

    assert asyncio.run(awaiting()) == expected
    # What the first has learnt of the server is known.
    sent = [(one.method, one.path, one.query, one.json) for one in server.sent]
    assert sent == [one for one in blocking if one[1] != "Metadata"]
