"""DAGs of the live test that EspoCRM starts by a webhook."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_espo.assets.espo import espo_asset
from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator

START = pendulum.datetime(2026, 1, 1, tz="UTC")

leads = espo_asset("Lead", host=os.environ.get("ESPO_E2E_CRM", "http://127.0.0.1"), name="crm_leads")


@dag(schedule=None, start_date=START, params={"url": Param("", type="string")})
def register_webhook() -> None:
    """Has the CRM tell of new leads."""
    EspoRegisterWebhookOperator(task_id="register", event="Lead.create", url="{{ params.url }}")


@dag(schedule=leads, start_date=START)
def on_webhook_lead() -> None:
    """Runs when the CRM told of leads."""

    @task
    def ids(triggering_asset_events=None) -> list[str]:  # type: ignore[no-untyped-def]
        return [one for event in triggering_asset_events[leads] for one in event.extra["ids"]]

    ids()


register_webhook()
on_webhook_lead()
