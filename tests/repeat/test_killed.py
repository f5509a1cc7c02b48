"""Each task is killed at every request it sends and tried again: what is there is what one clean run leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.repeat.harness import Scenario, Stage, Wire
from tests.repeat.report import PROPERTY, SAME, SENT_AGAIN, differences, guide_rows
from tests.repeat.scenarios import BY_TITLE, SCENARIOS

#: Tasks that are also killed twice in a row.
TWICE = tuple(
    BY_TITLE[title]
    for title in (
        "CreateRecord: a lead",
        "ConvertLead: on_duplicate=use_existing",
        "PostToStream: on a record, with a mention",
        "UploadAttachment: in chunks",
        "MassUpdate: in the background",
        "Import: create",
        "SendEmail: an e-mail about a lead",
    )
)
#: Without a task state store (before Airflow 3.3) a try knows only when the dag run began.
WITHOUT_STORE = tuple(
    BY_TITLE[title]
    for title in (
        "CreateRecord: a lead",
        "ConvertLead: all three records",
        "PostToStream: to a user",
        "UploadAttachment: in one piece",
        "MassDelete: in the background",
        "Export: csv",
        "Import: create",
        "SendEmail: an e-mail about a lead",
    )
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
    different: dict[str, list[str]] = {}
    for number, request in enumerate(requests, start=1):
        for how in (BEFORE, AFTER):
            wire = Wire(number, answered=how == AFTER)
            try:
                found = stage.killed(scenario, wire)
            except Exception as error:
                found = {"error": repr(error)}
            same = found == expected
            points.append((f"{how} {number}", request, SAME if same else "ANOTHER END STATE"))
            assert wire.dead or scenario.waits, f"the task ended before request {number}"
            if not same:
                different[f"{how} {number}"] = differences(expected, found)
    in_guide = int(guide_rows()[scenario.title][0])
    assert scenario.waits or in_guide <= len(points), f"the guide promises {in_guide} deaths"
    if scenario.repeatable:
        assert not different
        return
    # Said to be so, and so it is: otherwise its text would be wrong.
    points[:] = [(how, request, result if result == SAME else SENT_AGAIN) for how, request, result in points]
    assert different
    assert scenario.promise in " ".join(str(scenario.operator.__doc__).split())


@pytest.mark.parametrize("scenario", TWICE, ids=_name)
def test_killed_twice_in_a_row(stage: Stage, scenario: Scenario) -> None:
    expected, requests = stage.clean(scenario)
    for first in range(1, len(requests) + 1):
        for second in range(1, len(requests) + 1, 4):
            deaths = (Wire(first, answered=True), Wire(second, answered=bool(first % 2)))
            found = stage.killed(scenario, *deaths)
            assert not differences(expected, found), f"killed at {first}, then at {second}"


@pytest.mark.parametrize("scenario", WITHOUT_STORE, ids=_name)
def test_killed_without_a_task_state_store(stage: Stage, scenario: Scenario) -> None:
    expected, requests = stage.clean(scenario, stored=False)
    for number in range(1, len(requests) + 1):
        for answered in (False, True):
            found = stage.killed(scenario, Wire(number, answered=answered), stored=False)
            assert not differences(expected, found), f"killed at {number}, answered: {answered}"
