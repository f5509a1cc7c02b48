"""DAGs of the live test that are looked at in the browser."""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, dag, task

from airflow_provider_espo.operators.record import EspoCreateRecordOperator, EspoUpdateRecordOperator
from airflow_provider_espo.operators.stream import EspoPostToStreamOperator

START = pendulum.datetime(2026, 1, 1, tz="UTC")

new_leads = Asset("new_leads")


@dag(schedule=None, start_date=START)
def take_lead() -> None:
    """Makes a lead and tells of it."""
    lead = EspoCreateRecordOperator(
        task_id="create_lead", entity_type="Lead", attributes={"lastName": "Roe", "source": "Other"}
    )
    qualified = EspoUpdateRecordOperator(
        task_id="qualify",
        entity_type="Lead",
        record_id=lead.output["id"],  # type: ignore[index]
        attributes={"status": "In Process"},
    )
    told = EspoPostToStreamOperator(
        task_id="tell",
        entity_type="Lead",
        record_id=lead.output["id"],  # type: ignore[index]
        post="Taken",
        outlets=[new_leads],
    )
    qualified >> told


@dag(schedule=new_leads, start_date=START)
def welcome_lead() -> None:
    """Comes after it."""

    @task
    def welcome() -> None:
        return None

    welcome()


take_lead()
welcome_lead()
