"""Airflow's API server has the receiver where it is switched on, and answers for it where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_espo.sandbox.webhook_sender import outcome_of

CODE = """
import asyncio, json
import httpx
from airflow.api_fastapi.app import create_app

async def statuses():
    transport = httpx.ASGITransport(create_app(apps="core"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        paths = ("/espo/webhooks", "/espo/webhooks/", "/espo", "/espo/other")
        return {path: (await client.post(path, content=b"[]")).status_code for path in paths}

print(json.dumps(asyncio.run(statuses())))
"""


def statuses(enabled: bool) -> dict[str, int]:
    environment = {**os.environ, "AIRFLOW__ESPO__WEBHOOK_RECEIVER_ENABLED": str(enabled)}
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True, env=environment)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.usefixtures("airflow_database")
def test_switched_on_it_is_there_with_and_without_a_slash() -> None:
    found = statuses(True)
    assert (found["/espo/webhooks"], found["/espo/webhooks/"]) == (401, 401)
    assert {outcome_of(status) for status in found.values()} == {"retry"}


@pytest.mark.usefixtures("airflow_database")
def test_switched_off_airflow_gives_an_answer_after_which_espocrm_tries_again() -> None:
    found = statuses(False)
    assert set(found.values()) == {405}
    assert outcome_of(405) == "retry"
