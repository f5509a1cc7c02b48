"""A failure in Airflow becomes a case in EspoCRM, where those work who can mend it.

A nightly check of the CRM's data: leads that came without an e-mail address cannot be answered. If there are too many,
the task fails, and the people who look after the data find a case for it: one for the failure, not one for each retry,
and not a second one when Airflow runs the callback again. When a later run passes, the cases are closed.

The case says how many leads there are, and that is what the task's error says; what it says of other errors is in
Airflow's log only, as such texts may hold anything.
"""

from __future__ import annotations

import logging

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.notifications.espo import EspoRecordNotifier
from airflow_provider_espo.operators.mass_action import EspoMassUpdateOperator
from airflow_provider_espo.where import equals, is_null, like, not_in

log = logging.getLogger(__name__)

#: By its name a later run finds what it may close.
CASE_NAME = "Airflow: too many leads without an e-mail address ({{ params.leads }})"


class TooManyError(ValueError):
    """More records than allowed. The text holds numbers only, so it may be shown to anybody."""

    is_for_anybody = True


# What other errors say may hold anything, and a worker that was killed leaves none behind.
REASON = "{{ exception if exception is defined and exception.is_for_anybody is defined else 'See the log.' }}"

make_case = EspoRecordNotifier(
    entity_type="Case",
    attributes={
        "name": CASE_NAME,
        "priority": "High",
        "type": "Problem",
        "description": f"{REASON}\n\nRun {{{{ run_id }}}}: {{{{ ti.log_url }}}}",
    },
)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 1, "retry_delay": pendulum.duration(minutes=5)},
    params={
        "leads": Param("%", type="string", title="Last names of the leads to check, % for all"),
        "allowed": Param(0, type="integer", minimum=0, title="Leads without an e-mail address that are allowed"),
    },
)
def failure_to_crm_case() -> None:
    """See the module's text."""

    # Not of all tasks: the case says what is wrong with the leads.
    @task(on_failure_callback=make_case)
    def check_addresses(leads: str, allowed: str) -> int:
        """Count the leads that nobody can answer."""
        with EspoHook() as hook:
            count = hook.count_records("Lead", where=[like("lastName", leads), is_null("emailAddress")])
        if count > int(allowed):
            raise TooManyError(f"{count} leads have no e-mail address, {allowed} may have none.")
        log.info("%d leads have no e-mail address", count)
        return count

    close_cases = EspoMassUpdateOperator(
        task_id="close_cases",
        entity_type="Case",
        attributes={"status": "Closed"},
        where=[equals("name", CASE_NAME), not_in("status", ["Closed", "Rejected", "Duplicate"])],
        max_records=100,
    )
    check_addresses("{{ params.leads }}", "{{ params.allowed }}") >> close_cases


failure_to_crm_case()
