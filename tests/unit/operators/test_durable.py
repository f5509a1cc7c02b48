"""A background job is started once over all tries of a task instance, wherever a process dies."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import Any

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.exceptions import (
    EspoConnectionError,
    EspoForbiddenError,
    EspoInputError,
    EspoJobError,
    EspoNotFoundError,
)
from airflow_provider_espo.operators.mass_action import EspoMassActionOperator, EspoMassUpdateOperator
from airflow_provider_espo.where import equals
from tests.unit.airflows import TaskDeferred
from tests.unit.crm import Lost, answering, refusal
from tests.unit.running import Store, TaskInstance, context_of, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm, first_event, resume, run_deferrable, stored

POST = ("POST", "MassAction")


def mass_update(**given: Any) -> EspoMassUpdateOperator:
    arguments: dict[str, Any] = {
        "task_id": "update",
        "entity_type": "Lead",
        "where": [equals("lastName", "Nowak")],
        "attributes": {"status": "Dead"},
        "background": True,
        "deferrable": False,
        "poll_interval": 1,
        "retries": 2,
    }
    return EspoMassUpdateOperator(**(arguments | given))


def leads(crm: SandboxCrm, count: int = 3) -> None:
    for _ in range(count):
        crm.asker.create("Lead", lastName="Nowak", status="New")


def statuses(crm: SandboxCrm) -> list[str]:
    return [one["status"] for one in crm.asker.find("Lead", select=["status"], maxSize=200)["list"]]


def jobs_submitted(crm: SandboxCrm) -> int:
    return len(crm.posts("MassAction"))


def run(task: Any, **given: Any) -> Any:
    return run_deferrable(task, **given) if task.deferrable else run_task(task, **given)


WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


# --- one try


@WAYS
def test_the_task_waits_for_the_job_and_tells_what_was_done(sandbox_crm: SandboxCrm, deferrable: bool) -> None:
    leads(sandbox_crm)
    with sandbox_crm.waiting():
        result = run(mass_update(deferrable=deferrable))
    assert {**result, "job_id": ""} == {"count": 3, "expected": 3, "job_id": ""}
    assert len(result["job_id"]) == 17
    assert statuses(sandbox_crm) == ["Dead"] * 3


def test_a_waiting_task_holds_no_worker_and_its_trigger_no_data(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    with pytest.raises(TaskDeferred) as caught:
        run_task(mass_update(deferrable=True))
    path, arguments = caught.value.trigger.serialize()
    assert path == "airflow_provider_espo.triggers.job.EspoJobTrigger"
    assert set(arguments) == {"espo_conn_id", "kind", "job_id", "poll_interval", "deadline", "silent_fail"}
    shown = str(stored(arguments)) + str(stored(caught.value.kwargs))
    assert "Nowak" not in shown
    assert sandbox_crm.credentials["api_key"] not in shown


@WAYS
def test_a_job_that_failed_fails_the_task_with_what_is_known(sandbox_crm: SandboxCrm, deferrable: bool) -> None:
    leads(sandbox_crm)
    task = mass_update(deferrable=deferrable, validate=False, attributes={"status": "Dead"})
    sandbox_crm.on(*POST, {"id": "6b02a9135ac7bca3d"})
    sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", {"status": "Failed", "processedCount": 0})
    with sandbox_crm.waiting(), pytest.raises(EspoJobError, match="6b02a9135ac7bca3d") as caught:
        run(task)
    assert (caught.value.job_id, caught.value.job_status, caught.value.kind) == (
        "6b02a9135ac7bca3d",
        "Failed",
        "mass_action",
    )


@WAYS
def test_a_job_that_does_not_end_in_time_is_an_error_that_names_the_cron(
    sandbox_crm: SandboxCrm, deferrable: bool
) -> None:
    leads(sandbox_crm)
    sandbox_crm.sandbox.jobs.run_due = lambda: 0  # type: ignore[method-assign]
    started = sandbox_crm.now
    with sandbox_crm.waiting(), pytest.raises(EspoJobError, match=r"(?s)within 600 seconds.*cron"):
        run(mass_update(deferrable=deferrable, job_timeout=600, poll_interval=60))
    assert 600 <= (sandbox_crm.now - started).total_seconds() <= 700


def test_an_error_while_waiting_comes_back_as_itself(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    task = mass_update(deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        run_task(task)
    job_id = caught.value.trigger.job_id
    sandbox_crm.on("GET", f"MassAction/{job_id}/status", refusal(401))
    with sandbox_crm.waiting():
        event = first_event(caught.value)
        assert event["status"] == "error"
        with pytest.raises(Exception, match="401") as failed:
            resume(task, caught.value, event)
    assert type(failed.value).__name__ == "EspoAuthenticationError"


@pytest.mark.parametrize("store", [Store(), None], ids=["store", "no store"])
def test_a_test_of_the_dag_hands_on_nothing_but_the_event(sandbox_crm: SandboxCrm, store: Store | None) -> None:
    leads(sandbox_crm)
    task = mass_update(deferrable=True)
    with sandbox_crm.waiting():
        with pytest.raises(TaskDeferred) as caught:
            run_task(task, store=store)
        event = first_event(caught.value)
        result = task.resume_execution("execute_complete", {"event": event}, context_of(task, store=store))
    assert (result["count"], result["expected"]) == (3, 3)


@pytest.mark.parametrize("wrong", [{"poll_interval": 0}, {"poll_interval": -1}, {"job_timeout": 0}])
def test_waits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError, match="0 seconds"):
        mass_update(**wrong)


@WAYS
def test_a_wait_may_have_no_end(sandbox_crm: SandboxCrm, deferrable: bool) -> None:
    leads(sandbox_crm)
    with sandbox_crm.waiting():
        assert run(mass_update(deferrable=deferrable, job_timeout=None))["count"] == 3


# --- more tries


@WAYS
@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
def test_wherever_the_process_dies_the_next_try_ends_as_a_clean_run(deferrable: bool, carried_out: bool) -> None:
    """Killed at each request in turn, the worker's and the trigger's."""
    submitted_twice = []
    for number in range(1, 100):
        crm = SandboxCrm()
        with connected(crm), crm.waiting():
            leads(crm)
            store, task = Store(), mass_update(deferrable=deferrable)
            crm.kill_at(number, carried_out=carried_out)
            try:
                clean = run(task, store=store)
            except Killed:
                crm.live()
                last = crm.sent[-1]
                result = run(task, ti=TaskInstance(try_number=2, max_tries=2), store=store)
                assert (result["count"], result["expected"]) == (3, 3), (number, last)
                assert statuses(crm) == ["Dead"] * 3
                if jobs_submitted(crm) > 1:
                    submitted_twice.append((last.method, last.path))
            else:
                assert clean["count"] == 3
                # What was killed were requests, not none at all.
                assert number > 5
                break
        crm.sandbox.close()
    # Only between sending the job and storing its id: EspoCRM lets nobody look for it then.
    assert submitted_twice == [POST]


def connected(crm: SandboxCrm) -> Any:
    """Connection and wire for a CRM of its own."""
    stack = ExitStack()
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    fields = {"conn_type": "espo", "host": crm.url, "password": crm.credentials["api_key"]}
    patch.setenv("AIRFLOW_CONN_ESPO_DEFAULT", json.dumps(fields))
    stack.enter_context(answering(crm))
    forget_shared_states()
    return stack


def test_a_retry_waits_for_the_job_that_is_under_way(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    with pytest.raises(TaskDeferred) as first:
        run_task(mass_update(deferrable=True), store=store)
    with pytest.raises(TaskDeferred) as second:
        run_task(mass_update(deferrable=True), ti=TaskInstance(try_number=2, max_tries=2), store=store)
    assert second.value.trigger.job_id == first.value.trigger.job_id
    assert jobs_submitted(sandbox_crm) == 1


def test_a_retry_takes_the_result_of_a_job_that_is_over(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    with pytest.raises(TaskDeferred):
        run_task(mass_update(deferrable=True), store=store)
    sandbox_crm.pass_time(60)
    result = run_task(mass_update(deferrable=True), ti=TaskInstance(try_number=2, max_tries=2), store=store)
    assert (result["count"], jobs_submitted(sandbox_crm)) == (3, 1)


def test_a_cleared_task_works_anew(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    with sandbox_crm.waiting():
        first = run_task(mass_update(), ti=TaskInstance(try_number=1, max_tries=2), store=store)
        cleared = run_task(mass_update(), ti=TaskInstance(try_number=2, max_tries=3), store=store)
    assert cleared["count"] == 3
    assert first["job_id"] != cleared["job_id"]
    assert jobs_submitted(sandbox_crm) == 2


def test_a_job_that_failed_is_started_anew_by_the_next_try(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    with sandbox_crm.waiting():
        sandbox_crm.on(*POST, {"id": "6b02a9135ac7bca3d"})
        sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", {"status": "Failed", "processedCount": 0})
        with pytest.raises(EspoJobError):
            run_task(mass_update(), store=store)
        del sandbox_crm._answers[POST]
        assert run_task(mass_update(), ti=TaskInstance(try_number=2, max_tries=2), store=store)["count"] == 3


def test_a_job_that_did_not_end_in_time_is_waited_for_by_the_next_try(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store, jobs = Store(), sandbox_crm.sandbox.jobs
    with sandbox_crm.waiting():
        real, jobs.run_due = jobs.run_due, lambda: 0  # type: ignore[method-assign]
        with pytest.raises(EspoJobError):
            run_task(mass_update(job_timeout=10), store=store)
        jobs.run_due = real  # type: ignore[method-assign]
        again = run_task(mass_update(job_timeout=10), ti=TaskInstance(try_number=2, max_tries=2), store=store)
    assert (again["count"], jobs_submitted(sandbox_crm)) == (3, 1)


def test_after_a_refusal_the_next_try_submits_as_if_nothing_was(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    task = not_repeatable()
    sandbox_crm.on(*POST, refusal(403, "No."))
    with pytest.raises(EspoForbiddenError):
        run_task(task, store=store)
    sandbox_crm.on(*POST, {"id": "6b02a9135ac7bca3d"})
    sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", {"status": "Success", "processedCount": 3})
    with sandbox_crm.waiting():
        assert run_task(task, ti=TaskInstance(try_number=2, max_tries=2), store=store)["count"] == 3


@pytest.mark.parametrize("by_ids", [False, True])
def test_a_job_whose_id_got_lost_is_not_repeated_when_the_records_show_its_work(
    sandbox_crm: SandboxCrm, by_ids: bool
) -> None:
    leads(sandbox_crm)
    store = Store()
    ids = [one["id"] for one in sandbox_crm.asker.find("Lead", select=["id"])["list"]]
    task = mass_update(**({"ids": ids, "where": None} if by_ids else {}))
    with sandbox_crm.waiting():
        sandbox_crm.after = lose_once(sandbox_crm)
        with pytest.raises(EspoConnectionError, match="Whether the job was submitted is not known"):
            run_task(task, store=store)
        sandbox_crm.pass_time(60)
        result = run_task(task, ti=TaskInstance(try_number=2, max_tries=2), store=store)
    assert result == {"count": 3, "expected": 3}
    assert jobs_submitted(sandbox_crm) == 1


def lose_once(crm: SandboxCrm) -> Any:
    def lose(sent: Any) -> None:
        if sent.path == "MassAction":
            crm.live()
            raise Lost

    return lose


def test_without_a_store_a_retry_does_what_does_no_harm(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    with sandbox_crm.waiting():
        run_task(mass_update())
        again = run_task(mass_update(), ti=TaskInstance(try_number=2, max_tries=2))
    assert again["count"] == 3


# --- what must not be done twice


def not_repeatable(**given: Any) -> EspoMassActionOperator:
    arguments: dict[str, Any] = {
        "task_id": "score",
        "entity_type": "Lead",
        "action": "score",
        "where": [equals("lastName", "Nowak")],
        "validate": False,
        "background": True,
        "deferrable": False,
        "poll_interval": 1,
        "retries": 2,
    }
    return EspoMassActionOperator(**(arguments | given))


RETRY = TaskInstance(try_number=2, max_tries=2)
CLEARED = TaskInstance(try_number=3, max_tries=5)


def test_an_action_nobody_knows_is_not_submitted_again_after_a_lost_answer(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    sandbox_crm.on(*POST, Lost)
    with pytest.raises(EspoConnectionError):
        run_task(not_repeatable(), store=store)
    with pytest.raises(EspoJobError, match="to do it twice could do harm"):
        run_task(not_repeatable(), ti=RETRY, store=store)
    assert jobs_submitted(sandbox_crm) == 1
    # Whoever clears it, or says that it may be repeated, wants it done.
    for task, ti in ((not_repeatable(), CLEARED), (not_repeatable(repeatable=True), RETRY)):
        with pytest.raises(EspoConnectionError):
            run_task(task, ti=ti, store=store)
    assert jobs_submitted(sandbox_crm) == 3


def test_an_action_nobody_knows_is_not_submitted_again_after_it_failed(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    sandbox_crm.on(*POST, {"id": "6b02a9135ac7bca3d"})
    sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", {"status": "Failed", "processedCount": 0})
    with sandbox_crm.waiting():
        for ti in (TaskInstance(max_tries=2), RETRY):
            with pytest.raises(EspoJobError, match="failed"):
                run_task(not_repeatable(), ti=ti, store=store)
    assert jobs_submitted(sandbox_crm) == 1


def test_a_job_that_espocrm_forgot_is_not_repeated_in_the_dark(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    sandbox_crm.on(*POST, {"id": "6b02a9135ac7bca3d"})
    with pytest.raises(TaskDeferred):
        run_task(not_repeatable(deferrable=True), store=store)
    sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", refusal(404))
    with pytest.raises(EspoJobError, match="to do it twice could do harm"):
        run_task(not_repeatable(), ti=RETRY, store=store)


def test_without_a_store_an_action_nobody_knows_is_done_in_the_first_try_only(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    with pytest.raises(EspoJobError, match="to do it twice could do harm"):
        run_task(not_repeatable(), ti=RETRY)
    assert sandbox_crm.sent == []


# --- killed by a user


def test_a_kill_before_the_job_starts_nothing(sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]) -> None:
    leads(sandbox_crm)
    task = mass_update()
    # Airflow calls this from a signal handler, and the task goes on where it was.
    task.on_kill()
    with pytest.raises(EspoJobError, match="killed before"):
        run_killed(task)
    assert jobs_submitted(sandbox_crm) == 0
    assert "before it asked EspoCRM to do anything" in capsys.readouterr().out


def run_killed(task: Any, **given: Any) -> Any:
    """Run a task itself and no copy of it, so that it can be killed."""
    context = context_of(task, **given)
    task.render_template_fields(context)
    token = ExecutorSafeguard.tracker.set(task)
    try:
        return task.execute(context)
    finally:
        ExecutorSafeguard.tracker.reset(token)


def test_a_kill_while_waiting_says_which_job_goes_on(
    sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]
) -> None:
    leads(sandbox_crm)
    task, store = mass_update(), Store()

    def kill(sent: Any) -> None:
        if sent.path.endswith("/status"):
            task.on_kill()

    sandbox_crm.after = kill
    with sandbox_crm.waiting(), pytest.raises(EspoJobError, match="goes on in EspoCRM") as caught:
        run_killed(task, store=store)
    assert caught.value.job_id
    assert f"cannot stop a background job, so mass_action {caught.value.job_id} goes on" in capsys.readouterr().out
    sandbox_crm.live()
    with sandbox_crm.waiting():
        again = run_task(mass_update(), ti=RETRY, store=store)
    assert (again["job_id"], jobs_submitted(sandbox_crm)) == (caught.value.job_id, 1)


@WAYS
def test_a_kill_amid_the_submission_says_that_it_may_be_carried_out(
    sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str], deferrable: bool
) -> None:
    leads(sandbox_crm)
    task = mass_update(deferrable=deferrable)

    def kill(sent: Any) -> None:
        if sent.path == "MassAction":
            task.on_kill()

    sandbox_crm.before = kill
    with sandbox_crm.waiting(), pytest.raises(EspoJobError, match="goes on in EspoCRM"):
        run_killed(task)
    assert "amid a request" in capsys.readouterr().out


def test_a_kill_while_deferred_says_what_goes_on(sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]) -> None:
    leads(sandbox_crm)
    with pytest.raises(TaskDeferred) as caught:
        run_task(mass_update(deferrable=True))
    trigger: Any = caught.value.trigger
    asyncio.run(trigger.on_kill())
    told = capsys.readouterr().out
    assert "cannot stop a background job, so this one goes on" in told
    assert f"mass_action {trigger.job_id}" in told


def test_a_job_of_somebody_else_in_the_store_is_an_error(sandbox_crm: SandboxCrm) -> None:
    store = Store({"espo_mass_action_job_2": {"since": "2026-03-01T06:00:00+00:00", "job_id": "6b02a9135ac7bca3d"}})
    sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", refusal(403, "No."))
    with pytest.raises(EspoForbiddenError, match="only to the user who started it"):
        run_task(mass_update(), ti=RETRY, store=store)
    sandbox_crm.on("GET", "MassAction/6b02a9135ac7bca3d/status", refusal(404))
    leads(sandbox_crm)
    with sandbox_crm.waiting():
        try:
            assert run_task(mass_update(), ti=RETRY, store=store)["count"] == 3
        except EspoNotFoundError:
            pytest.fail("a job that EspoCRM forgot can be done again")
