"""Predefined filters and the text filter. The present is 2026-05-20 10:30 UTC."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.search.crm import Crm, Refused


def found(crm: Crm, entity_type: str, **raw: Any) -> str:
    return " ".join(crm.keys(entity_type, orderBy="id", **raw))


@pytest.mark.parametrize(
    ("entity_type", "attribute", "filters"),
    [
        ("Lead", "status", {"actual": "New Assigned", "active": "New Assigned", "converted": "Converted"}),
        (
            "Opportunity",
            "stage",
            {"open": "Prospecting Proposal", "won": "Closed Won", "lost": "Closed Lost"},
        ),
        ("Case", "status", {"open": "New Assigned Pending", "closed": "Closed"}),
        ("Task", "status", {"actual": "Started", "completed": "Completed", "deferred": "Deferred"}),
        ("Account", "type", {"customers": "Customer", "partners": "Partner", "resellers": "Reseller"}),
        ("Call", "status", {"planned": "Planned", "held": "Held"}),
        ("Document", "status", {"active": "Active", "draft": "Draft"}),
    ],
)
def test_filters_by_status(crm: Crm, entity_type: str, attribute: str, filters: dict[str, str]) -> None:
    values = [
        "New", "Assigned", "Pending", "Started", "Converted", "Dead", "Recycled", "Closed", "Rejected",
        "Duplicate", "Completed", "Canceled", "Deferred", "Prospecting", "Proposal", "Closed Won", "Closed Lost",
        "Customer", "Partner", "Reseller", "Planned", "Held", "Not Held", "Active", "Draft",
    ]  # fmt: skip
    options = crm.storage.definitions[entity_type].fields[attribute].options or ()
    for value in values:
        if value in options:
            crm.add(entity_type, value, name=value, **{attribute: value}) if entity_type != "Lead" else crm.add(
                entity_type, value, lastName=value, **{attribute: value}
            )
    for name, expected in filters.items():
        assert found(crm, entity_type, primaryFilter=name) == expected


def test_tasks_by_their_end(crm: Crm) -> None:
    crm.add("Task", "late", name="l", status="Started", dateEnd="2026-05-20 10:00:00")
    crm.add("Task", "parked", name="p", status="Deferred", dateEnd="2026-05-01 10:00:00")
    crm.add("Task", "done", name="d", status="Completed", dateEnd="2026-05-01 10:00:00")
    crm.add("Task", "soon", name="s", status="Started", dateEnd="2026-05-20 20:00:00")
    crm.add("Task", "day", name="w", status="Started", dateEnd="2026-05-20 00:00:00", dateEndDate="2026-05-20")
    crm.add("Task", "later", name="x", status="Started", dateStart="2026-05-30 10:00:00")
    assert found(crm, "Task", primaryFilter="overdue") == "late parked"
    assert found(crm, "Task", primaryFilter="todays") == "late soon day"
    assert found(crm, "Task", primaryFilter="actualStartingNotInFuture") == "late soon day"


def test_recently_created(crm: Crm) -> None:
    crm.add("Account", "old", name="o", createdAt="2026-05-13 10:29:59")
    crm.add("Account", "new", name="n", createdAt="2026-05-13 10:30:00")
    assert found(crm, "Account", primaryFilter="recentlyCreated") == "new"


def test_what_the_user_follows_and_stars(crm: Crm) -> None:
    for key in ("a", "b", "c"):
        crm.add("Account", key, name=key)
    for table, key, user in (
        ("Subscription", "a", "me"),
        ("Subscription", "b", "you"),
        ("StarSubscription", "b", "me"),
    ):
        crm.storage.insert(table, {"entityId": crm.id(key), "entityType": "Account", "userId": user})
    assert found(crm, "Account", primaryFilter="followed") == "a"
    assert found(crm, "Account", boolFilterList=["followed"]) == "a"
    assert found(crm, "Account", primaryFilter="starred") == "b"
    assert found(crm, "Account", primaryFilter="one") == "a b c"


def test_what_is_the_users_own(crm: Crm) -> None:
    crm.add("Lead", "mine", lastName="m", assignedUserId="me")
    crm.add("Lead", "made", lastName="n", createdById="me")
    assert found(crm, "Lead", boolFilterList=["onlyMy"]) == "mine"
    crm.add("TargetList", "list", name="l", createdById="me", assignedUserId="you")
    assert found(crm, "TargetList", boolFilterList=["onlyMy"]) == ""
    crm.add("DocumentFolder", "folder", name="f", createdById="me")
    assert found(crm, "DocumentFolder", boolFilterList=["onlyMy"]) == "folder"
    for key, status in (("come", "Accepted"), ("stay", "Declined"), ("open", None)):
        crm.add("Call", key, name=key)
        crm.link("Call", key, "users", "me", status=status)
    assert found(crm, "Call", boolFilterList=["onlyMy"]) == "come open"


def test_any_of_several_bool_filters(crm: Crm) -> None:
    crm.add("Task", "mine", name="m", assignedUserId="me", status="Completed")
    crm.add("Task", "shared", name="s", status="Completed")
    crm.add("Task", "open", name="o", status="Started")
    crm.add("Task", "other", name="x", status="Completed")
    crm.link("Task", "shared", "collaborators", "me")
    assert found(crm, "Task", boolFilterList=["shared"]) == "shared"
    assert found(crm, "Task", boolFilterList=["onlyMy", "shared", "actual"]) == "mine shared open"
    # A type that nothing can be shared of.
    crm.add("Account", "acc", name="a")
    assert found(crm, "Account", boolFilterList=["shared"]) == "acc"


def test_users(crm: Crm) -> None:
    crm.add("User", "reg", userName="r", lastName="r", type="regular", isActive=1)
    crm.add("User", "gone", userName="g", lastName="g", type="regular", isActive=0)
    crm.add("User", "bot", userName="b", lastName="b", type="api", isActive=1)
    assert found(crm, "User", primaryFilter="active") == "reg"
    assert found(crm, "User", primaryFilter="activeApi") == "bot"
    assert found(crm, "User", primaryFilter="internal") == "reg gone"


def test_unknown_filters(crm: Crm, refused: Refused) -> None:
    assert refused(crm.find, "Lead", primaryFilter="nope") == (400, "No primary filter 'nope' for 'Lead'.")
    assert refused(crm.find, "Lead", boolFilterList=["nope"]) == (400, "No bool filter 'nope' for 'Lead'.")
    assert refused(crm.find, "Contact", primaryFilter="accountActive") == (500, None)


@pytest.fixture
def texts(crm: Crm) -> Crm:
    """Records with a text here and there."""
    crm.add("Lead", "ann", firstName="Ann", lastName="Alpha", accountName="Acme", emails=["ann@example.com"])
    crm.add("Lead", "bob", firstName="Bob", lastName="Beta Alpha", description="Acme")
    crm.add("Case", "case7", name="Broken pump", number=7, description="It does not run any more")
    return crm


@pytest.mark.parametrize(
    ("entity_type", "text", "expected"),
    [
        ("Lead", "alp", "ann"),
        ("Lead", "ANN AL", "ann"),
        ("Lead", "beta alpha bob", "bob"),
        ("Lead", "acme", "ann"),
        ("Lead", "cme", ""),
        ("Lead", "*alpha", "ann bob"),
        ("Lead", "a*a", "ann"),
        ("Lead", "ann@example", "ann"),
        ("Lead", "ft:acme", "ann"),
        ("Case", "7", "case7"),
        ("Case", "8", ""),
        ("Case", "broken", "case7"),
        # Anywhere in a long text, from four letters on.
        ("Case", "does not", "case7"),
        ("Case", "run", ""),
        ("Case", "100\\%", ""),
    ],
)
def test_text_filter(texts: Crm, entity_type: str, text: str, expected: str) -> None:
    assert found(texts, entity_type, textFilter=text) == expected


def test_phone_numbers_are_found_by_their_digits(crm: Crm) -> None:
    from dataclasses import replace

    definition = crm.storage.definitions["Lead"]
    crm.storage.definitions.replace(replace(definition, text_filter_fields=("phoneNumber",)))
    crm.add("Lead", "ann", lastName="a", phones=["+49 30 123"])
    assert found(crm, "Lead", textFilter="+49 (30)") == "ann"
    assert found(crm, "Lead", textFilter="*30123") == "ann"
    assert found(crm, "Lead", textFilter="30123") == ""
    assert found(crm, "Lead", textFilter="thirty") == ""
