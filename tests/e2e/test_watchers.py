"""The CRM starts DAGs, in a running Airflow."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.e2e.processes import wait_for
from tests.e2e.stack import Stack


def test_a_new_lead_has_a_run_queued_within_fifteen_seconds(stack: Stack) -> None:
    stack.unpause("on_call")
    wait_for("The watcher's place", lambda: stack.postgres.query("select 1 from asset_state_store"), 120)
    began = time.monotonic()
    made_at = datetime.now(UTC)
    lead = stack.new_lead(source="Call")
    (run,) = wait_for("A run", lambda: stack.runs("on_call"), 60)
    took = (datetime.fromisoformat(run["queued_at"] or run["start_date"]) - made_at).total_seconds()
    print(f"\nfrom the lead to the queued run: {took:.1f} s (seen after {time.monotonic() - began:.1f} s)")
    assert stack.finished("on_call", run["dag_run_id"]) == "success"
    assert stack.xcom("on_call", run["dag_run_id"], "ids") == [lead]
    assert took <= 15
