"""Operators on links, on categories and on columns of middle tables."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.sandbox.users import CurrentUser
from tests.unit.sandbox.search.crm import Crm, Refused, item


@pytest.fixture
def sales(crm: Crm) -> Crm:
    """Opportunities with contacts, an account and tasks."""
    crm.add("Account", "acme", name="Acme")
    crm.add("Account", "other", name="Other")
    crm.add("Contact", "c1", lastName="C1", accountId=crm.id("acme"))
    crm.add("Contact", "c2", lastName="C2")
    crm.add("Opportunity", "o1", name="O1", accountId=crm.id("acme"))
    crm.add("Opportunity", "o2", name="O2", accountId=crm.id("other"))
    crm.add("Opportunity", "o3", name="O3")
    crm.link("Opportunity", "o1", "contacts", "c1")
    crm.link("Opportunity", "o2", "contacts", "c1", "c2")
    crm.add("Task", "t1", name="T1", parentType="Account", parentId=crm.id("acme"))
    return crm


@pytest.mark.parametrize(
    ("operator", "link", "keys", "found"),
    [
        ("linkedWith", "contacts", ["c2"], "o2"),
        ("linkedWith", "contacts", ["c1", "c2"], "o1 o2"),
        ("linkedWith", "contacts", "c2", "o2"),
        ("linkedWith", "contacts", [], ""),
        ("notLinkedWith", "contacts", ["c2"], "o1 o3"),
        ("notLinkedWith", "contacts", [], "o1 o2 o3"),
        ("linkedWithAll", "contacts", ["c1", "c2"], "o2"),
        ("linkedWithAll", "contacts", [], "o1 o2 o3"),
        ("isLinked", "contacts", None, "o1 o2"),
        ("isNotLinked", "contacts", None, "o3"),
        ("linkedWith", "account", ["acme", "other"], "o1 o2"),
        ("linkedWith", "account", "acme", "o1"),
        # SQL's NULL: a record without an account is left out.
        ("notLinkedWith", "account", ["acme"], "o2"),
        ("isLinked", "account", None, "o1 o2"),
        ("isNotLinked", "account", None, "o3"),
    ],
)
def test_links(sales: Crm, operator: str, link: str, keys: Any, found: str) -> None:
    value = None if keys is None else sales.id(keys) if isinstance(keys, str) else [sales.id(k) for k in keys]
    assert sales.where("Opportunity", {"type": operator, "attribute": link, "value": value}) == found


def test_the_other_side_of_links(sales: Crm) -> None:
    assert sales.where("Account", item("linkedWith", "opportunities", [sales.id("o1")])) == "acme"
    assert sales.where("Account", item("notLinkedWith", "opportunities", [sales.id("o1")])) == "other"
    assert sales.where("Account", item("isNotLinked", "opportunities")) == ""
    assert sales.where("Contact", item("linkedWith", "opportunities", [sales.id("o2")])) == "c1 c2"
    assert sales.where("Account", item("linkedWithAll", "opportunities", [sales.id("o1"), sales.id("o2")])) == ""


def test_children(sales: Crm, refused: Refused) -> None:
    assert sales.where("Account", item("isLinked", "tasks")) == "acme"
    assert sales.where("Account", item("isNotLinked", "tasks")) == "other"
    bad = item("linkedWith", "tasks", [sales.id("t1")])
    assert refused(sales.where, "Account", bad) == (400, "Bad where item. Not supported relation type.")


def test_in_an_or_one_of_all_is_enough(sales: Crm) -> None:
    both = item("linkedWithAll", "contacts", [sales.id("c1"), sales.id("c2")])
    assert sales.where("Opportunity", item("or", value=[both])) == "o1 o2"


def test_what_was_unlinked_or_deleted_does_not_count(sales: Crm) -> None:
    sales.storage.execute('UPDATE "ContactOpportunity" SET deleted = 1')
    sales.storage.execute('UPDATE "Account" SET deleted = 1 WHERE name = ?', ["Acme"])
    assert sales.where("Opportunity", item("isLinked", "contacts")) == ""
    assert sales.where("Opportunity", item("isLinked", "account")) == "o2"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (item("linkedWith", "contacts"), "Bad where item. Empty value."),
        (item("notLinkedWith", "contacts"), "Bad where item. Empty value."),
        (item("linkedWithAll", "contacts"), "Bad where item. Empty value."),
        (item("linkedWithAll", "account", ["acme"]), "Bad where item. Not supported relation type."),
        (item("linkedWith", "contacts", [5]), "Bad where item. Non-string ID."),
        (item("linkedWith", "contacts", ["nobody"]), "Record 'Contact' `nobody` not found."),
        (item("isLinked", "nope"), "Not existing relation 'nope' in where."),
    ],
)
def test_bad_operands(sales: Crm, bad: Any, reason: str, refused: Refused) -> None:
    if bad.get("value") == ["acme"]:
        bad = {**bad, "value": [sales.id("acme")]}
    assert refused(sales.where, "Opportunity", bad) == (400, reason)


def test_a_parent_has_no_type_to_link_with(sales: Crm, refused: Refused) -> None:
    bad = item("isLinked", "parent")
    assert refused(sales.where, "Task", bad) == (400, "Bad relation 'parent' in where.")
    assert sales.where("Task", item("equals", "parentId", sales.id("acme"))) == "t1"


def test_links_need_rights(sales: Crm, refused: Refused) -> None:
    rights = {"Opportunity": {"read": "all"}, "Contact": {"read": "own"}, "Account": False}
    sales.user = CurrentUser("u", "u", "U", "regular", rights=rights)
    bad = item("linkedWith", "contacts", [sales.id("c1")])
    reason = f"No access to 'Contact' `{sales.id('c1')}`."
    assert refused(sales.where, "Opportunity", bad) == (400, reason)
    bad = item("isLinked", "account")
    assert refused(sales.where, "Opportunity", bad) == (400, "Forbidden relation 'account' in where.")
    assert sales.where("Opportunity", item("isLinked", "contacts")) == "o1 o2"


def test_attributes_need_rights(sales: Crm, refused: Refused) -> None:
    sales.user = CurrentUser(
        "u",
        "u",
        "U",
        "regular",
        rights={"Opportunity": {"read": "all"}},
        field_rights={"Opportunity": {"amount": {"read": "no"}, "account": {"read": "no"}}},
    )
    for attribute in ("amount", "amountCurrency", "accountId", "accountName"):
        bad = item("isNull", attribute)
        reason = f"Forbidden attribute '{attribute}' in where."
        assert refused(sales.where, "Opportunity", bad) == (400, reason)
    reason = "Not access to order by field 'amount'."
    assert refused(sales.find, "Opportunity", orderBy="amount") == (400, reason)


def test_teams_share_a_middle_table_by_type(crm: Crm) -> None:
    crm.add("Team", "team", name="T")
    crm.add("Lead", "lead", lastName="L")
    crm.add("Account", "acc", name="A")
    crm.link("Lead", "lead", "teams", "team")
    assert crm.where("Lead", item("linkedWith", "teams", [crm.id("team")])) == "lead"
    assert crm.where("Account", item("linkedWith", "teams", [crm.id("team")])) == ""


def test_users_from_teams(crm: Crm, refused: Refused) -> None:
    crm.add("Team", "team", name="T")
    crm.add("User", "in", lastName="In", userName="in")
    crm.add("User", "out", lastName="Out", userName="out")
    crm.link("User", "in", "teams", "team")
    crm.add("Lead", "a", lastName="A", assignedUserId=crm.id("in"))
    crm.add("Lead", "b", lastName="B", assignedUserId=crm.id("out"))
    team = [crm.id("team")]
    assert crm.where("Lead", item("isUserFromTeams", "assignedUser", team)) == "a"
    assert crm.where("Lead", item("isUserFromTeams", "assignedUser")) == "a b"
    bad = item("isUserFromTeams", "campaign", team)
    assert refused(crm.where, "Lead", bad) == (400, "Not supported link 'campaign' in where item.")


def test_categories_with_those_below(crm: Crm, refused: Refused) -> None:
    crm.add("DocumentFolder", "top", name="top")
    crm.add("DocumentFolder", "sub", name="sub", parentId=crm.id("top"))
    crm.add("DocumentFolder", "leaf", name="leaf", parentId=crm.id("sub"))
    crm.add("Document", "d0", name="d0")
    for key, folder in (("d1", "top"), ("d2", "leaf")):
        crm.add("Document", key, name=key, folderId=crm.id(folder))
    assert crm.where("Document", item("inCategory", "folder", crm.id("top"))) == "d1 d2"
    assert crm.where("Document", item("inCategory", "folder", [crm.id("sub")])) == "d2"
    assert crm.where("Document", item("inCategory", "folder")) == "d0 d1 d2"
    crm.add("Account", "acc", name="A")
    bad = item("inCategory", "accounts", crm.id("acc"))
    assert refused(crm.where, "Document", bad) == (500, None)


def test_columns_of_middle_tables(crm: Crm, refused: Refused) -> None:
    crm.add("Meeting", "m", name="M")
    for key, status in (("yes", "Accepted"), ("no", "Declined"), ("free", None)):
        crm.add("Contact", key, lastName=key)
        if status:
            crm.link("Contact", key, "meetings", "m", status=status)

    def found(operator: str, value: Any = None) -> str:
        return crm.where("Contact", item(operator, "acceptanceStatusMeetings", value))

    assert found("columnEquals", "accepted") == "yes"
    assert found("columnNotEquals", "Accepted") == "no"
    assert found("columnIn", ["Accepted", "Declined"]) == "yes no"
    assert found("columnNotIn", ["Accepted"]) == "no"
    assert found("columnLike", "Acc%") == "yes"
    assert found("columnIsNull") == "free"
    assert found("columnIsNotNull") == "yes no"
    bad = item("columnEquals", "lastName", "x")
    assert refused(crm.where, "Contact", bad) == (400, "Bad where item 'column'.")


def test_lists_of_values(crm: Crm, refused: Refused) -> None:
    for key, values in (("ab", '["A", "B"]'), ("bc", '["B", "C"]'), ("none", "[]"), ("null", None)):
        crm.add("Team", key, name=key, positionList=values)

    def found(operator: str, value: Any = None) -> str:
        return crm.where("Team", {"type": operator, "attribute": "positionList", "value": value})

    assert found("arrayAnyOf", ["A", "C"]) == "ab bc"
    assert found("arrayAnyOf", "a") == "ab"
    assert found("arrayAnyOf", []) == ""
    assert found("arrayNoneOf", ["A"]) == "bc none null"
    assert found("arrayAllOf", ["A", "B"]) == "ab"
    assert found("arrayAllOf", []) == "ab bc none null"
    assert found("arrayIsEmpty") == "none null"
    assert found("arrayIsNotEmpty") == "ab bc"
    assert crm.where("Team", item("or", value=[item("arrayAllOf", "positionList", ["A", "C"])])) == "ab bc"
    assert crm.where("Team", item("arrayAnyOf", "name", ["ab"])) == ""
    assert crm.where("Team", item("arrayIsEmpty", "name")) == "ab bc none null"
    for operator, subject in (("arrayAnyOf", ""), ("arrayNoneOf", " 'array'"), ("arrayAllOf", " 'array'")):
        bad = item(operator, "positionList")
        assert refused(crm.where, "Team", bad) == (400, f"Bad where item{subject}. No value.")
