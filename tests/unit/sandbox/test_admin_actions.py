from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.asking import Asker, reason


@pytest.fixture
def admin(crm: Asker) -> Asker:
    return crm.as_user("admin")


def formula(admin: Asker, expression: str, **target: str) -> Any:
    return admin.ok("POST", "Formula/action/run", {"expression": expression, **target})


# --- scripts ---


def test_a_script_that_fails_saves_nothing(crm: Asker, admin: Asker) -> None:
    lead_id = crm.create("Lead", lastName="L")["id"]
    answer = formula(admin, "status = 'Dead'; output\\print('x'); nope()", targetType="Lead", targetId=lead_id)
    assert answer == {"isSuccess": False, "message": "Unknown function: nope", "isSyntaxError": False, "output": "x"}
    assert crm.read("Lead", lead_id)["status"] == "New"


def test_a_script_reads_what_its_record_points_to(crm: Asker, admin: Asker) -> None:
    account_id = crm.create("Account", name="Acme", website="acme.example.com")["id"]
    contact_id = crm.create("Contact", lastName="C", accountId=account_id)["id"]
    text = "output\\printLine(account.name); output\\printLine(account.website); output\\printLine(campaign.name)"
    answer = formula(admin, text, targetType="Contact", targetId=contact_id)
    assert answer["output"] == "Acme\nacme.example.com\nnull"


def test_what_a_script_sets_is_saved_in_the_administrators_name(crm: Asker, admin: Asker) -> None:
    lead = crm.create("Lead", lastName="L")
    formula(admin, "description = string\\concatenate(lastName, '!')", targetType="Lead", targetId=lead["id"])
    found = crm.read("Lead", lead["id"])
    assert (found["description"], found["modifiedByName"]) == ("L!", "Admin")


def test_a_script_that_sets_nothing_new_leaves_the_record_alone(crm: Asker, admin: Asker) -> None:
    lead_id = crm.create("Lead", lastName="L")["id"]
    formula(admin, "status = 'New'", targetType="Lead", targetId=lead_id)
    assert crm.read("Lead", lead_id)["modifiedById"] is None


@pytest.mark.parametrize("target", [{"targetType": "Lead", "targetId": "x"}, {"targetType": "No", "targetId": "x"}])
def test_an_unknown_target_is_not_found(admin: Asker, target: dict[str, str]) -> None:
    assert admin.send("POST", "Formula/action/run", {"expression": "1", **target}).status == 404


@pytest.mark.parametrize("action", ["run", "checkSyntax"])
def test_scripts_are_for_administrators(crm: Asker, admin: Asker, action: str) -> None:
    assert reason(crm.send("POST", f"Formula/action/{action}", {"expression": "1"})) == (403, "")
    answer = reason(admin.send("POST", f"Formula/action/{action}", {"expression": 1}))
    assert answer == (400, "No or non-string expression.")


# --- deleted records ---


def test_a_restored_record_is_found_again_but_not_its_followers(crm: Asker, admin: Asker) -> None:
    lead_id = crm.create("Lead", lastName="L")["id"]
    crm.as_user("sales").ok("PUT", f"Lead/{lead_id}/subscription")
    crm.ok("DELETE", f"Lead/{lead_id}")
    assert admin.ok("POST", "Lead/action/restoreDeleted", {"id": lead_id}) is True
    assert [lead["id"] for lead in crm.find("Lead")["list"]] == [lead_id]
    assert crm.read("Lead", lead_id)["followersIds"] == []


# --- API users ---


def api_user(crm: Asker, admin: Asker, method: str) -> tuple[Asker, Any]:
    user = admin.create("User", userName=f"u{method}", lastName="U", type="api", authMethod=method)
    return Asker(crm.sandbox, crm.credentials, {"X-Api-Key": user["apiKey"]}), user


def test_a_new_key_takes_the_place_of_the_old_one(crm: Asker, admin: Asker) -> None:
    old, user = api_user(crm, admin, "ApiKey")
    answer = admin.ok("POST", "UserSecurity/apiKey/generate", {"id": user["id"]})
    assert answer["apiKey"] != user["apiKey"]
    assert "secretKey" not in answer
    assert old.send("GET", "App/user").status == 401
    assert crm.send("GET", "App/user", headers={"X-Api-Key": answer["apiKey"]}).status == 200


def test_who_signs_gets_a_new_secret_too(crm: Asker, admin: Asker) -> None:
    _, user = api_user(crm, admin, "Hmac")
    answer = admin.ok("POST", "UserSecurity/apiKey/generate", {"id": user["id"]})
    assert answer["secretKey"] not in (None, user["secretKey"])


@pytest.mark.parametrize(("body", "status"), [({}, 400), ({"id": "nope"}, 404)])
def test_no_key_for_nobody(admin: Asker, body: dict[str, str], status: int) -> None:
    assert admin.send("POST", "UserSecurity/apiKey/generate", body).status == status


def test_only_api_users_get_keys_and_only_from_administrators(crm: Asker, admin: Asker) -> None:
    variables = crm.credentials["variables"]
    path = "UserSecurity/apiKey/generate"
    assert admin.send("POST", path, {"id": variables["sales_user_id"]}).status == 403
    assert crm.send("POST", path, {"id": variables["api_user_id"]}).status == 403


def test_an_administrator_sees_anybodys_rights(crm: Asker, admin: Asker) -> None:
    limited = crm.credentials["variables"]["limited_user_id"]
    assert admin.ok("GET", f"User/{limited}/acl") == crm.as_user("limited").ok("GET", "App/user")["acl"]
    assert admin.send("GET", "User/nope/acl").status == 404
    assert crm.send("GET", f"User/{limited}/acl").status == 403
