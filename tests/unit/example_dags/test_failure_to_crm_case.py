"""What of an error goes into the case."""

from __future__ import annotations

from typing import Any

import failure_to_crm_case
import pytest

from tests.unit.notifications.test_happening import of_task
from tests.unit.sandbox_crm import SandboxCrm


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (failure_to_crm_case.TooManyError("3 leads have no e-mail address"), "3 leads have no e-mail address"),
        (ValueError("invalid literal: 'nobody@example.com'"), "See the log."),
        (None, "See the log."),
    ],
)
def test_only_an_error_that_is_meant_for_people_is_quoted(sandbox_crm: SandboxCrm, error: Any, said: str) -> None:
    context = {**of_task(error), "params": {"leads": "%"}, "run_id": "manual__1"}
    if error is None:
        del context["exception"]
    failure_to_crm_case.make_case({**context, "dag": None})
    (listed,) = sandbox_crm.asker.find("Case")["list"]
    case = sandbox_crm.asker.read("Case", listed["id"])
    assert case["description"].startswith(f"{said}\n\nRun manual__1: http://airflow/log\n\nairflow-")
    assert case["name"] == "Airflow: too many leads without an e-mail address (%)"


def test_only_what_the_case_tells_of_makes_one() -> None:
    tasks = failure_to_crm_case.failure_to_crm_case().task_dict
    assert [name for name, task in tasks.items() if task.on_failure_callback] == ["check_addresses"]
