"""Webhooks as time goes by: a running sandbox delivers by itself, ends when it is told to, and goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.server import SandboxServer
from airflow_provider_espo.sandbox.settings import Settings
from tests.unit.sandbox.asking import Asker, reason
from tests.webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def asker_of(sandbox: Sandbox) -> Asker:
    """Asks as the API user with all rights."""
    credentials = ensure_fixture(sandbox.storage)
    return Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})


def register(crm: Asker, url: str) -> None:
    reply = crm.send("POST", "Webhook", {"event": "Lead.create", "url": url})
    assert reply.status == 201, reason(reply)


def names(receiver: Receiver) -> list[list[Any]]:
    return [[change["lastName"] for change in json.loads(request.body)] for request in receiver.received]


def test_what_waits_is_delivered_by_a_sandbox_that_goes_on_with_the_database(
    receiver: Receiver, tmp_path: Path
) -> None:
    settings, file = Settings(webhooks_internal=True), str(tmp_path / "crm.sqlite")
    sandbox = Sandbox(file, settings=settings)
    crm = asker_of(sandbox)
    register(crm, receiver.url)
    crm.create("Lead", lastName="A")
    sandbox.close()
    sandbox = Sandbox(file, settings=settings)
    assert sandbox.webhooks.waiting() == 1
    asker_of(sandbox).create("Lead", lastName="B")
    sandbox.webhooks.run()
    sandbox.close()
    assert names(receiver) == [["A", "B"]]


def test_a_running_server_delivers_by_itself(receiver: Receiver) -> None:
    with SandboxServer(webhook_delay=0, settings=Settings(webhooks_internal=True)) as server:
        crm = asker_of(server.sandbox)
        register(crm, receiver.url)
        crm.create("Lead", lastName="A")
        assert receiver.arrived.wait(20)
    assert names(receiver) == [["A"]]
