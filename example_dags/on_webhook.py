"""EspoCRM says that there is a new lead, and a DAG starts.

EspoCRM posts changes to Airflow's API server, which records an event on the asset of the site's leads: the DAG below
is scheduled on that asset. Needed for it: `webhook_receiver_enabled = True` in section `[espo]` of Airflow's
configuration, and an address of the API server that EspoCRM can reach.

Start it by hand once, with that address as parameter: its first task registers the webhook. It does so in every run
and changes nothing while the webhook is there, so one that somebody removed comes back.

Events say ids and nothing else, so the leads are read from EspoCRM. Those that somebody has taken up in the meantime
are left alone: an event that comes twice does no harm.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_espo.assets.espo import espo_asset
from airflow_provider_espo.exceptions import EspoNotFoundError
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator

log = logging.getLogger(__name__)

#: The site, as in the connection. A DAG file does not read connections: it is parsed all the time.
leads = espo_asset("Lead", host=os.environ.get("ESPO_SITE_URL", "https://crm.example.com"))


@dag(
    schedule=leads,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["espo", "example"],
    doc_md=__doc__,
    params={
        "url": Param(
            os.environ.get("ESPO_WEBHOOK_URL", "https://airflow.example.com/espo/webhooks"),
            type="string",
            title="Address of the webhook receiver, as EspoCRM reaches it",
        ),
    },
)
def on_webhook() -> None:
    """See the module's text."""
    # What this DAG itself does in EspoCRM is no news to it: EspoCRM 9.2 and later, leave it out before.
    EspoRegisterWebhookOperator(task_id="register", event="Lead.create", url="{{ params.url }}", skip_own=True)

    @task
    def take_up(triggering_asset_events: Any = None) -> dict[str, int]:
        """Assign new leads; other webhooks on the same asset are not meant."""
        # There is no other asset that this DAG is scheduled on, and none in a run by hand.
        extras = [event.extra for events in (triggering_asset_events or {}).values() for event in events]
        ids = dict.fromkeys(one for extra in extras if extra.get("event") == "create" for one in extra["ids"])
        counts = {"told": len(ids), "assigned": 0, "gone": 0}
        with EspoHook() as hook:
            for lead_id in ids:
                try:
                    if hook.get_record("Lead", lead_id, select=["status"])["status"] == "New":
                        hook.update_record("Lead", lead_id, {"status": "Assigned"})
                        counts["assigned"] += 1
                except EspoNotFoundError:
                    counts["gone"] += 1
        log.info("Of %(told)d new leads, %(assigned)d assigned, %(gone)d gone", counts)
        return counts

    take_up()


on_webhook()
