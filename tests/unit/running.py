"""Run a task as Airflow's worker does: templates rendered, then executed."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.bases.operator import BaseOperator, ExecutorSafeguard

DAG_RUN_STARTED = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class TaskInstance:
    """What of Airflow's task instance our tasks use.

    :param xcoms: results by task id and key.
    """

    dag_id = "dag"
    run_id = "run"

    def __init__(
        self,
        *,
        try_number: int = 1,
        max_tries: int = 0,
        xcoms: dict[str, Any] | None = None,
        first_reschedule: datetime | None = None,
    ) -> None:
        self.try_number = try_number
        self.max_tries = max_tries
        self._xcoms = xcoms or {}
        self._first_reschedule = first_reschedule

    def xcom_pull(self, task_ids: str, key: str = "return_value", default: Any = None, **_: Any) -> Any:
        """Return a task's result, or one of its parts."""
        result = self._xcoms.get(task_ids, default)
        return result if key == "return_value" else result[key]

    def get_first_reschedule_date(self, _context: Any) -> datetime | None:
        """When a sensor in reschedule mode came first."""
        return self._first_reschedule


class Store(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        """Store a value."""
        self[key] = value

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.pop(key, None)


def context_of(
    task: BaseOperator,
    *,
    ti: TaskInstance | None = None,
    params: dict[str, Any] | None = None,
    store: Store | None = None,
) -> Any:
    """Return the context a worker gives to a task."""
    context: dict[str, Any] = {
        "task": task,
        "ti": ti or TaskInstance(max_tries=task.retries or 0),
        "params": params or {},
        "dag_run": SimpleNamespace(start_date=DAG_RUN_STARTED),
    }
    if store is not None:
        context["task_state_store"] = store
    return context


def run_task(task: BaseOperator, **given: Any) -> Any:
    """Run a copy of a task, as each try of it does, and return its result."""
    task = copy.deepcopy(task)
    context = context_of(task, **given)
    task.render_template_fields(context)
    token = ExecutorSafeguard.tracker.set(task)
    try:
        return task.execute(context)
    finally:
        ExecutorSafeguard.tracker.reset(token)
