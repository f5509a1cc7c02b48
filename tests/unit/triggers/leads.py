"""Leads of a CRM that is watched, and what watches them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from tests.unit.crm import Sent
from tests.unit.sandbox_crm import NOW, SandboxCrm


def on_time(crm: SandboxCrm) -> None:
    """Have it the same time at the CRM as on the event loop."""
    crm.now = NOW + timedelta(seconds=asyncio.get_running_loop().time())


def trigger(**given: Any) -> EspoRecordEventTrigger:
    """A trigger of leads."""
    arguments: dict[str, Any] = {"entity_type": "Lead", "poll_interval": 5.0}
    return EspoRecordEventTrigger(**(arguments | given))


def add(crm: SandboxCrm, count: int = 1, **values: Any) -> list[str]:
    """Make leads, and return their ids."""
    on_time(crm)
    return [crm.asker.create("Lead", **({"lastName": "Roe"} | values))["id"] for _ in range(count)]


def polls(crm: SandboxCrm) -> list[Sent]:
    """Requests that only asked whether there is anything new."""
    return [one for one in crm.sent if one.method == "GET" and one.path == "Lead" and one.search["order"] == "desc"]
