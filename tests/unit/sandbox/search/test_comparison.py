"""Operators that compare attributes with values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.search.crm import Crm, Refused, item


@pytest.fixture
def leads(crm: Crm) -> Crm:
    """Three leads and their like."""
    crm.add("User", "sally", firstName="Sally", lastName="Sales", userName="sally")
    crm.add(
        "Lead",
        "ann",
        firstName="Ann",
        lastName="Alpha",
        status="New",
        source="",
        accountName="Acme GmbH",
        doNotCall=1,
        opportunityAmount=100.0,
        opportunityAmountCurrency="USD",
        assignedUserId=crm.id("sally"),
        description="50% off_now",
        emails=["Ann@Example.com", "second@example.com"],
        phones=["+493012345678"],
    )
    crm.add(
        "Lead",
        "bob",
        firstName="Bob",
        lastName="Beta",
        status="Assigned",
        source="Call",
        accountName="acme ltd",
        doNotCall=0,
        opportunityAmount=200.5,
        opportunityAmountCurrency="EUR",
        description="500 offXnow",
        emails=["bob@example.org"],
    )
    crm.add("Lead", "cyd", lastName="Gámma", status="Dead", doNotCall=0, modifiedAt="2026-05-11 12:00:00")
    return crm


@pytest.mark.parametrize(
    ("operator", "attribute", "value", "found"),
    [
        ("equals", "accountName", "ACME GMBH", "ann"),
        ("equals", "lastName", "gamma", "cyd"),
        ("equals", "accountName", ["Acme GmbH", "acme ltd"], "ann bob"),
        ("equals", "accountName", None, "cyd"),
        ("notEquals", "accountName", "acme gmbh", "bob"),
        ("notEquals", "accountName", None, "ann bob"),
        ("notEquals", "status", ["New", "Dead"], "bob"),
        ("in", "status", ["New", "dead", "x"], "ann cyd"),
        ("in", "status", [], ""),
        ("notIn", "source", ["Call"], "ann"),
        ("notIn", "source", [], "ann bob cyd"),
        ("isNull", "source", None, "cyd"),
        ("isNotNull", "source", None, "ann bob"),
        ("ever", "source", None, "ann bob"),
        ("any", "source", None, "ann bob cyd"),
        ("none", "source", None, ""),
        ("contains", "accountName", "ME", "ann bob"),
        ("contains", "description", "50% off", "ann bob"),
        ("contains", "description", "off_now", "ann bob"),
        ("contains", "description", "off\\_now", "ann"),
        ("notContains", "accountName", "gmbh", "bob"),
        ("startsWith", "lastName", "gam", "cyd"),
        ("endsWith", "accountName", "LTD", "bob"),
        ("like", "accountName", "a%h", "ann"),
        ("like", "accountName", "acme", ""),
        ("notLike", "accountName", "%ltd", "ann"),
        ("greaterThan", "accountName", "acme h", "bob"),
        ("lessThanOrEquals", "lastName", "BETA", "ann bob"),
        ("contains", "accountName", ["x"], ""),
        ("like", "accountName", None, ""),
        ("greaterThan", "opportunityAmount", None, ""),
        ("greaterThan", "status", ["New"], "ann"),
    ],
)
def test_texts(leads: Crm, operator: str, attribute: str, value: Any, found: str) -> None:
    assert leads.where("Lead", item(operator, attribute, value)) == found


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("isTrue", None, "ann"),
        ("isFalse", None, "bob cyd"),
        ("equals", True, "ann"),
        ("equals", "1", "ann"),
        ("equals", "0", "bob cyd"),
        # The text "true" is the number 0 to the database: the rows that are not true.
        ("equals", "true", "bob cyd"),
        ("notEquals", True, "bob cyd"),
    ],
)
def test_bools(leads: Crm, operator: str, value: Any, found: str) -> None:
    assert leads.where("Lead", item(operator, "doNotCall", value)) == found


@pytest.mark.parametrize(
    ("operator", "attribute", "value", "found"),
    [
        ("equals", "opportunityAmount", "100", "ann"),
        ("equals", "opportunityAmount", 200.5, "bob"),
        ("in", "opportunityAmount", ["100", 200.5], "ann bob"),
        ("between", "opportunityAmount", [100, "200.5"], "ann bob"),
        ("between", "opportunityAmount", [100.1, 200.5, 7], "bob"),
        ("between", "opportunityAmount", [None, 200.5], ""),
        ("greaterThanOrEquals", "opportunityAmount", "200.5 EUR", "bob"),
        ("lessThan", "opportunityAmount", "x", ""),
        # EUR is worth 1.12.
        ("greaterThan", "opportunityAmountConverted", 224, "bob"),
        ("isNull", "opportunityAmountConverted", None, "cyd"),
        ("equals", "opportunityAmountCurrency", "eur", "bob"),
        # Text that is compared with a number counts as the number it begins with.
        ("greaterThan", "description", 49, "ann bob"),
        ("equals", "accountName", 0, "ann bob"),
    ],
)
def test_numbers(leads: Crm, operator: str, attribute: str, value: Any, found: str) -> None:
    assert leads.where("Lead", item(operator, attribute, value)) == found


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("equals", "2026-05-11 12:00:00", "cyd"),
        ("equals", "2026-05-11T12:00:00Z", "cyd"),
        ("on", "2026-05-11", ""),
        ("notOn", "2026-05-11", "cyd"),
        ("after", "2026-05-11", "cyd"),
        ("before", "2026-05-11 12:00:01", "cyd"),
        ("lessThanOrEquals", "2026-05-11 12:00", "cyd"),
        ("between", ["2026-05-11", "2026-05-12"], "cyd"),
        ("in", ["x", "2026-05-11 12:00:00"], "cyd"),
        ("equals", "soon", ""),
        ("notEquals", "2026-02-30", ""),
        ("contains", "05-11", "cyd"),
    ],
)
def test_times_without_a_zone_are_utc(leads: Crm, operator: str, value: Any, found: str) -> None:
    assert leads.where("Lead", item(operator, "modifiedAt", value)) == found


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("equals", "Ann Alpha", "ann"),
        ("equals", "alpha ann", "ann"),
        ("equals", "Alpha", "ann"),
        ("contains", "b b", "bob"),
        ("startsWith", "Bob", "bob"),
        # Without a first name there is no full name, and NULL is unlike anything.
        ("notContains", "alpha", "bob"),
    ],
)
def test_names_of_persons(leads: Crm, operator: str, value: str, found: str) -> None:
    assert leads.where("Lead", item(operator, "name", value)) == found


@pytest.mark.parametrize("operator", ["in", "isNull", "greaterThan", "notEquals"])
def test_what_names_cannot_do_is_a_server_error(leads: Crm, operator: str, refused: Refused) -> None:
    value = ["x"] if operator == "in" else None if operator == "isNull" else "x"
    assert refused(leads.where, "Lead", item(operator, "name", value)) == (500, None)


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("equals", "ANN@example.com", "ann"),
        ("equals", "second@example.com", "ann"),
        ("in", ["second@example.com", "bob@example.org", "x"], "ann bob"),
        # Any other address is enough.
        ("notEquals", "bob@example.org", "ann"),
        ("notEquals", "ann@example.com", "ann bob"),
        ("contains", "EXAMPLE.c", "ann"),
        ("notContains", "example.c", "bob cyd"),
        ("isNull", None, "cyd"),
        ("isNotNull", None, "ann bob"),
    ],
)
def test_email_addresses(leads: Crm, operator: str, value: Any, found: str) -> None:
    assert leads.where("Lead", item(operator, "emailAddress", value)) == found


def test_phone_numbers(leads: Crm) -> None:
    assert leads.where("Lead", item("equals", "phoneNumber", "+493012345678")) == "ann"
    assert leads.where("Lead", item("contains", "phoneNumber", "30123")) == "ann"
    assert leads.where("Lead", item("isNull", "phoneNumber")) == "bob cyd"


def test_addresses_of_other_types_do_not_count(leads: Crm) -> None:
    leads.add("Contact", "con", lastName="C", emails=["only@example.com"])
    assert leads.where("Lead", item("equals", "emailAddress", "only@example.com")) == ""
    assert leads.where("Contact", item("equals", "emailAddress", "only@example.com")) == "con"


def test_flags_of_addresses(leads: Crm) -> None:
    leads.storage.execute('UPDATE "EmailAddress" SET "optOut" = 1 WHERE lower = ?', ["ann@example.com"])
    assert leads.where("Lead", item("isTrue", "emailAddressIsOptedOut")) == "ann"
    assert leads.where("Lead", item("isFalse", "emailAddressIsOptedOut")) == "bob cyd"


def test_comparisons_that_need_a_column_are_server_errors(leads: Crm, refused: Refused) -> None:
    for bad in (
        item("greaterThan", "emailAddress", "a"),
        item("equals", "emailAddressIsOptedOut", "1"),
        item("in", "opportunityAmountConverted", [1]),
        item("equals", "teamsIds", "x"),
        item("isNull", "emailAddressData"),
    ):
        assert refused(leads.where, "Lead", bad) == (500, None)
    leads.add("Task", "task", name="t")
    assert refused(leads.where, "Task", item("equals", "parentName", "x")) == (500, None)


def test_attributes_of_linked_records(leads: Crm) -> None:
    assert leads.where("Lead", item("equals", "assignedUserName", "sally sales")) == "ann"
    assert leads.where("Lead", item("isNull", "assignedUserName")) == "bob cyd"
    assert leads.where("Lead", item("contains", "assignedUserName", "SALES")) == "ann"
    assert leads.where("Lead", item("equals", "assignedUserId", leads.id("sally"))) == "ann"


@pytest.mark.parametrize(
    ("bad", "refusal"),
    [
        (item("in", "status", "New"), (400, "Bad where item 'in'.")),
        (item("in", "status"), (400, "Bad where item 'in'.")),
        (item("notIn", "status", "New"), (400, "Bad where item 'notIn'.")),
        (item("in", "status", ["New", None]), (500, None)),
        (item("in", "status", [["New"]]), (500, None)),
        (item("between", "opportunityAmount", [1]), (400, "Bad where item 'between'.")),
        (item("between", "opportunityAmount", 1), (400, "Bad where item 'between'.")),
    ],
)
def test_bad_operands(leads: Crm, bad: Any, refusal: tuple[int, str | None], refused: Refused) -> None:
    assert refused(leads.where, "Lead", bad) == refusal


def test_values_never_become_sql(leads: Crm) -> None:
    for value in ("' OR 1=1 --", "\\' OR 1=1 --", '" OR 1=1 --', "?", "Acme%' --"):
        for operator in ("equals", "contains", "startsWith", "like"):
            assert leads.where("Lead", item(operator, "accountName", value)) == ""
            assert leads.where("Lead", item(operator, "emailAddress", value)) == ""
            assert leads.where("Lead", item(operator, "name", value)) == ""


def test_roles_of_contacts(crm: Crm, refused: Refused) -> None:
    crm.add("Account", "acme", name="Acme")
    crm.add("Account", "other", name="Other")
    crm.add("Contact", "boss", lastName="B", accountId=crm.id("acme"))
    crm.add("Contact", "clerk", lastName="C")
    crm.add("Contact", "free", lastName="F")
    crm.link("Contact", "boss", "accounts", "acme", role="CEO", isInactive=1)
    crm.link("Contact", "clerk", "accounts", "other", role="Clerk")
    crm.link("Contact", "clerk", "accounts", "acme", role="")
    assert crm.where("Contact", item("equals", "title", "ceo")) == "boss"
    assert crm.where("Contact", item("notEquals", "title", "CEO")) == "clerk free"
    assert crm.where("Contact", item("contains", "title", "c")) == "boss clerk"
    assert crm.where("Contact", item("isNull", "title")) == "free"
    assert crm.where("Contact", item("isNotNull", "title")) == "boss clerk"
    assert refused(crm.where, "Contact", item("notIn", "title", ["CEO"])) == (500, None)
    assert refused(crm.where, "Contact", item("notEquals", "title", ["CEO"])) == (500, None)
    assert crm.where("Contact", item("in", "accountAnyId", [crm.id("other")])) == "clerk"
    assert crm.where("Contact", item("isNull", "accountAnyId")) == "clerk free"
    assert crm.where("Contact", item("isTrue", "accountIsInactive")) == "boss"
    assert crm.where("Contact", item("isFalse", "accountIsInactive")) == "clerk free"


def test_acceptance_looks_at_everyone_invited(crm: Crm) -> None:
    crm.add("Lead", "lead", lastName="L")
    crm.add("Contact", "con", lastName="C")
    crm.add("Meeting", "kept", name="kept")
    crm.add("Meeting", "lost", name="lost")
    crm.link("Meeting", "kept", "leads", "lead", status="Accepted")
    crm.link("Meeting", "lost", "contacts", "con", status="Declined")
    assert crm.where("Meeting", item("equals", "acceptanceStatus", "Accepted")) == "kept"
    assert crm.where("Meeting", item("notIn", "acceptanceStatus", ["Accepted"])) == "lost"
