"""Only the hook, inside ``@task``: give the unassigned web leads of the last day to the members of a team, in turn.

Shows reading page by page in constant memory, writing many records with an outcome for each, and a task that may be
tried again at any point: an update sends only what differs.
"""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.where import equals, greater_than_or_equals, is_null, linked_with

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowFailException

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "team_id": Param("", type="string", title="Id of the team; empty: all regular users"),
        "source": Param("Web Site", type="string", title="Source of the leads"),
    },
)
def hook_in_taskflow() -> None:
    """See the module's text."""

    @task
    def find_unassigned(source: str, since: str) -> list[str]:
        """Ids of leads from a source that nobody has, the oldest first."""
        where = [equals("source", source), is_null("assignedUserId"), greater_than_or_equals("createdAt", since)]
        with EspoHook() as hook:
            leads = hook.iter_records("Lead", where=where, select=["id"], order_by="createdAt")
            return [lead["id"] for lead in leads]

    @task
    def find_people(team_id: str) -> list[str]:
        """Ids of the people who may get leads."""
        where = [equals("type", "regular"), equals("isActive", True)]
        if team_id:
            where.append(linked_with("teams", [team_id]))
        with EspoHook() as hook:
            return [user["id"] for user in hook.iter_records("User", where=where, select=["id"])]

    @task
    def assign(lead_ids: list[str], user_ids: list[str]) -> dict[str, int]:
        """Deal the leads out. A lead that somebody deleted meanwhile does not stop the others."""
        if lead_ids and not user_ids:
            raise AirflowFailException("There is nobody to give the leads to")
        rows: list[dict[str, Any]] = [
            {"id": lead_id, "assignedUserId": user_id}
            for lead_id, user_id in zip(lead_ids, itertools.cycle(user_ids), strict=False)
        ]
        with EspoHook() as hook:
            outcomes = hook.write_many("Lead", rows, operation="update")
        for outcome in outcomes:
            if outcome["error"]:
                log.warning("Lead %s: %s", lead_ids[outcome["index"]], outcome["error"])
        return {
            action: sum(outcome["action"] == action for outcome in outcomes)
            for action in ("updated", "unchanged", "failed")
        }

    since = "{{ (dag_run.run_after - macros.timedelta(days=1)).strftime('%Y-%m-%d %H:%M:%S') }}"
    assign(find_unassigned("{{ params.source }}", since), find_people("{{ params.team_id }}"))


hook_in_taskflow()
