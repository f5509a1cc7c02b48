"""A lead's life: score the new ones, convert those that qualify, take the stale ones out of everybody's way.

Each lead is converted in a mapped task group of its own: one that cannot be converted stops no other. What was
converted is said in the lead's stream, and its owner gets a note. Stale leads are changed all at once, and not at all
if there are more of them than expected: then the filter is wrong, or a holiday was long, and somebody should look.

Every task can be tried again: a conversion goes on where it stopped, a post is looked for before it is posted again.
Airflow sees ids and scores, names stay in the CRM.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import Param, dag, get_current_context, task, task_group

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
from airflow_provider_espo.operators.mass_action import EspoMassUpdateOperator
from airflow_provider_espo.operators.stream import EspoPostToStreamOperator
from airflow_provider_espo.where import in_, last_x_days, older_than_x_days

log = logging.getLogger(__name__)

#: A lead that is in none of these is converted, or somebody has done with it.
OPEN = ["New", "Assigned", "In Process"]

#: How much a source says. These, and all in ``score``, are yours to change.
SOURCE_POINTS = {
    "Existing Customer": 30,
    "Partner": 25,
    "Call": 20,
    "Web Site": 15,
    "Campaign": 10,
    "Public Relations": 10,
    "Email": 5,
}
AMOUNT_ATTRIBUTE = "opportunityAmountConverted"
SCORED_BY = ["source", "emailAddress", "phoneNumber", "accountName", AMOUNT_ATTRIBUTE]


def score(lead: Mapping[str, Any]) -> int:
    """Return 0 to 100 points, from nothing but the lead's attributes.

    :param lead: the attributes in ``SCORED_BY``; the amount is in the CRM's base currency.
    """
    points = SOURCE_POINTS.get(lead.get("source") or "", 0)
    points += 20 if lead.get("emailAddress") else 0
    points += 15 if lead.get("phoneNumber") else 0
    points += 15 if lead.get("accountName") else 0
    points += min(20, int(lead.get(AMOUNT_ATTRIBUTE) or 0) // 1000)
    return min(points, 100)


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Two runs at once would both want the same leads.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "new_days": Param(14, type="integer", minimum=1, title="Days for which a lead counts as new"),
        "qualified_from": Param(60, type="integer", minimum=0, maximum=100, title="Points from which a lead qualifies"),
        "max_converted": Param(50, type="integer", minimum=0, maximum=1000, title="Leads to convert in a run, at most"),
        "close_in_days": Param(30, type="integer", minimum=0, title="Days until the new opportunities should close"),
        "score_attribute": Param("", type="string", title="Attribute that takes the points, say cScore; empty: none"),
        "stale_days": Param(90, type="integer", minimum=1, title="Days without a change after which a lead is stale"),
        "max_stale": Param(200, type="integer", minimum=0, title="More stale leads than this are not touched"),
    },
)
def lead_lifecycle() -> None:
    """See the module's text."""

    @task
    def find_qualified() -> list[dict[str, Any]]:
        """Score new leads; return what to convert the best of them into."""
        context = get_current_context()
        params: Any = context["params"]
        with EspoHook() as hook:
            new = hook.iter_records(
                "Lead",
                where=[in_("status", OPEN), last_x_days("createdAt", params["new_days"], date_time=True)],
                select=["assignedUserId", *SCORED_BY],
            )
            scored = sorted(((score(lead), lead) for lead in new), key=lambda one: (-one[0], one[1]["id"]))
            if params["score_attribute"]:
                rows = [{"id": lead["id"], params["score_attribute"]: points} for points, lead in scored]
                for outcome in hook.write_many("Lead", rows, operation="update"):
                    if outcome["error"]:
                        log.warning("Lead %s: %s", rows[outcome["index"]]["id"], outcome["error"])
        qualified = [lead for points, lead in scored if points >= params["qualified_from"]]
        # An opportunity that nobody owns is a lost one: these leads wait for somebody to take them.
        owned = [lead for lead in qualified if lead["assignedUserId"]]
        log.info("%d leads, %d qualify, %d of them have an owner", len(scored), len(qualified), len(owned))
        closes = context["dag_run"].run_after + timedelta(days=params["close_in_days"])
        return [
            {
                "lead_id": lead["id"],
                "records": _records(lead, f"{closes:%Y-%m-%d}"),
                "owner_ids": [lead["assignedUserId"]],
            }
            for lead in owned[: params["max_converted"]]
        ]

    @task_group
    def convert_lead(lead_id: str, records: dict[str, Any], owner_ids: list[str]) -> None:
        """Convert a lead, and say so."""
        convert = EspoConvertLeadOperator(
            task_id="convert", lead_id=lead_id, records=records, on_duplicate="use_existing"
        )
        announce = EspoPostToStreamOperator(
            task_id="announce",
            entity_type="Lead",
            record_id=convert.output["lead_id"],
            post="Qualified by its attributes and converted by Airflow.",
        )
        notify = EspoPostToStreamOperator(
            task_id="notify_owner",
            user_ids=owner_ids,
            post="One of your [leads](#Lead/view/{{ ti.xcom_pull(task_ids='convert_lead.convert', key='lead_id', "
            "map_indexes=ti.map_index) }}) qualified and was converted: have a look at the opportunity.",
        )
        announce >> notify

    convert_lead.expand_kwargs(find_qualified())

    EspoMassUpdateOperator(
        task_id="recycle_stale",
        entity_type="Lead",
        where=[in_("status", OPEN), older_than_x_days("modifiedAt", "{{ params.stale_days }}", date_time=True)],
        attributes={"status": "Recycled"},
        max_records="{{ params.max_stale }}",
    )


def _records(lead: Mapping[str, Any], close_date: str) -> dict[str, dict[str, Any]]:
    """What a lead is converted into: a contact, an opportunity, and an account if it has a company."""
    opportunity: dict[str, Any] = {"name": "From a qualified lead", "closeDate": close_date}
    if not lead[AMOUNT_ATTRIBUTE]:
        # EspoCRM wants an amount.
        opportunity["amount"] = 0
    records: dict[str, dict[str, Any]] = {"Contact": {}, "Opportunity": opportunity}
    return {"Account": {}, **records} if lead["accountName"] else records


lead_lifecycle()
