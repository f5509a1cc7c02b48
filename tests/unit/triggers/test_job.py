"""The trigger that waits for a background job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_espo.triggers.job import EspoJobTrigger
from tests.unit.crm import Lost, refusal
from tests.unit.sandbox_crm import NOW, SandboxCrm, stored

JOB = "6b02a9135ac7bca3d"
STATUS = ("GET", f"MassAction/{JOB}/status")


def trigger(**given: Any) -> EspoJobTrigger:
    arguments: dict[str, Any] = {"espo_conn_id": "espo_default", "kind": "mass_action", "job_id": JOB}
    return EspoJobTrigger(**(arguments | given))


def event_of(crm: SandboxCrm, one: EspoJobTrigger) -> Any:
    async def first() -> Any:
        return (await anext(one.run())).payload

    with crm.waiting():
        return asyncio.run(first())


def test_it_is_made_again_of_what_it_serializes_to() -> None:
    path, arguments = trigger(poll_interval=5, deadline=12.5, silent_fail=True).serialize()
    assert path == f"{EspoJobTrigger.__module__}.EspoJobTrigger"
    assert EspoJobTrigger(**stored(arguments)).serialize() == (path, arguments)


@pytest.mark.parametrize(("word", "succeeded"), [("Success", True), ("Failed", False)])
def test_its_event_is_the_finished_job_whether_well_or_not(sandbox_crm: SandboxCrm, word: str, succeeded: bool) -> None:
    running: Any = {"status": "Running", "processedCount": 0}
    sandbox_crm.on(*STATUS, running, running, {"status": word, "processedCount": 7})
    job = {"id": JOB, "kind": "mass_action", "status": word, "finished": True, "succeeded": succeeded, "processed": 7}
    assert event_of(sandbox_crm, trigger()) == {"status": "success", "job": job}


def test_progress_is_logged_when_there_is_some(sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]) -> None:
    pending, running = ({"status": word, "processedCount": 0} for word in ("Pending", "Running"))
    sandbox_crm.on(*STATUS, pending, pending, running, running, {"status": "Success", "processedCount": 7})
    event_of(sandbox_crm, trigger())
    told = capsys.readouterr().out
    for line in ("Pending", "Running", "Success, 7 processed"):
        assert told.count(f"mass action {JOB}: {line}") == 1, line


def test_an_outage_does_not_end_the_wait(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on(*STATUS, *[Lost] * 6, refusal(503), {"status": "Success", "processedCount": 1})
    assert event_of(sandbox_crm, trigger())["job"]["succeeded"]


def test_it_ends_at_its_deadline(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on(*STATUS, {"status": "Pending", "processedCount": 0})
    deadline = NOW.timestamp() + 100
    assert event_of(sandbox_crm, trigger(deadline=deadline)) == {"status": "timeout", "last_error": None}


def test_a_kill_after_a_look_says_what_was_seen(sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox_crm.on(*STATUS, {"status": "Running", "processedCount": 0})
    one = trigger(deadline=NOW.timestamp() + 5)
    event_of(sandbox_crm, one)
    capsys.readouterr()
    asyncio.run(one.on_kill())
    told = capsys.readouterr().out
    assert f"Last seen: EspoCRM's mass action {JOB}: Running" in told
    assert "goes on" in told
