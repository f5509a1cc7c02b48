"""Posts that ask for a task get one: each one, and each only one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_espo.where import equals
from tests.system.conftest import Crm

Run = Callable[..., Any]


class Watch:
    """A lead that is written about, and runs of the DAG that watches it."""

    def __init__(self, crm: Crm, run_dag: Run) -> None:
        self._hook = crm.hook
        self._run_dag = run_dag
        # The CRM may be used by others, and Airflow's variables outlive the test.
        self.marker = f"#{uuid4().hex}"
        self.variable = f"stream_watch_{uuid4().hex}"
        lead = self._hook.create_record("Lead", {"lastName": uuid4().hex, "status": "Dead"}, on_duplicate="force")
        self.lead_id = lead["id"]

    def post(self, text: str) -> str:
        note: str = self._hook.post_note(text, entity_type="Lead", record_id=self.lead_id)["id"]
        return note

    def run(self, patience: float = 1, **params: Any) -> Any:
        given = {"marker": self.marker, "variable": self.variable, **params}
        return self._run_dag("stream_watch", patience=patience, **given)

    def tasks(self) -> list[dict[str, Any]]:
        return self._hook.list_records("Task", where=[equals("parentId", self.lead_id)])


@pytest.fixture
def watch(crm: Crm, run_dag: Run) -> Iterator[Watch]:
    watch = Watch(crm, run_dag)
    yield watch
    crm.hook.delete_record("Lead", watch.lead_id)


def place_of(watch: Watch) -> Any:
    from airflow.models.variable import Variable

    return Variable.get(watch.variable, default_var=None, deserialize_json=True)


def test_the_first_run_begins_at_the_newest_note_and_the_next_one_goes_on_there(crm: Crm, watch: Watch) -> None:
    watch.post(f"Long ago {watch.marker}")
    first = watch.run()
    assert str(first.state) == "success"
    assert first.get_task_instance("wait_for_posts").state == "skipped"
    assert watch.tasks() == []
    between_the_runs = [watch.post(f"Call {n} {watch.marker}") for n in range(2)]
    watch.post("Nobody has to do anything")

    second = watch.run()

    assert str(second.state) == "success"
    numbers = [crm.hook.get_record("Note", note_id)["number"] for note_id in between_the_runs]
    made = watch.tasks()
    assert sorted(task["name"] for task in made) == [f"Follow up on post {number}" for number in sorted(numbers)]
    assert {task["assignedUserId"] for task in made} == {crm.hook.whoami()["id"]}
    assert set(place_of(watch)["cursor"]["known"]) >= set(between_the_runs)

    third = watch.run()

    assert third.get_task_instance("wait_for_posts").state == "skipped"
    assert len(watch.tasks()) == 2


def test_a_post_that_comes_during_the_wait_ends_it(watch: Watch) -> None:
    watch.run()
    later = threading.Timer(2, watch.post, [f"Call {watch.marker}"])
    later.start()
    try:
        dag_run = watch.run(patience=60)
    finally:
        later.join()
    assert str(dag_run.state) == "success"
    assert len(watch.tasks()) == 1


def test_a_run_that_died_before_its_end_is_done_again_and_makes_no_task_twice(watch: Watch) -> None:
    from airflow.models.variable import Variable

    watch.run()
    before = place_of(watch)
    watch.post(f"Call {watch.marker}")
    watch.run()
    assert len(watch.tasks()) == 1
    # As if the worker had died before the place was kept.
    Variable.set(watch.variable, before, serialize_json=True)

    again = watch.run()

    assert again.get_task_instance("wait_for_posts").state == "success"
    assert len(watch.tasks()) == 1
    assert place_of(watch) != before


def test_a_run_that_fails_leaves_the_place_where_it_was(watch: Watch) -> None:
    watch.run()
    before = place_of(watch)
    watch.post(f"Call {watch.marker}")

    # There is no such day.
    failed = watch.run(due_in_days=9_000_000)

    assert str(failed.state) == "failed"
    assert watch.tasks() == []
    assert place_of(watch) == before
    assert str(watch.run().state) == "success"
    assert len(watch.tasks()) == 1


def test_airflow_keeps_nothing_of_what_people_wrote(watch: Watch, kept_of: Callable[[Any], list[str]]) -> None:
    watch.run()
    note_id = watch.post(f"Call Mrs Smith {watch.marker}")
    kept = kept_of(watch.run())
    assert any(note_id in text for text in kept)
    assert [text for text in kept if "Smith" in text] == []
