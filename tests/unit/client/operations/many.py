"""Ways to write many records by hand and to look at the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_espo.client.operations.bulk import Outcome, write_many
from airflow_provider_espo.client.state import ClientState
from tests.unit.client.driving import make_state, run, run_all
from tests.unit.client.fake_espo import FakeEspo


def leads(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows with different e-mail addresses."""
    return [{"lastName": f"L{index}", "emailAddress": f"l{index}@example.com", **more} for index in range(count)]


def write(fake: FakeEspo, rows: Any, state: ClientState | None = None, **arguments: Any) -> list[Outcome]:
    """Write with all lanes side by side, each one request further in turn."""
    plan = write_many(state or make_state(), arguments.pop("entity_type", "Lead"), rows, **arguments)
    schema = run(fake, plan.prepare())
    for outcomes in run_all(fake, plan.operations(schema)):
        plan.add(outcomes)
    return plan.outcomes()


def actions(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome["action"] for outcome in outcomes]
