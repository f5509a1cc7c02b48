"""Webhooks are registered once, and their keys are where they belong and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk import Variable

from airflow_provider_espo.exceptions import (
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoValidationError,
)
from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator, EspoUnregisterWebhookOperator
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import Crm
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.variables import variables_in
from tests.webhook_receiver import receiving

URL = "http://127.0.0.1:18098/airflow"


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    kept: dict[str, str] = {}
    with variables_in(kept):
        yield kept


def register(**given: Any) -> Any:
    return run_task(EspoRegisterWebhookOperator(**{"task_id": "register", "event": "Lead.create", "url": URL, **given}))


def unregister(**given: Any) -> Any:
    task = EspoUnregisterWebhookOperator(**{"task_id": "unregister", "event": "Lead.create", "url": URL, **given})
    return run_task(task)


def webhooks(crm: SandboxCrm) -> list[dict[str, Any]]:
    """What is registered, the oldest first."""
    found: list[dict[str, Any]] = crm.asker.find("Webhook", orderBy="id", order="asc")["list"]
    return found


def writes(crm: SandboxCrm) -> list[str]:
    return [one.method for one in crm.sent if one.method != "GET"]


# --- registering


def test_a_webhook_is_registered_and_its_key_is_in_the_variable(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    result = register()
    [webhook] = webhooks(sandbox_crm)
    name = f"espo_webhook_secret_{webhook['id']}"
    assert result == {
        "id": webhook["id"],
        "action": "created",
        "event": "Lead.create",
        "url": URL,
        "secret_variable": name,
    }
    assert (webhook["isActive"], webhook["skipOwn"]) == (True, False)
    assert {one: json.loads(value) for one, value in variables.items()} == {
        name: {"secret": webhook["secretKey"], "event": "Lead.create", "url": URL, "site_url": Crm.url}
    }


def test_what_comes_in_is_signed_with_the_kept_key(sandbox_crm: SandboxCrm, variables: dict[str, str]) -> None:
    storage = sandbox_crm.sandbox.storage
    storage.settings = replace(storage.settings, webhooks_internal=True)
    with receiving() as receiver:
        result = register(url=receiver.url)
        sandbox_crm.asker.create("Lead", lastName="Nowak")
        sandbox_crm.sandbox.webhooks.run()
    [received] = receiver.received
    secret = json.loads(variables[result["secret_variable"]])["secret"]
    digest = hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
    assert base64.b64decode(received.headers["Signature"]).decode() == f"{result['id']}:{digest}"


def test_the_webhook_delivers_nothing_before_its_key_is_stored(
    sandbox_crm: SandboxCrm, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put, active = Variable.set, []

    def watching(*args: Any, **options: Any) -> None:
        active.append(webhooks(sandbox_crm)[0]["isActive"])
        put(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Variable, "set", watching)
        register()
    assert active == [False]
    assert webhooks(sandbox_crm)[0]["isActive"] is True


def test_registering_again_changes_nothing(sandbox_crm: SandboxCrm, variables: dict[str, str]) -> None:
    first = register()
    before = dict(variables)
    sandbox_crm.sent.clear()
    assert register() == {**first, "action": "unchanged"}
    assert writes(sandbox_crm) == []
    assert variables == before


def test_it_is_known_by_event_and_address(sandbox_crm: SandboxCrm, variables: dict[str, str]) -> None:
    ids = {
        register(event=event, url=url)["id"]
        for event in ("Lead.create", "Lead.update")
        for url in (URL, f"{URL}/2", URL.replace("airflow", "AIRFLOW"))
    }
    assert len(ids) == len(webhooks(sandbox_crm)) == len(variables) == 6


def test_webhooks_of_others_are_left_alone(
    sandbox_crm: SandboxCrm, variables: dict[str, str], connect: ConnectionSetter
) -> None:
    mine = register()
    credentials = sandbox_crm.credentials
    connect(login=credentials["admin_user"], password=credentials["admin_password"], extra={"auth_method": "basic"})
    assert register()["id"] != mine["id"]
    assert unregister()["action"] == "deleted"
    assert [webhook["id"] for webhook in webhooks(sandbox_crm)] == [mine["id"]]
    assert list(variables) == [mine["secret_variable"]]


def test_one_that_was_switched_off_is_switched_on(sandbox_crm: SandboxCrm, variables: dict[str, str]) -> None:
    first = register()
    sandbox_crm.asker.ok("PUT", f"Webhook/{first['id']}", {"isActive": False})
    assert register() == {**first, "action": "updated"}
    assert webhooks(sandbox_crm)[0]["isActive"] is True


def test_own_changes_are_left_out_on_request_also_later(sandbox_crm: SandboxCrm, variables: dict[str, str]) -> None:
    seen = [(register(skip_own=skip)["action"], webhooks(sandbox_crm)[0]["skipOwn"]) for skip in (True, True, False)]
    assert seen == [("created", True), ("unchanged", True), ("updated", False)]


@pytest.mark.parametrize("lost", [None, "", "not JSON", "[]", "{}", '{"secret": "other"}'])
def test_a_lost_key_means_registering_anew(
    sandbox_crm: SandboxCrm, variables: dict[str, str], lost: str | None
) -> None:
    first = register()
    name = first["secret_variable"]
    variables.pop(name)
    if lost is not None:
        variables[name] = lost
    second = register()
    assert second["action"] == "created"
    assert second["id"] != first["id"]
    assert [webhook["id"] for webhook in webhooks(sandbox_crm)] == [second["id"]]
    assert list(variables) == [second["secret_variable"]]


def test_a_key_that_does_not_fit_any_more_means_registering_anew(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    first = register()
    kept = json.loads(variables[first["secret_variable"]])
    variables[first["secret_variable"]] = json.dumps({**kept, "secret": "0" * 32})
    assert register()["action"] == "created"
    assert [webhook["secretKey"] for webhook in webhooks(sandbox_crm)] == [
        json.loads(value)["secret"] for value in variables.values()
    ]


def test_a_second_one_for_the_same_event_and_address_is_removed(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    first = register()
    sandbox_crm.asker.send("POST", "Webhook", {"event": "Lead.create", "url": URL})
    assert register() == {**first, "action": "unchanged"}
    assert [webhook["id"] for webhook in webhooks(sandbox_crm)] == [first["id"]]


@pytest.mark.parametrize("with_keys", [True, False])
def test_one_that_is_gone_is_registered_anew_and_its_key_is_forgotten_where_airflow_tells_the_names(
    sandbox_crm: SandboxCrm, with_keys: bool
) -> None:
    kept: dict[str, str] = {}
    with variables_in(kept, with_keys=with_keys):
        first, other = register(), register(event="Lead.update")
        sandbox_crm.asker.ok("DELETE", f"Webhook/{first['id']}")
        second = register()
    assert second["action"] == "created"
    gone = [] if with_keys else [first["secret_variable"]]
    assert sorted(kept) == sorted([*gone, other["secret_variable"], second["secret_variable"]])


def test_a_copy_of_an_espocrm_does_not_take_the_key_of_the_original(
    sandbox_crm: SandboxCrm, variables: dict[str, str], connect: ConnectionSetter
) -> None:
    original = register()
    kept = variables[original["secret_variable"]]
    # The copy has the same webhooks, with the same ids, at another address.
    variables[original["secret_variable"]] = kept.replace(Crm.url, "https://original.example.com")
    assert register()["id"] != original["id"]
    assert "https://original.example.com" in variables[original["secret_variable"]]


# --- keys that cannot be kept


def test_where_the_key_cannot_be_stored_the_webhook_is_taken_back(
    sandbox_crm: SandboxCrm, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise RuntimeError("no right")

    with monkeypatch.context() as patch:
        patch.setattr(Variable, "set", refuse)
        with pytest.raises(EspoError, match="could not be stored in the Airflow Variable espo_webhook_secret_"):
            register()
    assert webhooks(sandbox_crm) == []


def test_where_airflow_reads_another_value_the_webhook_is_taken_back(
    sandbox_crm: SandboxCrm, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Variable, "set", lambda *args, **options: None)
        with pytest.raises(EspoError, match="Airflow reads something else"):
            register()
    assert webhooks(sandbox_crm) == []


def test_the_key_is_in_no_log_and_no_result(
    sandbox_crm: SandboxCrm,
    variables: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    masked: list[Any] = []
    monkeypatch.setattr("airflow_provider_espo.compat.mask", masked.append)
    with caplog.at_level(logging.DEBUG):
        results = [register(), register(), unregister()]
    keys = {value for value in masked if isinstance(value, str) and value != sandbox_crm.credentials["api_key"]}
    assert [len(key) for key in keys] == [32]
    assert not [key for key in keys if key in caplog.text or key in json.dumps(results)]


# --- what EspoCRM refuses


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("Lead.fieldUpdate.nope", "Field does not exist.*the field's name"),
        ("Account.fieldUpdate.assignedUserId", "Field does not exist.*assignedUser:"),
        ("Note.create", "not available for Webhooks.*Give Entity.create"),
    ],
)
def test_an_event_that_espocrm_does_not_have_is_explained(
    sandbox_crm: SandboxCrm, variables: dict[str, str], event: str, says: str
) -> None:
    with pytest.raises(EspoForbiddenError, match=says):
        register(event=event)
    assert variables == {}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://10.0.0.1/x", "https://airflow.internal/x"])
def test_a_refused_internal_address_is_explained(sandbox_crm: SandboxCrm, variables: dict[str, str], url: str) -> None:
    with pytest.raises(EspoValidationError, match="only if its administrator allows host:port") as caught:
        register(url=url)
    assert caught.value.rule == "notInternal"
    assert url not in str(caught.value)


def test_a_user_without_the_right_is_told_so(
    sandbox_crm: SandboxCrm, variables: dict[str, str], connect: ConnectionSetter
) -> None:
    connect(password=sandbox_crm.credentials["limited_api_key"])
    for work in (register, unregister):
        with pytest.raises(EspoForbiddenError, match="API users with a role that has Webhooks switched on"):
            work()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"event": "Lead"}, "not an event"),
        ({"event": "Lead.created"}, "not an event"),
        ({"event": "Lead.fieldUpdate"}, "not an event"),
        ({"event": ["Lead.create"]}, "not an event"),
        ({"url": "airflow.example.com/x"}, "not an http or https address"),
        ({"url": "ftp://airflow.example.com/x"}, "not an http or https address"),
        ({"url": "http:///x"}, "not an http or https address"),
        ({"url": "https://airflow.example.com/x\ny"}, "not an http or https address"),
        ({"url": "https://airflow.example.com/x y"}, "not an http or https address"),
        ({"url": "http://airflow.example.com:99999/x"}, "not an http or https address"),
        ({"url": f"https://airflow.example.com/{'x' * 512}"}, "not an http or https address"),
        ({"url": None}, "not an http or https address"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    sandbox_crm: SandboxCrm, variables: dict[str, str], given: dict[str, Any], says: str
) -> None:
    for work in (register, unregister):
        with pytest.raises(EspoInputError, match=says):
            work(**given)
    assert sandbox_crm.sent == []


# --- lost answers and older servers


def test_a_webhook_whose_answer_got_lost_is_found_again(
    sandbox_crm: SandboxCrm, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = sandbox_crm.sandbox.handle
    lost: list[Any] = []

    def losing(request: Any) -> Any:
        reply = handle(request)
        if request.method == "POST" and not lost:
            lost.append(reply)
            reply.status, reply.content = 502, b""
        return reply

    monkeypatch.setattr(sandbox_crm.sandbox, "handle", losing)
    result = register()
    assert len(lost) == 1
    assert [webhook["id"] for webhook in webhooks(sandbox_crm)] == [result["id"]]


def without_skip_own(crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    """EspoCRM before 9.2."""
    handle = crm.sandbox.handle

    def older(request: Any) -> Any:
        reply = handle(request)
        if b'"skipOwn"' in reply.content:
            found = json.loads(reply.content)
            for one in [found, *found.get("list", ())]:
                one.pop("skipOwn", None)
            reply.content = json.dumps(found).encode()
        return reply

    monkeypatch.setattr(crm.sandbox, "handle", older)


def test_an_older_espocrm_that_cannot_leave_out_own_changes_is_an_error(
    sandbox_crm: SandboxCrm, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_skip_own(sandbox_crm, monkeypatch)
    with pytest.raises(EspoInputError, match="This EspoCRM has no skip_own for webhooks"):
        register(skip_own=True)
    assert webhooks(sandbox_crm) == []
    first = register()
    assert register() == {**first, "action": "unchanged"}


# --- unregistering


def test_a_webhook_is_removed_with_its_key_and_a_second_time_is_a_success(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    result = register()
    assert unregister() == {**result, "action": "deleted"}
    assert webhooks(sandbox_crm) == []
    assert variables == {}
    missing = {"id": None, "action": "missing", "event": "Lead.create", "url": URL, "secret_variable": None}
    assert unregister() == missing


def test_only_the_webhook_of_the_event_and_address_is_removed(
    sandbox_crm: SandboxCrm, variables: dict[str, str]
) -> None:
    register()
    other = register(event="Lead.update")
    unregister()
    assert [webhook["id"] for webhook in webhooks(sandbox_crm)] == [other["id"]]
    assert list(variables) == [other["secret_variable"]]


def test_a_webhook_whose_key_was_lost_is_removed_too(sandbox_crm: SandboxCrm, variables: dict[str, str]) -> None:
    register()
    variables.clear()
    assert unregister()["action"] == "deleted"
    assert webhooks(sandbox_crm) == []
