"""Webhooks start DAGs, and nothing is lost while the API server is killed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.chaos import SEED, Writer, arrivals, kill_at_random
from tests.e2e.processes import wait_for
from tests.e2e.proxy import proxy
from tests.e2e.stack import Stack

KILLS = int(os.environ.get("ESPO_E2E_WEBHOOK_KILLS", "20"))


@pytest.fixture(scope="module")
def answers(stack: Stack) -> Iterator[Counter[int]]:
    """A registered webhook; what its deliveries were answered with."""
    with proxy(stack.proxy_port, stack.api_port) as answers:
        stack.unpause("register_webhook")
        run = stack.trigger("register_webhook", url=f"http://127.0.0.1:{stack.proxy_port}/espo/webhooks")
        assert stack.finished("register_webhook", run) == "success"
        yield answers


def _told(stack: Stack) -> list[tuple[float, list[str]]]:
    return [(event["timestamp"].timestamp(), event["extra"]["ids"]) for event in stack.asset_events("crm_leads")]


def _ids(stack: Stack) -> set[str]:
    return {one for _, ids in _told(stack) for one in ids}


def test_a_webhook_starts_a_run(stack: Stack, answers: Counter[int]) -> None:
    stack.unpause("on_webhook_lead")
    lead = stack.new_lead(lastName="Secretive")
    (run,) = wait_for("A run", lambda: stack.runs("on_webhook_lead"), 60)
    assert stack.finished("on_webhook_lead", run["dag_run_id"]) == "success"
    assert stack.xcom("on_webhook_lead", run["dag_run_id"], "ids") == [lead]
    assert "Secretive" not in str(stack.asset_events("crm_leads"))
    assert set(answers) == {200}
    stack.pause("on_webhook_lead")


def test_what_is_not_a_delivery_is_refused_and_leaves_nothing(stack: Stack, answers: Counter[int]) -> None:
    before = len(_told(stack))
    (name,) = [
        one["key"] for one in stack.api("GET", "variables")["variables"] if one["key"].startswith("espo_webhook_secret")
    ]
    ((kept,),) = [(stack.api("GET", f"variables/{name}")["value"],)]
    # The API masks it, as the user interface does.
    assert "secret" not in kept or json.loads(kept)["secret"] == "***"
    webhook_id = name.removeprefix("espo_webhook_secret_")
    key = stack.crm("GET", f"Webhook/{webhook_id}")["secretKey"]
    body = b'[{"id": "6746d1f3a0b1c2d3e"}]'
    deep = b"[" * 10_000 + b"]" * 10_000

    with httpx.Client(base_url=stack.url, trust_env=False, timeout=30) as client:

        def post(body: bytes, **headers: str) -> int:
            return client.post("/espo/webhooks", content=body, headers=headers).status_code

        assert post(body) == 401
        assert post(body, Signature=_signature(webhook_id, "wrong", body)) == 401
        assert post(b" " * 10_000_000, Signature=_signature(webhook_id, key, b"")) == 413
        assert post(deep, Signature=_signature(webhook_id, key, deep)) == 400
    assert len(_told(stack)) == before
    log = stack.services["api-server"].log.read_text(encoding="utf-8", errors="replace")
    assert key not in log
    assert "[[[[" not in log


def test_no_change_is_lost_however_often_the_api_server_dies(stack: Stack, answers: Counter[int]) -> None:
    answers.clear()
    with Writer(stack, 0.5, ["Other"]) as writer:

        def takes_all(since: float) -> bool:
            """Whether deliveries are taken again, and those that were refused came.

            EspoCRM tries four times in all, ten minutes apart; here it is seconds, and longer outages are not meant.
            """
            old = set(writer.made["Other"][:-12])
            return stack.is_up() and old <= _ids(stack)

        kills = kill_at_random(stack, "api-server", KILLS, takes_all, early=0)
    stack.wait_until_healthy()
    made = writer.made["Other"]
    wait_for("All leads", lambda: set(made) <= _ids(stack), 120)
    found = arrivals(made, _told(stack), kills)
    print(f"\n{KILLS} deaths (seed {SEED}), {len(made)} leads, answers {dict(answers)}, repeats: {len(found.repeated)}")
    assert found.lost == set()
    assert found.unexplained == set()


def _signature(webhook_id: str, key: str, body: bytes) -> str:
    digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return base64.b64encode(f"{webhook_id}:{digest}".encode()).decode()
