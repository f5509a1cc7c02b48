from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker, reason
from tests.unit.sandbox.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed_crm(clock: Clock) -> Iterator[Asker]:
    """A sandbox whose time can be moved."""
    sandbox = Sandbox(clock=clock)
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def post(crm: Asker, lead_id: str, text: str = "x", **values: Any) -> dict[str, Any]:
    body = {"type": "Post", "post": text, "parentType": "Lead", "parentId": lead_id, **values}
    found: dict[str, Any] = crm.ok("POST", "Note", body)
    return found


def test_authors_edit_for_a_week_and_delete_for_a_month(timed_crm: Asker, clock: Clock) -> None:
    crm, day = timed_crm, 24 * 3600
    path = f"Note/{post(crm, crm.create('Lead', lastName='A')['id'])['id']}"
    clock.go_on(6 * day)
    assert crm.ok("PUT", path, {"post": "y"})["post"] == "y"
    clock.go_on(2 * day)
    assert reason(crm.send("PUT", path, {"post": "z"})) == (403, "No edit access.")
    clock.go_on(20 * day)
    assert crm.ok("DELETE", path) is True


def test_posts_of_others_are_theirs_but_an_administrator_edits_all(crm: Asker) -> None:
    path = f"Note/{post(crm, crm.create('Lead', lastName='A')['id'])['id']}"
    sales = crm.as_user("sales")
    assert sales.ok("GET", path)["post"] == "x"
    assert reason(sales.send("PUT", path, {"post": "y"})) == (403, "No edit access.")
    assert reason(sales.send("DELETE", path)) == (403, "No delete access.")
    assert crm.as_user("admin").ok("PUT", path, {"post": "y"})["post"] == "y"


def test_what_the_server_notes_is_nobodys_to_edit(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="A")
    (note,) = crm.notes(f"Lead/{lead['id']}/stream")
    assert crm.send("DELETE", f"Note/{note['id']}").status == 403


def test_who_may_not_see_the_record_may_not_see_the_post(crm: Asker) -> None:
    note = post(crm, crm.create("Lead", lastName="A")["id"])
    assert reason(crm.as_user("limited").send("GET", f"Note/{note['id']}")) == (403, "No 'read' access.")


def test_internal_posts_are_for_cases(crm: Asker) -> None:
    case = crm.create("Case", name="C")
    note = post(crm, case["id"], parentType="Case", isInternal=True)
    assert note["isInternal"] is True
    assert crm.read("Note", note["id"])["isInternal"] is True


def test_people_are_mentioned_by_their_user_names(crm: Asker) -> None:
    lead_id = crm.create("Lead", lastName="A")["id"]
    note = post(crm, lead_id, "Hi @sales, ask @nobody or me@sales (@admin).")
    assert sorted(note["data"]["mentions"]) == ["@admin", "@sales"]
    assert crm.ok("PUT", f"Note/{note['id']}", {"post": "Hi"})["data"] == {}


def test_a_post_for_people_needs_the_permission_to_write_to_them(crm: Asker) -> None:
    sales_id = crm.credentials["variables"]["sales_user_id"]
    body = {"post": "x", "targetType": "users", "usersIds": [sales_id]}
    assert reason(crm.as_user("limited").send("POST", "Note", body)) == (403, "No create access.")


def test_people_who_do_not_exist_cannot_be_written_to(crm: Asker) -> None:
    body = {"post": "x", "targetType": "users", "usersIds": ["0123456789abcdef0"]}
    reply = crm.send("POST", "Note", body)
    assert reply.status == 403
    assert b"cannotRelateNonExisting" in reply.content


def test_whoever_posts_follows_but_programs_do_not(crm: Asker) -> None:
    lead_id = crm.create("Lead", lastName="A")["id"]
    post(crm, lead_id)
    assert crm.ok("GET", f"Lead/{lead_id}/followers")["total"] == 0
    assert crm.read("Lead", lead_id)["isFollowed"] is False
    post(crm.as_user("sales"), lead_id)
    assert [user["userName"] for user in crm.ok("GET", f"Lead/{lead_id}/followers")["list"]] == ["sales"]


def test_no_more_than_five_posts_are_pinned(crm: Asker) -> None:
    lead_id = crm.create("Lead", lastName="A")["id"]
    ids = [post(crm, lead_id, str(i))["id"] for i in range(6)]
    for note_id in ids[:5]:
        crm.ok("POST", f"Note/{note_id}/pin")
    crm.ok("POST", f"Note/{ids[0]}/pin")
    assert crm.send("POST", f"Note/{ids[5]}/pin").status == 403
    crm.ok("DELETE", f"Note/{ids[0]}/pin")
    crm.ok("POST", f"Note/{ids[5]}/pin")
    pinned = crm.ok("GET", f"Lead/{lead_id}/stream", query="maxSize=1")["pinnedList"]
    assert [note["id"] for note in pinned] == ids[:0:-1]


def test_reactions_count_once_for_each_user(crm: Asker) -> None:
    note_id = post(crm, crm.create("Lead", lastName="A")["id"])["id"]
    for asker in (crm, crm, crm.as_user("sales")):
        asker.ok("POST", f"Note/{note_id}/myReactions/Like")
    assert crm.read("Note", note_id)["reactionCounts"] == {"Like": 2}
    assert crm.as_user("admin").read("Note", note_id)["myReactions"] == []
    assert crm.ok("GET", f"Note/{note_id}/reactors/Like")["total"] == 2
