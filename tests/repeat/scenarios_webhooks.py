"""Registering webhooks and unregistering them, with their keys in Airflow's Variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.webhook_secret import WebhookSecret, variable_name
from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator, EspoUnregisterWebhookOperator
from tests.repeat.harness import VARIABLES, Run, Scenario

if TYPE_CHECKING:
    from tests.repeat.crm import Crm

#: Of a type that no other task here writes.
EVENT = "KnowledgeBaseArticle.create"


def webhook(run: Run) -> dict[str, Any]:
    """Event and address, at a port that the sandbox allows."""
    return {"event": EVENT, "url": f"http://127.0.0.1:18098/{run.tag}"}


def with_key(crm: Crm, run: Run) -> dict[str, Any]:
    """A webhook of the task's user whose key is in Airflow."""
    made = crm.ask("POST", "Webhook", webhook(run), as_task_user=True)
    kept = WebhookSecret(made["secretKey"], EVENT, made["url"], crm.url)
    (run.folder / VARIABLES).write_text(json.dumps({variable_name(made["id"]): kept.to_text()}), encoding="utf-8")
    return {"id": made["id"]}


def without_key(crm: Crm, run: Run) -> dict[str, Any]:
    """A webhook of the task's user whose key is nowhere."""
    made = crm.ask("POST", "Webhook", webhook(run), as_task_user=True)
    return {"id": made["id"]}


def look(crm: Crm, run: Run, _result: Any) -> Any:
    """The webhooks, and whether Airflow has the key of each and no others."""
    where = [{"type": "equals", "attribute": "url", "value": webhook(run)["url"]}]
    found = crm.find("Webhook", where=where)
    file = run.folder / VARIABLES
    variables = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    keys = {name: json.loads(text)["secret"] for name, text in variables.items()}
    return {
        "webhooks": [{name: one[name] for name in ("event", "url", "isActive", "skipOwn")} for one in found],
        "of before": [one["id"] == run.made.get("id") for one in found],
        "keys fit": keys == {variable_name(one["id"]): one["secretKey"] for one in found},
        "keys": len(keys),
    }


SCENARIOS = (
    Scenario(
        "there is none",
        EspoRegisterWebhookOperator,
        webhook,
        "user, event, address; then whether Airflow has its key",
        look=look,
    ),
    Scenario(
        "there is one whose key is lost",
        EspoRegisterWebhookOperator,
        webhook,
        "user, event, address; then whether Airflow has its key",
        without_key,
        look,
    ),
    Scenario(
        "there is one",
        EspoRegisterWebhookOperator,
        webhook,
        "user, event, address; then whether Airflow has its key",
        with_key,
        look,
        changes=False,
    ),
    Scenario(
        "there is one",
        EspoUnregisterWebhookOperator,
        webhook,
        "user, event, address: one that is gone is a success",
        with_key,
        look,
    ),
)
