"""Tasks that wait in the triggerer, which dies meanwhile."""

from __future__ import annotations

import time

from tests.e2e.processes import wait_for
from tests.e2e.stack import Stack


def test_a_stream_sensor_and_a_background_job_survive_the_triggerer(stack: Stack) -> None:
    leads = [stack.new_lead(accountName="Background") for _ in range(20)]
    for dag_id in ("wait_for_post", "mass_update"):
        stack.unpause(dag_id)
    began = time.time()
    waits, updates = stack.trigger("wait_for_post"), stack.trigger("mass_update")
    wait_for("A deferred sensor", lambda: stack.state_of("wait_for_post", waits, "wait") == "deferred", 90)
    wait_for("A deferred mass action", lambda: stack.state_of("mass_update", updates, "update") == "deferred", 90)

    stack.services["triggerer"].kill()
    # Written while nobody looks.
    note = stack.new_post(leads[0], "Long awaited")
    stack.restart("triggerer")

    assert stack.finished("wait_for_post", waits) == "success"
    assert stack.finished("mass_update", updates) == "success"
    assert stack.xcom("wait_for_post", waits, "wait")["note_ids"] == [note]
    result = stack.xcom("mass_update", updates, "update")
    assert (result["count"], result["expected"]) == (20, 20)
    assert {stack.crm("GET", f"Lead/{lead}")["opportunityAmount"] for lead in leads} == {1000}
    # The job was asked for once, whoever died.
    assert len(stack.traffic.since(began, "POST", "/MassAction")) == 1
