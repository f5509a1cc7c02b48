"""The sandbox delivers webhooks in the form in which a real EspoCRM delivered them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.settings import Settings
from airflow_provider_espo.sandbox.webhook_bodies import encoded
from airflow_provider_espo.sandbox.webhook_sender import Delivery
from tests.unit.sandbox.asking import Asker
from tests.webhook_receiver import Received, Receiver, receiving

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "webhook_deliveries.json").read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in RECORDED["webhooks"]}
DELIVERIES = [(case["webhook"], delivery) for case in CASES.values() for delivery in case["deliveries"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def crm() -> Iterator[Asker]:
    sandbox = Sandbox(settings=Settings(webhooks_internal=True))
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def trigger(crm: Asker, steps: list[dict[str, Any]]) -> None:
    """Do what was done while the deliveries were recorded, with the ids of this sandbox."""
    record_id = ""
    for step in steps:
        entity_type = step["path"].partition("/")[0]
        values = dict(step.get("json") or {})
        if "assignedUserId" in values:
            values["assignedUserId"] = crm.credentials["variables"]["sales_user_id"]
        match step["method"]:
            case "POST":
                record_id = crm.create(entity_type, **values)["id"]
            case "PUT":
                crm.ok("PUT", f"{entity_type}/{record_id}", values)
            case "DELETE":
                crm.ok("DELETE", f"{entity_type}/{record_id}")


def normalised(changes: list[dict[str, Any]]) -> str:
    """Changes with ids numbered by their first appearance, and without times."""
    text = json.dumps(changes, sort_keys=True)
    ids = list(dict.fromkeys(re.findall(r'"[0-9a-f]{17}"', text)))
    for index, record_id in enumerate(ids):
        text = text.replace(record_id, f'"id {index}"')
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "time", text)


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_delivered_as_recorded(crm: Asker, receiver: Receiver, name: str) -> None:
    case = CASES[name]
    order = {"event": case["webhook"]["event"], "url": f"{receiver.url}/{name}", "skipOwn": case["webhook"]["skipOwn"]}
    webhook = json.loads(crm.send("POST", "Webhook", order).content)
    trigger(crm, case["trigger"])
    crm.sandbox.webhooks.run()
    assert len(receiver.received) == len(case["deliveries"])
    for received, recorded in zip(receiver.received, case["deliveries"], strict=True):
        assert (received.method, received.path) == (recorded["method"], recorded["path"])
        assert normalised(received.changes) == normalised(json.loads(recorded["body"]))
        assert same_form(received, recorded)
        assert is_signed(received, webhook)


def same_form(received: Received, recorded: dict[str, Any]) -> bool:
    """Whether the same headers came, those that do not depend on the content with the same value."""
    fixed = ("User-Agent", "Content-Type")
    return received.headers.keys() == recorded["headers"].keys() and all(
        received.headers[name] == recorded["headers"][name] for name in fixed
    )


def is_signed(received: Received, webhook: dict[str, Any]) -> bool:
    """Whether both signatures are of the body that came, by the key that registering gave."""
    mac = hmac.new(webhook["secretKey"].encode(), received.body, hashlib.sha256)
    expected = {"Signature": mac.hexdigest().encode(), "X-Signature": mac.digest()}
    return all(
        base64.b64decode(received.headers[name]) == webhook["id"].encode() + b":" + digest
        for name, digest in expected.items()
    )


@pytest.mark.parametrize(("webhook", "delivery"), DELIVERIES)
def test_recorded_bodies_get_the_recorded_signatures(webhook: dict[str, Any], delivery: dict[str, Any]) -> None:
    headers = Delivery(webhook["id"], webhook["url"], webhook["secretKey"], delivery["body"].encode()).headers()
    assert headers.items() <= delivery["headers"].items()


@pytest.mark.parametrize(("webhook", "delivery"), DELIVERIES)
def test_bodies_are_written_as_recorded(webhook: dict[str, Any], delivery: dict[str, Any]) -> None:
    assert encoded(json.loads(delivery["body"])) == delivery["body"].encode()


def test_a_receiver_that_answers_410_is_rid_of_the_webhook(crm: Asker, receiver: Receiver) -> None:
    webhook = json.loads(crm.send("POST", "Webhook", {"event": "Lead.create", "url": receiver.url}).content)
    receiver.answers = [410]
    crm.create("Lead", lastName="A")
    crm.sandbox.webhooks.run()
    status = crm.send("GET", f"Webhook/{webhook['id']}").status
    assert status == RECORDED["receiver_answers_410"]["webhook_status_after"]
