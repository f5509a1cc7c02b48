"""Background jobs: work that a request only orders, and that is done a while later.

A job is *Pending*, then *Running*, then *Success* or *Failed*. Its delay is divided between the first two, so that
who asks often enough sees both. One thread does the work of all jobs, one after the other, in the order in which
they were ordered; without that thread (see :meth:`Jobs.start`) nothing happens until :meth:`Jobs.run_due` is called.

Jobs are kept in the database: with a file, finished ones can be asked for after a restart, waiting ones are done
then, and one whose work was under way when the process ended has failed.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.storage import Storage

log = logging.getLogger(__name__)

PENDING, RUNNING, SUCCESS, FAILED = "Pending", "Running", "Success", "Failed"
DEFAULT_DELAY = 2.0
#: The CRM's clock may be one that jumps, so that the thread looks at it often while a job waits.
LOOK_EVERY = 0.05
#: A job that is ordered within a longer transaction is not seen before its end.
LOOK_WHEN_IDLE = 0.5

#: To be called between two steps of long work; raises :class:`JobStopped` if the sandbox is being stopped.
Checkpoint = Callable[[], None]


class JobStopped(Exception):
    """The sandbox is being stopped while a job's work is under way."""


@dataclass(frozen=True, slots=True)
class Job:
    """A background job.

    :param kind: what is to be done; names the work, see :meth:`Jobs.register`
    :param user_id: user who ordered it
    :param data: the order
    :param result: what the work returned; empty before it is done
    """

    id: str
    kind: str
    user_id: str
    status: str
    data: Mapping[str, Any]
    result: Mapping[str, Any]


#: Does a job and returns its result; any error means that the job has failed.
Work = Callable[[Job, Checkpoint], Mapping[str, Any] | None]


class Jobs:
    """The background jobs of a sandbox.

    :param storage: keeps the jobs, and has the clock
    :param delay: seconds between order and work; for half of them a job is Pending, then Running
    """

    def __init__(self, storage: Storage, delay: float = DEFAULT_DELAY) -> None:
        self._storage = storage
        self._delay = delay
        #: Seconds for which a job that did its work still shows as Running, by its result.
        self.lasting: Callable[[Mapping[str, Any]], float] = lambda _result: 0.0
        self._works: dict[str, Work] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        # what was under way when the process ended was done in part: nobody goes on with it
        storage.execute('UPDATE "Job" SET status = ? WHERE status = ? AND begun = 1', [FAILED, RUNNING])

    def register(self, kind: str, work: Work) -> None:
        """State how jobs of a kind are done."""
        self._works[kind] = work

    def add(self, kind: str, user_id: str, data: Mapping[str, Any], job_id: str | None = None) -> str:
        """Order a job.

        :param data: the order, as JSON values
        :param job_id: id of the job; None for a new one
        :return: id of the job
        """
        now = self._now()
        job_id = job_id or self._storage.new_id()
        row = {
            "id": job_id,
            "kind": kind,
            "userId": user_id,
            "status": PENDING,
            "begun": 0,
            "startAt": now + self._delay / 2,
            "workAt": now + self._delay,
            "data": json.dumps(data),
            "result": "{}",
        }
        self._storage.insert("Job", row)
        self._wake.set()
        return job_id

    def get(self, kind: str, job_id: str) -> Job | None:
        """A job of a kind, or None."""
        row = self._storage.row('SELECT * FROM "Job" WHERE id = ? AND kind = ?', [job_id, kind])
        return None if row is None else job_of(row)

    def run_due(self) -> int:
        """Do what is due by the clock.

        :return: how many jobs came to their end
        """
        ended = 0
        while not self._stopping:
            now = self._now()
            self._storage.execute(
                'UPDATE "Job" SET status = ? WHERE status = ? AND "startAt" <= ?', [RUNNING, PENDING, now]
            )
            row = self._storage.row(
                'SELECT * FROM "Job" WHERE status = ? AND begun = 0 AND "workAt" <= ? ORDER BY "workAt", id LIMIT 1',
                [RUNNING, now],
            )
            if row is None:
                break
            self._do(job_of(row))
            ended += 1
        return ended

    def start(self) -> None:
        """Let a thread do the jobs when they are due."""
        self._thread = threading.Thread(target=self._run, name="espo-sandbox-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A job whose work is under way is broken off at its next checkpoint and has failed."""
        self._stopping = True
        self._wake.set()
        # It is not alive if the sandbox was interrupted just as it was to start.
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self.run_due()
            self._wake.wait(LOOK_EVERY if self._has_open() else LOOK_WHEN_IDLE)

    def _has_open(self) -> bool:
        sql = 'SELECT 1 FROM "Job" WHERE status IN (?, ?) AND begun = 0 LIMIT 1'
        return self._storage.value(sql, [PENDING, RUNNING]) is not None

    def _do(self, job: Job) -> None:
        self._storage.update("Job", job.id, {"begun": 1})
        result: Mapping[str, Any] = {}
        try:
            result = self._works[job.kind](job, self._checkpoint) or {}
            self._last(self.lasting(result))
            status = SUCCESS
        except Exception as error:
            log.info("job %s (%s) failed: %s", job.id, job.kind, str(error) or type(error).__name__)
            status = FAILED
        self._storage.update("Job", job.id, {"status": status, "result": json.dumps(result)})

    def _last(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._checkpoint()
            time.sleep(min(left, LOOK_EVERY))

    def _checkpoint(self) -> None:
        if self._stopping:
            raise JobStopped

    def _now(self) -> float:
        return self._storage.clock().timestamp()


def job_of(row: Mapping[str, Any]) -> Job:
    """A job as it is stored."""
    return Job(
        id=row["id"],
        kind=row["kind"],
        user_id=row["userId"],
        status=row["status"],
        data=json.loads(row["data"]),
        result=json.loads(row["result"]),
    )
