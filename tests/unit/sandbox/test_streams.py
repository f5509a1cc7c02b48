from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.asking import Asker, reason

UNKNOWN = "0123456789abcdef0"
OWN = {"read": "own", "stream": "own"}


def post(crm: Asker, text: str, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = crm.ok("POST", "Note", {"type": "Post", "post": text, **values})
    return found


def texts(notes: list[dict[str, Any]]) -> list[str | None]:
    return [note["post"] for note in notes]


def give_rights(crm: Asker, role: str, rights: dict[str, Any]) -> None:
    """Change some of the rights of a role."""
    admin, path = crm.as_user("admin"), f"Role/{crm.credentials['variables'][f'role_{role}_id']}"
    admin.ok("PUT", path, {"data": {**admin.ok("GET", path)["data"], **rights}})


def test_the_own_stream_has_what_one_follows_and_what_is_meant_for_one(crm: Asker) -> None:
    sales, variables = crm.as_user("sales"), crm.credentials["variables"]
    followed, other = crm.create("Lead", lastName="A"), crm.create("Lead", lastName="B")
    sales.ok("PUT", f"Lead/{followed['id']}/subscription")
    post(crm, "on followed", parentType="Lead", parentId=followed["id"])
    post(crm, "on other", parentType="Lead", parentId=other["id"])
    post(crm, "to sales", targetType="users", usersIds=[variables["sales_user_id"]])
    post(crm, "to team", targetType="teams", teamsIds=[variables["team_id"]])
    post(crm, "to all", targetType="all")
    post(crm, "to self", targetType="self")
    post(sales, "own")
    shown = texts(sales.notes("Stream", where=[{"type": "equals", "attribute": "type", "value": "Post"}]))
    assert shown == ["on followed", "to sales", "to team", "to all", "own"]


def test_a_program_is_not_among_all(crm: Asker) -> None:
    post(crm.as_user("sales"), "to all", targetType="all")
    assert crm.notes("Stream") == []
    assert crm.notes("GlobalStream") == []


def test_what_belongs_to_a_followed_account_is_in_the_own_stream(crm: Asker) -> None:
    sales = crm.as_user("sales")
    account = crm.create("Account", name="A")
    sales.ok("PUT", f"Account/{account['id']}/subscription")
    case = crm.create("Case", name="C", accountId=account["id"])
    assert [(n["type"], n["parentId"]) for n in sales.notes("Stream")] == [
        ("Create", account["id"]),
        ("Create", case["id"]),
    ]


def test_all_that_one_may_see_and_no_more(crm: Asker) -> None:
    limited, variables = crm.as_user("limited"), crm.credentials["variables"]
    give_rights(crm, "limited", {"GlobalStream": True, "Lead": OWN})
    own = crm.create("Lead", lastName="Own", assignedUserId=variables["limited_user_id"])
    crm.create("Lead", lastName="Foreign")
    crm.create("Account", name="A")
    assert [n["parentId"] for n in limited.notes("GlobalStream")] == [own["id"]]
    assert len(crm.notes("GlobalStream")) == 3


def test_pages_of_all_skip_over_what_one_may_not_see(crm: Asker) -> None:
    limited, variables = crm.as_user("limited"), crm.credentials["variables"]
    give_rights(crm, "limited", {"GlobalStream": True, "Lead": OWN})
    own = [crm.create("Lead", lastName="O", assignedUserId=variables["limited_user_id"])["id"] for _ in range(2)]
    for _ in range(9):
        crm.create("Lead", lastName="F")
    page = limited.ok("GET", "GlobalStream", query="maxSize=1")
    assert (page["total"], [n["parentId"] for n in page["list"]]) == (-1, [own[1]])
    rest = limited.ok("GET", "GlobalStream", query=f"maxSize=1&beforeNumber={page['list'][0]['number']}")
    assert (rest["total"], [n["parentId"] for n in rest["list"]]) == (-2, [own[0]])


def test_records_that_are_gone_are_not_in_the_stream_of_all(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A")
    crm.ok("DELETE", f"Lead/{lead['id']}")
    assert crm.notes("GlobalStream") == []


def test_the_stream_of_all_knows_no_offset(crm: Asker) -> None:
    assert reason(crm.send("GET", "GlobalStream", query="offset=1")) == (400, "Offset is not supported.")


def test_related_records_that_one_may_not_see_are_not_told_of(crm: Asker) -> None:
    limited, variables = crm.as_user("limited"), crm.credentials["variables"]
    lead = crm.create("Lead", lastName="A", assignedUserId=variables["limited_user_id"])
    for owner in ("limited_user_id", "sales_user_id"):
        crm.create("Task", name=owner, parentType="Lead", parentId=lead["id"], assignedUserId=variables[owner])
    give_rights(crm, "limited", {"Lead": OWN})
    assert [n["type"] for n in limited.notes(f"Lead/{lead['id']}/stream")] == ["Create"]
    give_rights(crm, "limited", {"Task": OWN})
    notes = limited.notes(f"Lead/{lead['id']}/stream")
    assert [n.get("relatedName") for n in notes] == [None, "limited_user_id"]


def test_what_somebody_did(crm: Asker) -> None:
    sales, sales_id = crm.as_user("sales"), crm.credentials["variables"]["sales_user_id"]
    lead = crm.create("Lead", lastName="A")
    post(sales, "by sales", parentType="Lead", parentId=lead["id"])
    assert texts(crm.notes(f"User/{sales_id}/stream/own")) == ["by sales"]
    assert texts(crm.notes(f"User/{sales_id}/stream")) == [None, "by sales"]
    assert crm.send("GET", f"User/{UNKNOWN}/stream/own").status == 404
    assert crm.as_user("limited").send("GET", f"User/{sales_id}/stream/own").status == 403


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter=posts", ["1", "2"]),
        ("after=2001-01-01%2000:00:00&filter=posts", ["1", "2"]),
        ("textFilter=2", ["2"]),
        ("skipOwn=true", []),
        ("maxSize=1", ["2"]),
    ],
)
def test_parts_of_a_stream(crm: Asker, query: str, expected: list[str]) -> None:
    lead = crm.create("Lead", lastName="A")
    for text in ("1", "2"):
        post(crm, text, parentType="Lead", parentId=lead["id"])
    found = crm.ok("GET", f"Lead/{lead['id']}/stream", query=query)["list"][::-1]
    assert texts(found) == expected


def test_a_negative_page_is_an_error_and_too_large_a_one_is_refused(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A")
    assert crm.send("GET", f"Lead/{lead['id']}/stream", query="maxSize=-1").status == 500
    assert crm.send("GET", f"Lead/{lead['id']}/stream", query="maxSize=201").status == 403


def test_streams_are_for_those_who_have_the_right_to_them(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A", assignedUserId=crm.credentials["variables"]["limited_user_id"])
    assert reason(crm.as_user("limited").send("GET", f"Lead/{lead['id']}/stream")) == (403, "No stream access.")
    assert reason(crm.as_user("limited").send("GET", f"Lead/{lead['id']}/posts")) == (403, "No stream access.")
