"""Each task is killed at every request it sends and tried again: what is there is what one clean run leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.repeat.harness import Scenario, Stage, Wire
from tests.repeat.report import PROPERTY, SAME, SENT_AGAIN, differences
from tests.repeat.scenarios import SCENARIOS

#: Tasks that are also killed twice in a row, and without a task state store (before Airflow 3.3).
TWICE = tuple(
    one
    for one in SCENARIOS
    if one.title
    in {
        "CreateRecord: a lead",
        "ConvertLead: all three records",
        "PostToStream: on a record, with a mention",
        "UploadAttachment: in chunks",
        "MassUpdate: in the background",
        "Import: create",
    }
)
BEFORE, AFTER = "before the request", "after its answer"
Record = Callable[[str, object], None]


def _name(scenario: Scenario) -> str:
    return scenario.title.replace(" ", "_")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_name)
def test_killed_at_any_request_and_tried_again(stage: Stage, scenario: Scenario, record_property: Record) -> None:
    expected, requests = stage.clean(scenario)
    points: list[tuple[str, str, str]] = []
    record_property(PROPERTY, {"title": scenario.title, "key": scenario.key, "points": points})
    different: dict[str, Any] = {}
    for number, request in enumerate(requests, start=1):
        for how in (BEFORE, AFTER):
            wire = Wire(number, answered=how == AFTER)
            try:
                found = stage.killed(scenario, wire)
            except Exception as error:
                found = repr(error)
            same = found == expected
            points.append((f"{how} {number}", request, SAME if same else "ANOTHER END STATE"))
            assert wire.dead or scenario.waits, f"the task ended before request {number}"
            if not same:
                different[f"{how} {number}"] = differences(expected, found)
    if scenario.repeatable:
        assert not different
        return
    # Said to be so, and so it is: otherwise its text would be wrong.
    points[:] = [(how, request, result if result == SAME else SENT_AGAIN) for how, request, result in points]
    assert different
    assert scenario.promise in " ".join(str(scenario.operator.__doc__).split())
