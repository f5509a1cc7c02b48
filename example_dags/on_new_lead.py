"""Start a run when a lead comes in from the web site, and give it to whoever has the fewest open leads.

The triggerer watches EspoCRM; no task waits and no schedule polls. After a restart of the triggerer an event may come
a second time: a lead that has somebody already is left alone, so nothing is done twice.
"""

from __future__ import annotations

import logging
from typing import Any

import pendulum
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.record import EspoUpdateRecordOperator
from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from airflow_provider_espo.where import equals, in_, is_null

log = logging.getLogger(__name__)

OPEN = ["New", "Assigned", "In Process"]

web_leads = Asset(
    "web_leads",
    watchers=[
        AssetWatcher(
            name="espo",
            trigger=EspoRecordEventTrigger(
                entity_type="Lead", event="created", where=[equals("source", "Web Site")], poll_interval=5
            ),
        )
    ],
)


@dag(
    schedule=web_leads,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Two runs at once would both think that the same person has the fewest.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
)
def on_new_lead() -> None:
    """See the module's text."""

    @task
    def who_gets_what(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Arguments of an update for each new lead that nobody has yet."""
        events = triggering_asset_events[web_leads] if triggering_asset_events else []
        ids = sorted({lead_id for event in events for lead_id in event.extra["payload"]["ids"]})
        if not ids:
            return []
        with EspoHook() as hook:
            # Read again: what an event told may be some time ago, and may have been told before.
            where = [in_("id", ids), is_null("assignedUserId")]
            unassigned = [lead["id"] for lead in hook.iter_records("Lead", where=where, select=["id"])]
            people = hook.list_records("User", where=[equals("type", "regular")], select=["id"])
            load = {
                person["id"]: hook.count_records(
                    "Lead", where=[equals("assignedUserId", person["id"]), in_("status", OPEN)]
                )
                for person in people
            }
        log.info("%d of %d new leads have nobody yet", len(unassigned), len(ids))
        updates = []
        for lead_id in unassigned:
            if not load:
                break
            person = min(load, key=lambda one: (load[one], one))
            load[person] += 1
            updates.append({"record_id": lead_id, "attributes": {"assignedUserId": person, "status": "Assigned"}})
        return updates

    EspoUpdateRecordOperator.partial(task_id="assign", entity_type="Lead").expand_kwargs(who_gets_what())


on_new_lead()
