"""Since when earlier tries of a task instance may have done something."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_espo.operators.record import EspoDeleteRecordOperator
from airflow_provider_espo.operators.tries import earlier_tries_since
from tests.unit.running import DAG_RUN_STARTED, Store, TaskInstance, context_of


def since(try_number: int, max_tries: int, retries: int = 2, store: Store | None = None) -> datetime | None:
    task = EspoDeleteRecordOperator(task_id="task", entity_type="Lead", record_id="1", retries=retries)
    ti = TaskInstance(try_number=try_number, max_tries=max_tries)
    return earlier_tries_since(context_of(task, ti=ti, store=store), "create")


def test_with_a_store_a_retry_looks_since_the_first_try_began() -> None:
    store = Store()
    before = datetime.now(UTC)
    assert since(1, 2, store=store) is None
    after = datetime.now(UTC)
    second, third = since(2, 2, store=store), since(3, 2, store=store)
    assert second is not None
    assert before <= second <= after
    assert third == second


def test_with_a_store_only_a_try_that_came_so_far_counts() -> None:
    # The first try failed before it got here, such as at a missing connection.
    assert since(2, 2, store=Store()) is None


def test_with_a_store_clearing_forgets_the_tries_before() -> None:
    store = Store()
    since(1, 2, store=store)
    assert since(2, 3, store=store) is None
    assert since(3, 3, store=store) is not None


def test_two_pieces_of_work_of_a_task_are_told_apart() -> None:
    store = Store()
    task = EspoDeleteRecordOperator(task_id="task", entity_type="Lead", record_id="1")
    context = context_of(task, store=store)
    assert earlier_tries_since(context, "create") is None
    assert earlier_tries_since(context, "convert") is None
    assert earlier_tries_since(context, "create") is not None


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "is_retry"),
    [
        (1, 2, 2, False),
        (2, 2, 2, True),
        (3, 2, 2, True),
        (1, 0, 0, False),
        # Cleared after the first, second and last try.
        (2, 3, 2, False),
        (3, 3, 2, True),
        (3, 4, 2, False),
        (4, 5, 2, False),
        (5, 5, 2, True),
        # Cleared without retries.
        (2, 1, 0, False),
    ],
)
def test_without_a_store_the_numbers_of_tries_tell_retries_from_cleared_tasks(
    try_number: int, max_tries: int, retries: int, is_retry: bool
) -> None:
    assert since(try_number, max_tries, retries) == (DAG_RUN_STARTED if is_retry else None)
