"""When the first try of a task instance began, so that a later try can look for what an earlier one did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_espo import compat

if TYPE_CHECKING:
    from airflow.sdk import Context


def earlier_tries_since(context: Context, what: str) -> datetime | None:
    """Return since when earlier tries of this task instance may have done something; ``None`` on the first try.

    A cleared task starts anew: what it did before it was cleared does not count.

    :param context: Airflow's context.
    :param what: name of the piece of work, as a task may do several.
    """
    task_instance = context["ti"]
    # Clearing a task moves max_tries, a retry does not.
    generation = int(getattr(task_instance, "max_tries", 0) or 0)
    store = compat.task_state_store(context)
    if store is not None:
        key = f"espo_{what}_since_{generation}"
        since = store.get(key)
        if isinstance(since, str):
            return datetime.fromisoformat(since)
        store.set(key, datetime.now(UTC).isoformat())
        return None
    first_try = generation - int(context["task"].retries or 0) + 1
    if task_instance.try_number <= first_try:
        return None
    start: datetime | None = context["dag_run"].start_date
    return start
