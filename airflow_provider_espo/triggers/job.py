"""Wait for background jobs of EspoCRM."""

from __future__ import annotations

from typing import Any

from airflow_provider_espo.client.operations.jobs import JobKind, in_words
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.base import EspoPollTrigger


class EspoJobTrigger(EspoPollTrigger):
    """Waits until a background job of EspoCRM is finished, whether well or not.

    The success event has ``job``: what ``EspoHook.job_status`` returns of the finished job.

    :param espo_conn_id: Airflow connection, of the user who started the job.
    :param kind: ``mass_action``, ``export`` or ``import``.
    :param job_id: the job's id.
    :param poll_interval: seconds between looks, give or take a tenth; at least 1.
    :param deadline: when to give up, in seconds since the epoch; ``None`` for never.
    :param silent_fail: go on after any error.
    """

    def __init__(
        self,
        *,
        espo_conn_id: str,
        kind: JobKind,
        job_id: str,
        poll_interval: float = 30.0,
        deadline: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__(
            espo_conn_id=espo_conn_id, poll_interval=poll_interval, deadline=deadline, silent_fail=silent_fail
        )
        self.kind = kind
        self.job_id = job_id
        self._told: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of the base class."""
        return {"kind": self.kind, "job_id": self.job_id}

    async def look(self, hook: EspoAsyncHook) -> dict[str, Any] | None:
        """Look once how far the job is.

        :param hook: hook over the connection.
        :return: ``{"job"}`` of a finished job, or ``None`` to go on waiting.
        """
        job = await hook.job_status(self.kind, self.job_id)
        if (told := in_words(job)) != self._told:
            self._told = told
            self.log.info("%s", told)
        return {"job": job} if job["finished"] else None

    async def on_kill(self) -> None:
        """Say what goes on when a user marks or clears the waiting task (Airflow 3.3 and later)."""
        self.log.warning(
            "The task was killed while it waited. EspoCRM cannot stop a background job, so this one goes on. "
            "Last seen: %s. A cleared task starts another one",
            self._told or f"EspoCRM's {self.kind} {self.job_id}, not yet asked after",
        )
