"""Watch EspoCRM's stream, and make a task of every post that asks for one.

Somebody writes "Call them next week #followup" under a lead, an account or an opportunity, and finds a task for it in
the CRM. The wait is in the triggerer and holds no worker. Where it stands in the stream is kept in an Airflow variable,
and only after the tasks are made: a run that dies is done again by the next one, which finds the tasks that are there
by their names. So nothing is missed, and nothing is made twice.

What people wrote stays in the CRM: Airflow sees ids and numbers. To watch without end set ``schedule="@continuous"``.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import Any

import pendulum
from airflow.sdk import Param, Variable, dag, get_current_context, task

from airflow_provider_espo import activities
from airflow_provider_espo.exceptions import EspoNotFoundError
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.record import EspoUpsertRecordOperator
from airflow_provider_espo.sensors.stream import EspoStreamSensor

log = logging.getLogger(__name__)

#: What a task of EspoCRM can belong to.
PARENT_TYPES = ["Account", "Contact", "Lead", "Opportunity", "Case"]


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # One place in the stream, one run that moves it.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "marker": Param("#followup", type="string", minLength=1, title="What a post contains that asks for a task"),
        "due_in_days": Param(3, type="integer", minimum=0, title="Days from the post until the task is due"),
        "variable": Param("espo_stream_watch", type="string", title="Airflow variable that keeps the place"),
    },
)
def stream_watch() -> None:
    """See the module's text."""

    @task(multiple_outputs=True)
    def where_we_are(variable: str) -> dict[str, Any]:
        """Place to go on from; the very first run begins at the newest note, and says so at once."""
        place = Variable.get(variable, default=None, deserialize_json=True)
        if place is None:
            with EspoHook() as hook:
                newest = hook.list_notes(limit=1)
            place = {"since_number": newest[0]["number"] if newest else 0}
            # If this wait ends without a note, the next run has to begin here as well.
            Variable.set(variable, place, serialize_json=True)
        return {"cursor": place.get("cursor"), "since_number": place.get("since_number")}

    @task
    def tasks_to_make(note_ids: list[str]) -> list[dict[str, Any]]:
        """Attributes of a task for each post, for its author; a post that was taken back meanwhile asks for nothing."""
        due_in = timedelta(days=get_current_context()["params"]["due_in_days"])
        wanted = []
        with EspoHook() as hook:
            for note_id in note_ids:
                try:
                    note = hook.get_record("Note", note_id)
                except EspoNotFoundError:
                    log.info("Note %s is gone", note_id)
                    continue
                wanted.append(
                    activities.task(
                        # The number tells this post from all others, also to the run that finds the task there.
                        f"Follow up on post {note['number']}",
                        due=date.fromisoformat(note["createdAt"][:10]) + due_in,
                        assigned_user_id=note["createdById"],
                        parentType=note["parentType"],
                        parentId=note["parentId"],
                    )
                )
        return wanted

    @task(trigger_rule="none_failed")
    def keep_place(variable: str, cursor: dict[str, Any] | None) -> None:
        """The next run goes on behind what is done."""
        if cursor:
            Variable.set(variable, {"cursor": cursor}, serialize_json=True)

    place = where_we_are("{{ params.variable }}")
    posts = EspoStreamSensor(
        task_id="wait_for_posts",
        note_types=["Post"],
        parent_types=PARENT_TYPES,
        text="{{ params.marker }}",
        cursor=place["cursor"],
        since_number=place["since_number"],
        deferrable=True,
        poll_interval=30,
        timeout=3600,
        # An hour without a post is no failure.
        soft_fail=True,
    )
    made = EspoUpsertRecordOperator.partial(
        task_id="make_task", entity_type="Task", match_by=["name", "parentId"]
    ).expand(attributes=tasks_to_make(posts.output["note_ids"]))
    made >> keep_place("{{ params.variable }}", posts.output["cursor"])


stream_watch()
