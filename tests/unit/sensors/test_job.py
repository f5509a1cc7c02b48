"""Waiting for background jobs that were started elsewhere."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoForbiddenError, EspoInputError, EspoJobError, EspoNotFoundError
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.sensors.job import EspoJobSensor
from airflow_provider_espo.where import equals
from tests.unit.airflows import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from tests.unit.crm import Reply, refusal
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm, first_event, resume

JOB = "6b02a9135ac7bca3d"
STATUS = ("GET", f"MassAction/{JOB}/status")


def sensor(**given: Any) -> EspoJobSensor:
    arguments: dict[str, Any] = {"task_id": "wait", "kind": "mass_action", "job_id": JOB, "poke_interval": 10}
    return EspoJobSensor(**(arguments | given))


@pytest.fixture(params=["poke", "deferrable"])
def wait(request: pytest.FixtureRequest, sandbox_crm: SandboxCrm) -> Any:
    """Run a sensor to its end, on the worker or in the triggerer."""

    def run(**given: Any) -> Any:
        task = sensor(deferrable=request.param == "deferrable", **given)
        with sandbox_crm.waiting(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "monotonic", time.time)
            try:
                return run_task(task)
            except TaskDeferred as deferred:
                return resume(task, deferred, first_event(deferred))

    return run


def test_it_waits_for_a_job_that_a_hook_started(wait: Any, sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.asker.create("Lead", lastName="Nowak")
    job_id = EspoHook().mass_delete("Lead", where=[equals("lastName", "Nowak")], background=True)["job_id"]
    assert wait(job_id=job_id) == {
        "id": job_id,
        "kind": "mass_action",
        "status": "Success",
        "finished": True,
        "succeeded": True,
        "processed": 1,
    }


def test_a_job_that_is_over_is_the_result_at_once(wait: Any, sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on("GET", f"Export/{JOB}/status", {"status": "Success", "attachmentId": "6b02a9135ac7bca3e"})
    before = sandbox_crm.now
    assert wait(kind="export")["attachment_id"] == "6b02a9135ac7bca3e"
    assert sandbox_crm.now == before


@pytest.mark.parametrize("first", [[], [{"status": "Running", "processedCount": 0}]])
def test_a_job_that_failed_fails_the_task(wait: Any, sandbox_crm: SandboxCrm, first: list[Any]) -> None:
    sandbox_crm.on(*STATUS, *first, {"status": "Failed", "processedCount": 0})
    with pytest.raises(EspoJobError, match=JOB) as caught:
        wait()
    assert (caught.value.job_id, caught.value.job_status) == (JOB, "Failed")
    sandbox_crm.on(*STATUS, *first, {"status": "Failed", "processedCount": 0})
    with pytest.raises(AirflowSkipException):
        wait(never_fail=True)


def test_a_job_that_failed_ends_the_wait_whatever_errors_are_borne(wait: Any, sandbox_crm: SandboxCrm) -> None:
    running: Any = {"status": "Running", "processedCount": 0}
    sandbox_crm.on(*STATUS, running, refusal(500), refusal(500), {"status": "Failed", "processedCount": 0})
    with pytest.raises((EspoJobError, AirflowFailException), match="failed"):
        wait(silent_fail=True, timeout=3600)


def test_a_job_that_does_not_end_is_a_time_out(wait: Any, sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on(*STATUS, {"status": "Pending", "processedCount": 0})
    with pytest.raises(AirflowSensorTimeout):
        wait(timeout=300)


def test_somebody_elses_job_says_who_may_see_it(wait: Any, sandbox_crm: SandboxCrm) -> None:
    mine = Reply(403, headers={"X-Status-Reason": ""})
    sandbox_crm.on(*STATUS, mine)
    with pytest.raises(EspoForbiddenError, match="only to the user who started it"):
        wait()
    sandbox_crm.on(*STATUS, {"status": "Running", "processedCount": 0}, mine)
    with pytest.raises(EspoForbiddenError, match="only to the user who started it"):
        wait()


def test_a_job_that_is_not_there_is_an_error(wait: Any) -> None:
    with pytest.raises(EspoNotFoundError):
        wait(job_id="0123456789abcdef0")


@pytest.mark.parametrize("wrong", [{"kind": "job"}, {"job_id": ""}, {"job_id": "{{ params.missing }}"}])
def test_what_is_no_job_is_refused_before_anything_is_sent(
    wait: Any, sandbox_crm: SandboxCrm, wrong: dict[str, Any]
) -> None:
    with pytest.raises(EspoInputError):
        wait(**wrong)
    assert sandbox_crm.sent == []
