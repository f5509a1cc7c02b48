from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.auth import hash_password, is_password
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker, reason


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_stored_password_is_salted() -> None:
    assert hash_password("x") != hash_password("x")
    assert is_password("x", hash_password("x"))
    assert not is_password("y", hash_password("x"))


def test_secrets_of_a_database_stay(crm: Asker) -> None:
    """Who starts a sandbox anew on its file goes on with the same connection; also after a password was changed."""
    user_id = crm.credentials["variables"]["sales_user_id"]
    crm.as_user("admin").ok("PUT", f"User/{user_id}", {"password": "another"})
    assert crm.as_user("sales").send("GET", "App/about").status == 401
    assert ensure_fixture(crm.sandbox.storage) == crm.credentials
    assert crm.as_user("sales").send("GET", "App/about").status == 200
    assert crm.send("GET", "App/about").status == 200


def test_each_database_has_secrets_of_its_own(crm: Asker) -> None:
    other = Sandbox()
    credentials = ensure_fixture(other.storage)
    other.close()
    secret = ("api_key", "hmac_api_key", "hmac_secret_key", "limited_api_key", "sales_password", "admin_password")
    assert not {credentials[name] for name in secret} & {crm.credentials[name] for name in secret}


def test_inactive_user_is_refused(crm: Asker) -> None:
    user_id = crm.credentials["variables"]["sales_user_id"]
    sales = crm.as_user("sales")
    assert sales.send("GET", "App/user").status == 200
    crm.as_user("admin").ok("PUT", f"User/{user_id}", {"isActive": False})
    assert sales.send("GET", "App/user").status == 401


def test_user_name_is_found_in_any_letter_case(crm: Asker) -> None:
    password = crm.credentials["sales_password"]
    asker = Asker(crm.sandbox, crm.credentials, basic(f"SALES:{password}"))
    assert asker.ok("GET", "App/user")["user"]["userName"] == "sales"


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Basic Og==", "Digest abc", "Basic w7w="])
def test_odd_basic_headers_are_401_and_never_an_error(crm: Asker, header: str) -> None:
    asker = Asker(crm.sandbox, crm.credentials, {"Authorization": header})
    assert asker.send("GET", "App/user").status == 401


def test_token_cookie_is_a_login(crm: Asker) -> None:
    from airflow_provider_espo.sandbox.http import Request

    pair = base64.b64encode(f"sales:{crm.credentials['sales_password']}".encode()).decode()
    token = Asker(crm.sandbox, crm.credentials, {"Espo-Authorization": pair}).ok("GET", "App/user")["token"]
    reply = crm.sandbox.handle(Request("GET", "/App/user", "", {}, cookies={"auth-token": token}))
    assert reply.status == 200
    assert crm.sandbox.handle(Request("GET", "/App/user", "", {}, cookies={"auth-token": "0"})).status == 401


def test_admin_cannot_act_as_an_api_user(crm: Asker) -> None:
    admin = crm.as_user("admin")
    assert admin.send("GET", "App/user", headers={"X-Another-User": "sales"}).status == 200
    assert admin.send("GET", "App/user", headers={"X-Another-User": "airflow_key"}).status == 401


def test_settings_need_no_login_but_a_wrong_one_is_refused(crm: Asker) -> None:
    nobody = Asker(crm.sandbox, crm.credentials, {})
    assert "baseCurrency" not in nobody.ok("GET", "Settings")
    assert crm.ok("GET", "Settings")["baseCurrency"] == "USD"
    assert reason(nobody.send("GET", "Settings", headers={"X-Api-Key": "wrong"})) == (401, None)


def test_administrator_makes_users_that_can_log_in(crm: Asker) -> None:
    admin = crm.as_user("admin")
    role = crm.credentials["variables"]["role_full_id"]
    bot = admin.create("User", userName="bot", lastName="Bot", type="api", authMethod="ApiKey", rolesIds=[role])
    assert admin.read("User", bot["id"])["apiKey"] == bot["apiKey"]
    by_key = Asker(crm.sandbox, crm.credentials, {"X-Api-Key": bot["apiKey"]})
    assert by_key.send("GET", "Lead").status == 200
    person = {"userName": "eve", "lastName": "Eve", "type": "regular", "password": "Vogelbeere7", "rolesIds": [role]}
    made = admin.create("User", **person)
    assert "password" not in made
    assert Asker(crm.sandbox, crm.credentials, basic("eve:Vogelbeere7")).send("GET", "Lead").status == 200
    assert reason(admin.send("POST", "User", person)) == (409, "userNameExists")
    admin.ok("DELETE", f"User/{made['id']}")
    assert Asker(crm.sandbox, crm.credentials, basic("eve:Vogelbeere7")).send("GET", "Lead").status == 401


def test_secrets_of_users_are_for_administrators(crm: Asker) -> None:
    user_id = crm.credentials["variables"]["limited_user_id"]
    assert crm.credentials["limited_api_key"] not in crm.send("GET", f"User/{user_id}").content.decode()
    assert crm.credentials["limited_api_key"] not in crm.send("GET", "User").content.decode()
    where = [{"type": "startsWith", "attribute": "apiKey", "value": "a"}]
    assert crm.send("GET", "User", query="searchParams=" + quote(json.dumps({"where": where}))).status == 400
