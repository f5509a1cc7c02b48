"""The operators of mass actions: what Airflow adds to the hook's methods."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.exceptions import (
    EspoBadRequestError,
    EspoConnectionError,
    EspoInputError,
    EspoJobError,
    EspoShortfallError,
    EspoUnknownNameError,
)
from airflow_provider_espo.operators.mass_action import (
    EspoMassActionOperator,
    EspoMassDeleteOperator,
    EspoMassUpdateOperator,
)
from airflow_provider_espo.operators.record import EspoListRecordsOperator
from airflow_provider_espo.where import equals
from tests.unit.crm import Lost, answering, refusal
from tests.unit.running import Store, TaskInstance, context_of, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm, run_deferrable

FIRST, RETRY, CLEARED = (TaskInstance(try_number=t, max_tries=m) for t, m in ((1, 2), (2, 2), (3, 5)))
NOWAKS = [equals("lastName", "Nowak")]
POST = ("POST", "MassAction")


def leads(crm: SandboxCrm, count: int = 3) -> list[str]:
    return [crm.asker.create("Lead", lastName="Nowak", status="New")["id"] for _ in range(count)]


def statuses(crm: SandboxCrm) -> list[str]:
    return [one["status"] for one in crm.asker.find("Lead", select=["status"], maxSize=200)["list"]]


def update(**given: Any) -> EspoMassUpdateOperator:
    arguments: dict[str, Any] = {"task_id": "update", "entity_type": "Lead", "attributes": {"status": "Dead"}}
    return EspoMassUpdateOperator(**(arguments | given))


def delete(**given: Any) -> EspoMassDeleteOperator:
    return EspoMassDeleteOperator(**({"task_id": "delete", "entity_type": "Lead"} | given))


def score(**given: Any) -> EspoMassActionOperator:
    arguments: dict[str, Any] = {
        "task_id": "score",
        "entity_type": "Lead",
        "action": "score",
        "where": NOWAKS,
        "validate": False,
        "retries": 2,
    }
    return EspoMassActionOperator(**(arguments | given))


# --- results


def test_templates_and_upstream_results_say_what_is_meant(sandbox_crm: SandboxCrm) -> None:
    ids = leads(sandbox_crm)
    task = update(
        ids="{{ ti.xcom_pull('source')[0] }}", attributes={"status": "{{ params.status }}"}, max_records="{{ 1 + 1 }}"
    )
    result = run_task(task, ti=TaskInstance(xcoms={"source": ids}), params={"status": "Dead"})
    assert result == {"count": 1, "expected": 1, "ids": ids[:1]}


def test_a_deletion_by_filter(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    assert run_task(delete(where=NOWAKS)) == {"count": 3, "expected": 3}
    assert statuses(sandbox_crm) == []


def test_any_other_action(sandbox_crm: SandboxCrm) -> None:
    account = sandbox_crm.asker.create("Account", name="A")["id"]
    task = EspoMassActionOperator(task_id="lock", entity_type="Account", action="lock", ids=[account])
    assert run_task(task) == {"count": 1, "expected": 1, "ids": [account]}
    with pytest.raises(EspoUnknownNameError, match="unlock"):
        run_task(EspoMassActionOperator(task_id="x", entity_type="Account", action="unlok", ids=[account]))


@pytest.mark.parametrize("dry_run", [True, "True", "{{ 'true' }}"])
@pytest.mark.parametrize("background", [False, True])
def test_a_dry_run_changes_nothing(sandbox_crm: SandboxCrm, dry_run: Any, background: bool) -> None:
    ids = leads(sandbox_crm)
    result = run_task(delete(where=NOWAKS, dry_run=dry_run, background=background, deferrable=False))
    assert result == {"count": 3, "ids": sorted(ids), "dry_run": True}
    assert sandbox_crm.posts("MassAction") == []


def test_a_dry_run_may_be_switched_off_by_a_template(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    assert run_task(delete(where=NOWAKS, dry_run="{{ params.dry }}"), params={"dry": False})["count"] == 3


@pytest.mark.parametrize("dry_run", ["", "no", None, 1, "{{ params.missing }}"])
def test_what_is_neither_yes_nor_no_deletes_nothing(sandbox_crm: SandboxCrm, dry_run: Any) -> None:
    leads(sandbox_crm)
    with pytest.raises(EspoInputError, match="dry_run"):
        run_task(delete(where=NOWAKS, dry_run=dry_run))
    assert len(statuses(sandbox_crm)) == 3


def test_an_empty_result_of_an_upstream_task_does_not_mean_every_record(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    ti = TaskInstance(xcoms={"source": []})
    with DAG("dag", schedule=None):
        source = EspoListRecordsOperator(task_id="source", entity_type="Lead")
        by_ids, by_filter = delete(ids=source.output), delete(task_id="filtered", where=source.output)
    assert run_task(by_ids, ti=ti)["count"] == 0
    with pytest.raises(EspoInputError, match="all_records=True"):
        run_task(by_filter, ti=ti)
    assert len(statuses(sandbox_crm)) == 3


def test_a_shortfall_fails_or_is_told(sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]) -> None:
    ids = leads(sandbox_crm)
    with pytest.raises(EspoShortfallError):
        run_task(update(ids=ids, attributes={"status": "Nope"}))
    result = run_task(update(ids=ids, attributes={"status": "Nope"}, on_shortfall="warn"))
    assert sorted(result["skipped_ids"]) == sorted(ids)
    assert "skipped 3 records without a word" in capsys.readouterr().out


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("by_ids", [False, True])
def test_a_shortfall_of_a_background_job_is_found(sandbox_crm: SandboxCrm, deferrable: bool, by_ids: bool) -> None:
    ids = leads(sandbox_crm)
    what: dict[str, Any] = {"ids": ids} if by_ids else {"where": NOWAKS}
    task = update(attributes={"status": "Nope"}, background=True, deferrable=deferrable, **what)
    with sandbox_crm.waiting(), pytest.raises(EspoShortfallError) as caught:
        run_deferrable(task)
    assert sorted(caught.value.record_ids) == sorted(ids)


def test_a_background_job_by_ids(sandbox_crm: SandboxCrm) -> None:
    ids = leads(sandbox_crm)
    with sandbox_crm.waiting():
        result = run_deferrable(delete(ids=ids[:2], background=True, deferrable=True))
    assert (result["count"], result["expected"]) == (2, 2)
    assert len(statuses(sandbox_crm)) == 1


def test_no_job_is_started_for_nothing(sandbox_crm: SandboxCrm) -> None:
    nothing: list[dict[str, Any]] = [{"ids": []}, {"where": NOWAKS}]
    for what in nothing:
        assert run_task(delete(background=True, deferrable=True, **what)) == {"count": 0, "expected": 0}
    assert sandbox_crm.posts("MassAction") == []


# --- again


@pytest.mark.parametrize("by_ids", [False, True])
@pytest.mark.parametrize("what", ["update", "delete"])
@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
def test_wherever_the_worker_dies_the_next_try_ends_as_a_clean_run(
    connect: Any, by_ids: bool, what: str, carried_out: bool
) -> None:
    """At once: killed at each request in turn."""
    for number in range(1, 50):
        crm = SandboxCrm()
        connect(password=crm.credentials["api_key"])
        forget_shared_states()
        with answering(crm):
            ids = leads(crm)
            which: dict[str, Any] = {"ids": ids} if by_ids else {"where": NOWAKS}
            task = update(**which) if what == "update" else delete(**which)
            store = Store()
            crm.kill_at(number, carried_out=carried_out)
            try:
                run_task(task, ti=FIRST, store=store)
            except Killed:
                crm.live()
                run_task(task, ti=RETRY, store=store)
                assert statuses(crm) == (["Dead"] * 3 if what == "update" else [])
            else:
                assert number > (1 if by_ids and what == "delete" else 2)
                break
        crm.sandbox.close()


def test_what_an_earlier_try_did_to_its_end_is_not_done_again(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    first = run_task(delete(where=NOWAKS, retries=2), ti=FIRST, store=store)
    leads(sandbox_crm)
    assert run_task(delete(where=NOWAKS, retries=2), ti=RETRY, store=store) == first
    assert len(statuses(sandbox_crm)) == 3
    assert run_task(delete(where=NOWAKS, retries=2), ti=CLEARED, store=store)["count"] == 3
    assert statuses(sandbox_crm) == []


def test_an_action_nobody_knows_is_done_once_over_all_tries(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    sandbox_crm.on(*POST, Lost)
    with pytest.raises(EspoConnectionError):
        run_task(score(), ti=FIRST, store=store)
    with pytest.raises(EspoJobError, match="to do it twice could do harm"):
        run_task(score(), ti=RETRY, store=store)
    assert len(sandbox_crm.posts("MassAction")) == 1
    sandbox_crm.on(*POST, {"count": 3})
    assert run_task(score(repeatable=True), ti=RETRY, store=store)["count"] == 3


def test_after_a_refusal_an_action_nobody_knows_may_be_tried_again(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm)
    store = Store()
    sandbox_crm.on(*POST, refusal(400, "No."), {"count": 3})
    with pytest.raises(EspoBadRequestError):
        run_task(score(), ti=FIRST, store=store)
    assert run_task(score(), ti=RETRY, store=store)["count"] == 3


def test_after_a_part_was_done_an_action_nobody_knows_is_not_done_again(sandbox_crm: SandboxCrm) -> None:
    ids = leads(sandbox_crm, 120)
    store = Store()
    sandbox_crm.on(*POST, {"count": 100, "ids": ids[:100]}, refusal(400, "No."))
    with pytest.raises(EspoBadRequestError):
        run_task(score(where=None, ids=ids), ti=FIRST, store=store)
    with pytest.raises(EspoJobError):
        run_task(score(where=None, ids=ids), ti=RETRY, store=store)
    assert len(sandbox_crm.posts("MassAction")) == 2


def test_a_kill_stops_between_two_requests(sandbox_crm: SandboxCrm, capsys: pytest.CaptureFixture[str]) -> None:
    ids = leads(sandbox_crm, 150)
    task = update(ids=ids)

    def kill(sent: Any) -> None:
        if sent.path == "MassAction":
            task.on_kill()

    sandbox_crm.after = kill
    token = ExecutorSafeguard.tracker.set(task)
    try:
        with pytest.raises(EspoJobError, match="killed amid update of Lead") as caught:
            task.execute(context_of(task))
    finally:
        ExecutorSafeguard.tracker.reset(token)
    assert len(caught.value.outcomes) == 100
    assert statuses(sandbox_crm).count("Dead") == 100
    assert "amid a request" in capsys.readouterr().out


def test_what_is_kept_between_tries_is_small_and_holds_no_values(sandbox_crm: SandboxCrm) -> None:
    ids = leads(sandbox_crm, 250)
    for task in (update(ids=ids), update(ids=ids, background=True, deferrable=False), update(where=NOWAKS)):
        store = Store()
        with sandbox_crm.waiting():
            run_task(task, store=store)
        assert store
        assert "Dead" not in str(store)
        assert len(str(store)) < 65_000
