"""When the first try of a task instance began, so that a later try can look for what an earlier one did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoError

if TYPE_CHECKING:
    from airflow.sdk import Context


def earlier_tries_since(context: Context, what: str) -> datetime | None:
    """Return since when earlier tries of this task instance may have done something; ``None`` on the first try.

    A cleared task starts anew: what it did before it was cleared does not count.

    :param context: Airflow's context.
    :param what: name of the piece of work, as a task may do several.
    """
    store = compat.task_state_store(context)
    if store is not None:
        key = _key(context, what)
        since = store.get(key)
        if isinstance(since, str):
            return datetime.fromisoformat(since)
        store.set(key, datetime.now(UTC).isoformat())
        return None
    first_try = generation(context) - int(context["task"].retries or 0) + 1
    if context["ti"].try_number <= first_try:
        return None
    start: datetime | None = context["dag_run"].start_date
    return start


@contextmanager
def one_try(context: Context, what: str) -> Iterator[datetime | None]:
    """Give what :func:`earlier_tries_since` returns; a try that EspoCRM refused counts for nothing afterwards.

    Otherwise a retry would look, find an equal record that another task had made meanwhile, and take it for its own:
    the very duplicate for which the first try was refused. Without a task state store (before Airflow 3.3) nothing can
    be remembered, and so nothing taken back.

    :param context: Airflow's context.
    :param what: name of the piece of work, as a task may do several.
    """
    since = earlier_tries_since(context, what)
    try:
        yield since
    except EspoError as error:
        store = compat.task_state_store(context)
        if store is not None and since is None and not error.outcome_unknown:
            store.delete(_key(context, what))
        raise


def generation(context: Context) -> int:
    """Return a number that all tries of a task instance share until the task is cleared.

    :param context: Airflow's context.
    """
    # Clearing a task moves max_tries, a retry does not.
    return int(getattr(context["ti"], "max_tries", 0) or 0)


def _key(context: Context, what: str) -> str:
    return f"espo_{what}_since_{generation(context)}"
