"""Tasks that have EspoCRM do something in a background job: submitted once over all tries of a task instance."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoJobError, EspoNotFoundError
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.tries import earlier_tries_since, generation

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.operations.jobs import JobKind
    from airflow_provider_espo.hooks.espo import EspoHook

#: A day: long enough for any job, and a server whose cron stands still is found out.
JOB_TIMEOUT = 86_400.0
POLL_INTERVAL = 15.0

# The trigger ends by itself at the deadline; Airflow's own time-out stands behind it.
_GRACE = 60.0


class JobMemory:
    """What is known of a task instance's job, over its tries.

    Kept in Airflow's task state store (3.3 and later), under a key that changes when the task is cleared: a cleared
    task works anew. Without a store only this much is known in a later try: that an earlier one may have submitted.

    :param context: Airflow's context.
    :param what: name of the piece of work, as a task may do several.
    """

    def __init__(self, context: Context, what: str) -> None:
        self._store = compat.task_state_store(context)
        self._key = f"espo_{what}_{generation(context)}"
        #: When an earlier try began to submit; ``None`` if none did.
        self.since: datetime | None = None
        #: The job, once known.
        self.job_id: str | None = None
        #: What is to be known when the job is finished, maybe in another process: plain JSON, small, no values of
        #: records.
        self.notes: dict[str, Any] = {}
        known = None if self._store is None else self._store.get(self._key)
        if isinstance(known, Mapping):
            self._take(known)
        elif self._store is None:
            self.since = earlier_tries_since(context, what)

    @classmethod
    def resumed(cls, context: Context, what: str, known: Mapping[str, Any]) -> Self:
        """Return the memory that :meth:`as_dict` gave before the task was deferred."""
        memory = cls(context, what)
        memory._take(known)
        return memory

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        since = None if self.since is None else self.since.isoformat()
        return {"since": since, "job_id": self.job_id, "notes": self.notes}

    def begin(self) -> None:
        """Remember that something is about to be submitted."""
        self.since = datetime.now(UTC)
        self._save()

    def submitted(self, job_id: str) -> None:
        """Remember the job."""
        self.job_id = job_id
        self._save()

    def remember(self, **notes: Any) -> None:
        """Remember more."""
        self.notes |= notes
        self._save()

    def begin_again(self) -> None:
        """Forget the job and keep the notes."""
        self.since, self.job_id = None, None
        self._save()

    def forget(self) -> None:
        """Forget it all: nothing was submitted, or what was counts no more."""
        self.since, self.job_id, self.notes = None, None, {}
        if self._store is not None:
            self._store.delete(self._key)

    def _take(self, known: Mapping[str, Any]) -> None:
        since = known.get("since")
        self.since = datetime.fromisoformat(since) if since else None
        self.job_id = known.get("job_id")
        self.notes = dict(known.get("notes") or {})

    def _save(self) -> None:
        if self._store is not None:
            self._store.set(self._key, self.as_dict())


class DurableJobOperator(EspoOperator):
    """Base of operators that start a background job of EspoCRM and wait for it.

    The job's id is stored between the tries of a task instance, so that after the death of the worker or the triggerer
    the next try takes up the running job and starts no second one. That something is about to be submitted is stored
    before: if the id was lost on its way, the next try looks for the job where EspoCRM lets one look
    (:meth:`find_job`), and submits again only if that does no harm (:attr:`job_is_repeatable`).

    A subclass implements :meth:`prepare_job`, :meth:`submit_job` and :meth:`job_result`, and calls :meth:`run_job`
    from its ``execute``.

    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks.
    :param job_timeout: seconds that a try waits for the job; ``None`` for as long as it takes.
    """

    job_kind: ClassVar[JobKind]

    #: Whether :meth:`find_job` finds every job there is, so that a job it does not find was not started.
    jobs_can_be_found: ClassVar[bool] = False

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float = POLL_INTERVAL,
        job_timeout: float | None = JOB_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, seconds in (("poll_interval", poll_interval), ("job_timeout", job_timeout)):
            if seconds is not None and not seconds > 0:
                raise EspoInputError(f"{name} is not more than 0 seconds")
        self.deferrable = compat.default_deferrable() if deferrable is None else deferrable
        self.poll_interval = poll_interval
        self.job_timeout = job_timeout
        self._killed = False
        self._submitting = False
        self._job_id: str | None = None

    # --- what a subclass says

    @abstractmethod
    def prepare_job(self, hook: EspoHook, memory: JobMemory) -> bool:
        """Check and count before the job is submitted; nothing is stored yet, so it may be repeated.

        :param hook: hook over the connection.
        :param memory: takes up in ``notes`` what is to be known at the end. If an earlier try submitted a job that got
            lost, its notes are still there.
        :return: ``False`` if there is nothing to be done and no job is needed.
        """

    @abstractmethod
    def submit_job(self, hook: EspoHook, memory: JobMemory) -> str:
        """Submit the job, in one request, and return its id.

        :param hook: hook over the connection.
        :param memory: as :meth:`prepare_job` left it.
        """

    @abstractmethod
    def job_result(self, hook: EspoHook, job: Mapping[str, Any] | None, memory: JobMemory) -> Any:
        """Return the task's result, when the job succeeded.

        May be called again by a later try, if this one dies.

        :param hook: hook over the connection.
        :param job: what ``job_status`` returned; ``None`` if no job was needed.
        :param memory: what was remembered.
        """

    def find_job(self, hook: EspoHook, memory: JobMemory) -> str | None:
        """Look for a job that was submitted and whose id got lost.

        :param hook: hook over the connection.
        :param memory: since when to look, and the notes.
        :return: the job's id, or ``None``.
        """
        return None

    @property
    def job_is_repeatable(self) -> bool:
        """Whether to submit again does no harm if a job may be there already, or failed half-way."""
        return True

    def job_failure(self, hook: EspoHook, job: Mapping[str, Any], memory: JobMemory) -> EspoError:
        """Return the error to be raised for a job that failed.

        :param hook: hook over the connection.
        :param job: what ``job_status`` returned.
        :param memory: what was remembered.
        """
        return EspoJobError(
            f"EspoCRM's background job failed: {self.job_kind} {job['id']}",
            job_id=job["id"],
            kind=self.job_kind,
            job_status=job["status"],
            hint="EspoCRM does not say why; its log (data/logs) does. Some of the records may have been worked on",
        )

    def job_shown(self) -> tuple[str, str | None]:
        """Return kind and id of the job that the task's link opens."""
        return self.job_kind, self._job_id or (self.facts or {}).get("job_id")

    # --- what they share

    def run_job(self, context: Context) -> Any:
        """Submit the job, or take up that of an earlier try, wait for it and return the task's result."""
        with self.hook as hook:
            memory = JobMemory(context, f"{self.job_kind}_job")
            job = self._job_of_earlier_try(hook, memory)
            if job is None:
                if not self.prepare_job(hook, memory):
                    return self.job_result(hook, None, memory)
                job = self._submit(hook, memory)
            self._job_id = str(job["id"])
            if not job["finished"]:
                self._stop_if_killed(job)
                deadline = None if self.job_timeout is None else time.time() + self.job_timeout
                if self.deferrable:
                    self._defer(memory, str(job["id"]), deadline)
                job = self._wait(hook, job, deadline)
            return self._finish(hook, job, memory)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any], memory: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the task's result, or raise what the job or the waiting ended in.

        :param context: Airflow's context.
        :param event: payload of the trigger's event.
        :param memory: what was remembered when the task was deferred. ``dag.test()`` hands on nothing but the event:
            then it is what is in the store, and without a store nothing.
        """
        from airflow_provider_espo.sensors.events import result_of

        what = f"{self.job_kind}_job"
        known = JobMemory(context, what) if memory is None else JobMemory.resumed(context, what, memory)
        self._job_id = known.job_id
        if event.get("status") == "timeout":
            raise self._too_late(known.job_id, None, event.get("last_error"))
        job = result_of(event, self.job_timeout or 0.0)["job"]
        with self.hook as hook:
            return self._finish(hook, job, known)

    def on_kill(self) -> None:
        """Say what goes on in EspoCRM when the task is killed, and start nothing more."""
        self._killed = True
        if self._job_id is not None:
            self.log.warning(
                "The task was killed. EspoCRM cannot stop a background job, so %s %s goes on. A retry takes it up, a "
                "cleared task starts another one",
                self.job_kind,
                self._job_id,
            )
        elif self._submitting:
            self.log.warning("The task was killed amid a request: EspoCRM may carry it out, and nothing more is asked")
        else:
            self.log.warning("The task was killed before it asked EspoCRM to do anything")

    def _job_of_earlier_try(self, hook: EspoHook, memory: JobMemory) -> Mapping[str, Any] | None:
        if memory.job_id is not None:
            try:
                job = hook.job_status(self.job_kind, memory.job_id)
            except EspoNotFoundError:
                self.log.warning("EspoCRM does not know %s %s of an earlier try any more", self.job_kind, memory.job_id)
                self._submit_again_if_harmless(memory)
                return None
            if job["finished"] and not job["succeeded"]:
                if not self.job_is_repeatable:
                    raise self.job_failure(hook, job, memory)
                self.log.warning("%s %s of an earlier try failed, another one is started", self.job_kind, job["id"])
                memory.forget()
                return None
            self._log_progress("Taken up from an earlier try", job)
            return job
        if memory.since is None:
            return None
        if (found := self.find_job(hook, memory)) is not None:
            self.log.info("Found %s %s, which an earlier try had submitted", self.job_kind, found)
            memory.submitted(found)
            return self._job_of_earlier_try(hook, memory)
        if self.jobs_can_be_found:
            memory.forget()
            return None
        self._submit_again_if_harmless(memory)
        return None

    def _submit_again_if_harmless(self, memory: JobMemory) -> None:
        if not self.job_is_repeatable:
            raise EspoJobError(
                f"An earlier try may have submitted this {self.job_kind}, and to do it twice could do harm",
                job_id=memory.job_id,
                kind=self.job_kind,
                hint="Look into EspoCRM whether it was carried out; then clear the task to do it anew, or mark it",
            )
        self.log.warning("An earlier try may have submitted a job already; to do it twice does no harm")
        # What the lost job was to do helps to see whether it was done.
        memory.begin_again()

    def _submit(self, hook: EspoHook, memory: JobMemory) -> Mapping[str, Any]:
        from airflow_provider_espo.client.operations.jobs import just_submitted
        from airflow_provider_espo.client.retry import outcome_is_unknown

        if self._killed:
            raise EspoJobError("The task was killed before the job was submitted", kind=self.job_kind)
        memory.begin()
        self._submitting = True
        try:
            job_id = self.submit_job(hook, memory)
        except EspoError as error:
            if not outcome_is_unknown(error):
                memory.forget()
                raise
            job_id = self._after_lost_answer(hook, memory, error)
        self._job_id = job_id
        self._submitting = False
        memory.submitted(job_id)
        job = just_submitted(self.job_kind, job_id)
        self._log_progress("Submitted", job)
        return job

    def _after_lost_answer(self, hook: EspoHook, memory: JobMemory, error: EspoError) -> str:
        """Look for the job right away; if it is not there, the next try looks again, or repeats what may be."""
        try:
            found = self.find_job(hook, memory)
        except EspoError as second:
            raise error from second
        if found is None:
            hint = "Whether the job was submitted is not known"
            error.hint = f"{error.hint.rstrip('.')}. {hint}" if error.hint else hint
            raise error
        return found

    def _defer(self, memory: JobMemory, job_id: str, deadline: float | None) -> None:
        from airflow_provider_espo.triggers.job import EspoJobTrigger

        self.defer(
            trigger=EspoJobTrigger(
                espo_conn_id=self.espo_conn_id,
                kind=self.job_kind,
                job_id=job_id,
                poll_interval=self.poll_interval,
                deadline=deadline,
            ),
            method_name="execute_complete",
            kwargs={"memory": memory.as_dict()},
            timeout=None if self.job_timeout is None else timedelta(seconds=self.job_timeout + _GRACE),
        )

    def _wait(self, hook: EspoHook, job: Mapping[str, Any], deadline: float | None) -> Mapping[str, Any]:
        while not job["finished"]:
            left = self.poll_interval if deadline is None else deadline - time.time()
            if left <= 0:
                raise self._too_late(str(job["id"]), str(job["status"]), None)
            time.sleep(min(self.poll_interval, left))
            self._stop_if_killed(job)
            now = hook.job_status(self.job_kind, str(job["id"]))
            if now != job:
                self._log_progress("Waiting", now)
            job = now
        return job

    def _stop_if_killed(self, job: Mapping[str, Any]) -> None:
        # Airflow calls on_kill from a signal handler, and the task goes on where it was.
        if self._killed:
            raise EspoJobError(
                f"The task was killed; {self.job_kind} {job['id']} goes on in EspoCRM",
                job_id=job["id"],
                kind=self.job_kind,
                job_status=job["status"],
            )

    def _finish(self, hook: EspoHook, job: Mapping[str, Any], memory: JobMemory) -> Any:
        if not job["succeeded"]:
            raise self.job_failure(hook, job, memory)
        return self.job_result(hook, job, memory)

    def _too_late(self, job_id: str | None, status: str | None, last_error: str | None) -> EspoJobError:
        where = f" (last seen: {status})" if status else ""
        failed = f"; the last look failed: {last_error}" if last_error else ""
        return EspoJobError(
            f"EspoCRM's {self.job_kind} {job_id} did not end within {self.job_timeout:g} seconds{where}{failed}",
            job_id=job_id,
            kind=self.job_kind,
            job_status=status,
            hint="A job that stays Pending tells that EspoCRM's cron or daemon does not run. The job stays; a retry of "
            "the task goes on waiting for it",
        )

    def _log_progress(self, what: str, job: Mapping[str, Any]) -> None:
        from airflow_provider_espo.client.operations.jobs import in_words

        self.log.info("%s: %s", what, in_words(job))
