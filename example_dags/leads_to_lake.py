"""Bring every night what is new of the CRM's leads into a data lake, over several workers.

One task looks how far the last run came and cuts what is new since into parts of equal size; a mapped task for each
part reads it and writes its files; the last one checks that all parts are there, looks which leads are gone, and writes
the manifest. Only then the watermark is moved: a run that fails is made up for by the next one.

Each run has a folder of its own. Who loads them in the order of the runs, the records of a run first and then its
tombstones, has what the CRM has.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import Asset, Param, dag

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.partitions import EspoCompletePartitionsOperator, EspoPlanPartitionsOperator

#: Keeps the watermark (Airflow 3.3 and later), and lets other DAGs run when there are new files.
LAKE = Asset("crm_leads_in_lake")

#: All tasks have to mean the same records.
LEADS: dict[str, Any] = {"entity_type": "Lead"}

FOLDER = "{{ params.folder }}/{{ dag_run.run_after.strftime('%Y%m%dT%H%M%S.%f') }}"


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Runs that go by one watermark follow each other.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "folder": Param("/tmp/crm/leads", type="string", title="Folder, local or s3://conn_id@bucket/crm/leads"),  # noqa: S108
        "partitions": Param(4, type="integer", minimum=1, title="Mapped tasks at most"),
    },
)
def leads_to_lake() -> None:
    """See the module's text."""
    plan = EspoPlanPartitionsOperator(
        task_id="plan",
        incremental_by="modifiedAt",
        partitions="{{ params.partitions }}",
        min_records=500,
        inlets=[LAKE],
        **LEADS,
    )
    extract = EspoToObjectStorageOperator.partial(
        task_id="extract",
        path=FOLDER,
        select=["name", "status", "source", "assignedUserId", "createdAt", "modifiedAt"],
        compression="gzip",
        deleted="detect",
        **LEADS,
    ).expand(partition=plan.output)
    complete = EspoCompletePartitionsOperator(
        task_id="complete",
        path=FOLDER,
        partitions=plan.output,
        deleted="detect",
        outlets=[LAKE],
        **LEADS,
    )
    extract >> complete


leads_to_lake()
