from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.definition_files import load_definitions
from airflow_provider_espo.sandbox.jobs import Checkpoint, Job, Jobs, JobStopped
from airflow_provider_espo.sandbox.storage import Storage
from tests.unit.sandbox.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(clock: Clock) -> Iterator[Storage]:
    storage = Storage(":memory:", load_definitions(), clock=clock)
    yield storage
    storage.close()


def double(job: Job, checkpoint: Checkpoint) -> Mapping[str, Any]:
    return {"number": job.data["number"] * 2, "by": job.user_id}


def status(jobs: Jobs, job_id: str) -> str:
    job = jobs.get("double", job_id)
    assert job is not None
    return job.status


def test_a_job_is_pending_then_running_then_done(storage: Storage, clock: Clock) -> None:
    jobs = Jobs(storage, delay=2)
    jobs.register("double", double)
    job_id = jobs.add("double", "u1", {"number": 21})
    seen = []
    for _ in range(4):
        jobs.run_due()
        seen.append(status(jobs, job_id))
        clock.go_on(0.75)
    assert seen == ["Pending", "Pending", "Running", "Success"]
    job = jobs.get("double", job_id)
    assert job is not None
    assert (job.result, job.user_id) == ({"number": 42, "by": "u1"}, "u1")


def test_without_delay_a_job_is_done_as_soon_as_the_worker_looks(storage: Storage) -> None:
    jobs = Jobs(storage, delay=0)
    jobs.register("double", double)
    job_id = jobs.add("double", "u1", {"number": 1})
    assert status(jobs, job_id) == "Pending"
    assert jobs.run_due() == 1
    assert status(jobs, job_id) == "Success"
    assert jobs.run_due() == 0


def test_jobs_are_done_in_the_order_in_which_they_were_ordered(storage: Storage) -> None:
    jobs, done = Jobs(storage, delay=0), []
    jobs.register("note", lambda job, checkpoint: done.append(job.data["name"]))
    for name in ("first", "second", "third"):
        jobs.add("note", "u1", {"name": name})
    assert jobs.run_due() == 3
    assert done == ["first", "second", "third"]


def test_an_error_in_the_work_makes_the_job_failed_and_the_next_is_done(storage: Storage) -> None:
    jobs = Jobs(storage, delay=0)
    jobs.register("double", double)
    bad, good = jobs.add("double", "u1", {}), jobs.add("double", "u1", {"number": 1})
    jobs.run_due()
    assert (status(jobs, bad), status(jobs, good)) == ("Failed", "Success")


def test_a_job_is_found_only_as_what_it_is(storage: Storage) -> None:
    jobs = Jobs(storage, delay=0)
    job_id = jobs.add("double", "u1", {"number": 1})
    assert jobs.get("other", job_id) is None
    assert jobs.get("double", "nope") is None


def test_the_thread_does_jobs_by_itself(storage: Storage) -> None:
    jobs, done = Jobs(storage, delay=0), threading.Event()
    jobs.register("note", lambda job, checkpoint: done.set())
    jobs.start()
    jobs.add("note", "u1", {})
    assert done.wait(20)
    jobs.stop()


def test_after_stop_no_job_is_done(storage: Storage) -> None:
    jobs = Jobs(storage, delay=0)
    jobs.register("double", double)
    jobs.start()
    jobs.stop()
    job_id = jobs.add("double", "u1", {"number": 1})
    assert jobs.run_due() == 0
    assert status(jobs, job_id) == "Pending"


def test_stopping_breaks_work_off_at_its_next_checkpoint(storage: Storage) -> None:
    jobs, begun, broken_off = Jobs(storage, delay=0), threading.Event(), []

    def long_work(job: Job, checkpoint: Checkpoint) -> None:
        begun.set()
        try:
            while True:
                checkpoint()
        except JobStopped:
            broken_off.append(job.id)
            raise

    jobs.register("double", long_work)
    jobs.start()
    job_id = jobs.add("double", "u1", {})
    assert begun.wait(20)
    jobs.stop()
    assert broken_off == [job_id]
    assert status(jobs, job_id) == "Failed"


def test_a_restarted_sandbox_knows_ended_jobs_and_goes_on_with_waiting_ones(tmp_path: Path, clock: Clock) -> None:
    path = str(tmp_path / "crm.sqlite")
    storage = Storage(path, load_definitions(), clock=clock)
    jobs = Jobs(storage, delay=2)
    jobs.register("double", double)
    ended = jobs.add("double", "u1", {"number": 2})
    clock.go_on(2)
    jobs.run_due()
    running = jobs.add("double", "u1", {"number": 3})
    clock.go_on(1)
    pending = jobs.add("double", "u1", {"number": 4})
    jobs.run_due()
    storage.close()

    storage = Storage(path, load_definitions(), clock=clock)
    jobs = Jobs(storage, delay=2)
    jobs.register("double", double)
    assert [status(jobs, i) for i in (ended, running, pending)] == ["Success", "Running", "Pending"]
    clock.go_on(2)
    assert jobs.run_due() == 2
    results = [job.result["number"] for i in (ended, running, pending) if (job := jobs.get("double", i))]
    assert results == [4, 6, 8]
    storage.close()


def test_a_job_whose_work_was_under_way_when_the_process_died_has_failed(tmp_path: Path, clock: Clock) -> None:
    path = str(tmp_path / "crm.sqlite")
    storage = Storage(path, load_definitions(), clock=clock)
    jobs = Jobs(storage, delay=0)

    def die(job: Job, checkpoint: Checkpoint) -> None:
        raise KeyboardInterrupt  # ends the process, not the job

    jobs.register("double", die)
    job_id = jobs.add("double", "u1", {})
    with pytest.raises(KeyboardInterrupt):
        jobs.run_due()
    assert status(jobs, job_id) == "Running"
    storage.close()

    storage = Storage(path, load_definitions(), clock=clock)
    jobs = Jobs(storage, delay=0)
    assert status(jobs, job_id) == "Failed"
    assert jobs.run_due() == 0
    storage.close()
