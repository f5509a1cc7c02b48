"""Real processes are killed with ``SIGKILL`` in the middle of a task, and the next try runs in another process."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.repeat.harness import Scenario, Stage
from tests.repeat.processes import Processes
from tests.repeat.report import PROPERTY, SAME, differences
from tests.repeat.scenarios import BY_TITLE
from tests.repeat.test_killed import AFTER, BEFORE, Record

#: Those that change something by a request that must not be sent twice, or in several steps.
TITLES = (
    "CreateRecord: a lead",
    "ConvertLead: all three records",
    "PostToStream: on a record, with a mention",
    "UploadAttachment: in chunks",
    "MassDelete: in the background",
    "Import: create",
    "WriteManyTask: upsert of 4 rows",
)


@pytest.fixture(scope="module")
def processes(connections: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("processes"), connections) as started:
        yield started


@pytest.mark.parametrize("title", TITLES, ids=lambda title: title.replace(" ", "_"))
def test_a_process_killed_at_any_request(
    stage: Stage, processes: Processes, title: str, record_property: Record
) -> None:
    scenario = BY_TITLE[title]
    expected, requests = stage.clean(scenario)
    points: list[tuple[str, str, str]] = []
    record_property(PROPERTY, {"title": f"{title} (SIGKILL)", "key": scenario.key, "points": points})
    for number, request in enumerate(requests, start=1):
        for how in (BEFORE, AFTER):
            different = _kill_and_retry(stage, processes, scenario, number, answered=how == AFTER, expected=expected)
            points.append((f"{how} {number}", request, "ANOTHER END STATE" if different else SAME))
            assert not different
    assert len(points) >= 4


def _kill_and_retry(
    stage: Stage, processes: Processes, scenario: Scenario, number: int, *, answered: bool, expected: object
) -> list[str]:
    run = stage.prepared(scenario)
    first = processes.one_try(scenario.title, run, 1, number, answered=answered)
    if scenario.waits and first["signal"] is None:
        # This time the job was done at the first look.
        return differences(expected, stage.seen(scenario, run, first["result"]))
    assert first["signal"] == signal.SIGKILL, f"the task ended before request {number}"
    last = processes.one_try(scenario.title, run, 2)
    assert last["signal"] is None
    return differences(expected, stage.seen(scenario, run, last["result"]))
