"""Bring what a model in the warehouse has worked out back to the people who work in the CRM.

Every night the expected amount and the do-not-call flag of each scored lead are compared with the CRM, lead by lead
found by its e-mail address, and only what differs is sent: a score that stayed the same changes no record, fires no
webhook and wakes nobody. Addresses that no lead has are told in a file with the reason; if they are more than a tenth,
something is wrong with the scores, and the run fails. A worker that dies costs nothing but time.

The table of scores has the columns ``email``, ``expected_amount``, ``no_calls`` and ``scored_on``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_espo.transfers.to_espo import SqlToEspoOperator

#: In an order that is the same each time: a retry goes on where the try before it stopped.
SCORES = """
    SELECT email, expected_amount, no_calls
    FROM {{ params.table }}
    WHERE scored_on = (SELECT MAX(scored_on) FROM {{ params.table }})
    ORDER BY email
"""


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "warehouse": Param("warehouse", type="string", title="Airflow connection to the database"),
        "table": Param("lead_scores", type="string", pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", title="Table of scores"),
        "results": Param("/tmp/crm/scores", type="string", title="Folder for the result files of all runs"),  # noqa: S108
    },
)
def scores_to_crm() -> None:
    """See the module's text."""
    scores = SqlToEspoOperator(
        task_id="scores",
        entity_type="Lead",
        operation="update",
        sql=SCORES,
        sql_conn_id="{{ params.warehouse }}",
        columns={"email": "emailAddress", "expected_amount": "opportunityAmount", "no_calls": "doNotCall"},
        match_by=["emailAddress"],
        max_failures=0.1,
        results_path="{{ params.results }}/{{ run_id }}",
    )

    @task
    def report(changed: int, unchanged: int, failed: int, results_path: str) -> str:
        """Say what came of it, in a line for whoever looks after the scores."""
        return f"{changed} leads changed, {unchanged} had it already, {failed} failed: see {results_path}"

    report(scores.output["updated"], scores.output["unchanged"], scores.output["failed"], scores.output["results_path"])


scores_to_crm()
