from __future__ import annotations

from tests.unit.sandbox.asking import Asker, reason


def followers(crm: Asker, lead_id: str) -> list[str]:
    return [user["userName"] for user in crm.ok("GET", f"Lead/{lead_id}/followers")["list"]]


def test_letting_others_follow_needs_a_permission(crm: Asker) -> None:
    lead_id, variables = crm.create("Lead", lastName="A")["id"], crm.credentials["variables"]
    sales = crm.as_user("sales")
    body = {"ids": [variables["admin_user_id"]]}
    assert sales.send("POST", f"Lead/{lead_id}/followers", body).status == 403
    assert followers(crm, lead_id) == []
    crm.ok("POST", f"Lead/{lead_id}/followers", body)
    assert sales.send("DELETE", f"Lead/{lead_id}/followers", body).status == 403
    assert followers(crm, lead_id) == ["admin"]
    crm.ok("DELETE", f"Lead/{lead_id}/followers", body)
    assert followers(crm, lead_id) == []


def test_who_may_not_see_a_record_is_not_made_to_follow_it(crm: Asker) -> None:
    lead_id, admin = crm.create("Lead", lastName="A")["id"], crm.as_user("admin")
    nobody = admin.create("User", userName="nobody", lastName="Nobody", type="regular", password="Secret123")
    assert crm.ok("POST", f"Lead/{lead_id}/followers", {"id": nobody["id"]}) is True
    assert followers(crm, lead_id) == []


def test_one_comes_first_among_the_followers(crm: Asker) -> None:
    lead_id, variables = crm.create("Lead", lastName="A")["id"], crm.credentials["variables"]
    ids = [variables["sales_user_id"], variables["admin_user_id"]]
    crm.ok("POST", f"Lead/{lead_id}/followers", {"ids": ids})
    assert followers(crm.as_user("sales"), lead_id) == ["sales", "admin"]
    assert followers(crm.as_user("admin"), lead_id) == ["admin", "sales"]


def test_followers_have_to_be_named(crm: Asker) -> None:
    lead_id = crm.create("Lead", lastName="A")["id"]
    assert crm.send("POST", f"Lead/{lead_id}/followers", {}).status == 400


def test_types_without_a_stream_are_not_followed(crm: Asker) -> None:
    list_id = crm.create("TargetList", name="T")["id"]
    assert reason(crm.send("PUT", f"TargetList/{list_id}/subscription")) == (403, "No stream access.")


def test_types_without_stars_get_none(crm: Asker) -> None:
    lead_id = crm.create("Lead", lastName="A")["id"]
    assert crm.as_user("sales").send("PUT", f"Lead/{lead_id}/starSubscription").status == 403


def test_a_star_is_ones_own(crm: Asker) -> None:
    account_id = crm.create("Account", name="A")["id"]
    crm.as_user("sales").ok("PUT", f"Account/{account_id}/starSubscription")
    assert crm.as_user("sales").read("Account", account_id)["isStarred"] is True
    assert crm.as_user("admin").read("Account", account_id)["isStarred"] is False
