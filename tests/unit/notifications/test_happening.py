"""What callbacks of all kinds tell: what it was, and whether it is the same as before."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_espo.notifications.happening import Happening

STARTED = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def of_task(error: object = ValueError("somebody@example.com"), **given: Any) -> dict[str, Any]:
    """The context of a task's callback."""
    ti = {
        "dag_id": "sync",
        "task_id": "load",
        "run_id": "manual__1",
        "map_index": -1,
        "try_number": 2,
        "max_tries": 1,
        "state": SimpleNamespace(value="failed"),
        "log_url": "http://airflow/log",
    }
    run = SimpleNamespace(dag_id="sync", run_id="manual__1", start_date=STARTED)
    return {"ti": SimpleNamespace(**{**ti, **given}), "dag_run": run, "exception": error}


def of_run(**given: Any) -> dict[str, Any]:
    """The context of a DAG's callback, which has its run's last task instance."""
    context = of_task(error=None)
    del context["exception"]
    context["dag_run"].start_date = given.pop("start_date", STARTED)
    return {**context, "reason": "task_failure", **given}


def of_deadline(number: str = "1") -> dict[str, Any]:
    """The context of a deadline's callback: plain JSON."""
    run = {"dag_id": "sync", "dag_run_id": "manual__1", "start_date": STARTED.isoformat()}
    return {"dag_run": run, "deadline": {"id": number, "deadline_time": "2026-03-01T07:00:00Z"}}


def test_a_failed_task_is_told_with_its_try_and_the_kind_of_error_only() -> None:
    happening = Happening.of(of_task())
    assert happening.subject == "Airflow: sync.load failed"
    assert dict(happening.details) == {
        "Run": "manual__1",
        "Try": "2",
        "Error": "ValueError",
        "Log": "http://airflow/log",
    }
    assert "somebody@example.com" not in repr(happening)


@pytest.mark.parametrize(
    ("context", "subject"),
    [
        (of_task(map_index=3), "Airflow: sync.load [3] failed"),
        (of_task(state="up_for_retry"), "Airflow: sync.load failed and will be tried again"),
        (of_task(error=None, state="success"), "Airflow: sync.load succeeded"),
        (of_task(error=None, state="skipped"), "Airflow: sync.load was skipped"),
        (of_task(error=None, state=SimpleNamespace(value="running")), "Airflow: sync.load started"),
        # As the DAG processor has it when the worker died.
        (of_task(error=None, state=None), "Airflow: sync.load failed"),
        (of_run(), "Airflow: sync failed"),
        (of_run(reason="success"), "Airflow: sync succeeded"),
        ({"dag": SimpleNamespace(dag_id="sync"), "run_id": "manual__1", "reason": "timed_out"}, "Airflow: sync failed"),
        (of_deadline(), "Airflow: sync missed its deadline"),
        ({}, "Airflow: a run failed"),
    ],
)
def test_each_kind_of_callback_is_understood(context: dict[str, Any], subject: str) -> None:
    assert Happening.of(context).subject == subject


@pytest.mark.parametrize("context", [of_task(), of_run(), of_deadline()])
def test_all_know_run_and_start(context: dict[str, Any]) -> None:
    happening = Happening.of(context)
    assert (happening.dag_id, happening.run_id, happening.since) == ("sync", "manual__1", STARTED)


def test_the_marker_has_no_character_that_a_filter_takes_for_a_wildcard() -> None:
    assert re.fullmatch(r"airflow-[0-9a-f]{20}", Happening.of(of_task(run_id="100%_\\x")).marker or "")


def test_tries_and_reports_of_one_failure_have_one_marker() -> None:
    again = [of_task(), of_task(try_number=1, state="up_for_retry"), of_task(error=None), of_task(log_url=None)]
    assert len({Happening.of(context).marker for context in again}) == 1
    assert Happening.of(of_run()).marker == Happening.of(of_run(reason="timed_out")).marker


def test_other_tasks_runs_indexes_and_cleared_ones_have_others() -> None:
    different = [
        of_task(),
        of_task(task_id="other"),
        of_task(run_id="manual__2"),
        of_task(map_index=0),
        of_task(map_index=1),
        of_task(max_tries=3),
        of_task(error=None, state="running"),
        of_task(error=None, state="success"),
        of_run(),
        of_run(start_date=datetime(2026, 3, 2, tzinfo=UTC)),
        of_deadline("1"),
        of_deadline("2"),
    ]
    assert len({Happening.of(context).marker for context in different}) == len(different)


def test_without_a_run_there_is_no_marker() -> None:
    assert Happening.of({}).marker is None


def test_a_task_instance_that_cannot_say_where_its_log_is_is_no_error() -> None:
    class Halved:
        dag_id = run_id = task_id = "x"
        try_number = max_tries = 1

        @property
        def log_url(self) -> str:
            raise AttributeError("no logical date")

    assert Happening.of({"ti": Halved()}).log_url is None


@pytest.mark.parametrize("start", ["soon", None, 7])
def test_a_start_that_is_no_time_is_left_out(start: Any) -> None:
    assert Happening.of({"dag_run": {"dag_id": "a", "run_id": "b", "start_date": start}}).since is None
