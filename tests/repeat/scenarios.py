"""All tasks that are killed."""

from __future__ import annotations

from tests.repeat import (
    scenarios_bulk,
    scenarios_extract,
    scenarios_files,
    scenarios_mail,
    scenarios_records,
    scenarios_sql,
    scenarios_webhooks,
    scenarios_work,
)
from tests.repeat.harness import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *scenarios_records.SCENARIOS,
    *scenarios_work.SCENARIOS,
    *scenarios_files.SCENARIOS,
    *scenarios_mail.SCENARIOS,
    *scenarios_webhooks.SCENARIOS,
    *scenarios_extract.SCENARIOS,
    *scenarios_sql.SCENARIOS,
    *scenarios_bulk.SCENARIOS,
)
BY_TITLE = {scenario.title: scenario for scenario in SCENARIOS}
assert len(BY_TITLE) == len(SCENARIOS), "two scenarios have the same title"
