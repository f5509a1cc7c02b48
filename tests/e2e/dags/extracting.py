"""DAG of the live test that reads the CRM with several workers."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import dag

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.partitions import EspoCompletePartitionsOperator, EspoPlanPartitionsOperator

PARTS = 4
FOLDER = os.path.join(os.environ.get("ESPO_E2E_OUT", "."), "leads")


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"))
def extract_leads() -> None:
    """Leads into files, a quarter in each of four mapped tasks."""
    plan = EspoPlanPartitionsOperator(task_id="plan", entity_type="Lead", partitions=PARTS, min_records=100)
    extract = EspoToObjectStorageOperator.partial(
        task_id="extract", entity_type="Lead", path=FOLDER, select=["lastName", "status"]
    ).expand(partition=plan.output)
    complete = EspoCompletePartitionsOperator(
        task_id="complete",
        entity_type="Lead",
        path=FOLDER,
        partitions=plan.output,  # type: ignore[arg-type]
    )
    extract >> complete


extract_leads()
