"""Wait for background jobs of EspoCRM that were started elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import PokeReturnValue

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoJobError
from airflow_provider_espo.links.espo import EspoJobLink
from airflow_provider_espo.sensors.base import EspoSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.triggers.base import EspoPollTrigger


class EspoJobSensor(EspoSensor):
    """Wait until a background job of EspoCRM has succeeded: a mass action, an export or an import.

    For jobs that were started elsewhere, such as by a hook in another task. The operators that start jobs wait for
    them by themselves. EspoCRM shows a job only to the user who started it, so the connection must be that user's; a
    job started in EspoCRM's user interface can be waited for with a connection of the person who started it.

    A job that failed fails the task at once. ``timeout``, ``soft_fail``, ``never_fail`` and ``silent_fail`` are
    Airflow's.

    :param kind: ``mass_action``, ``export`` or ``import``. (templated)
    :param job_id: the id that EspoCRM gave when the job was started. (templated)
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks when deferrable, ``poke_interval`` by default; 1 or more is meant.
    :param espo_conn_id: Airflow connection, of the user who started the job. (templated)
    :return: ``{"id", "kind", "status", "finished", "succeeded"}``, and ``processed`` of a mass action,
        ``attachment_id`` of an export, ``created``, ``updated`` and ``duplicates`` of an import.
    :raises EspoJobError: the job failed.
    :raises EspoForbiddenError: somebody else started the job.
    :raises EspoNotFoundError: there is no such job.
    :raises AirflowSensorTimeout: the job did not end within ``timeout`` seconds.
    """

    operator_extra_links = (EspoJobLink(),)
    template_fields: Sequence[str] = ("espo_conn_id", "kind", "job_id")

    def __init__(self, *, kind: Literal["mass_action", "export", "import"], job_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.job_id = job_id

    def job_shown(self) -> tuple[str, str | None]:
        """Return kind and id of the job that the task's link opens."""
        return self.kind, self.job_id

    def look(self) -> dict[str, Any] | None:
        """Look once whether the job is finished."""
        job = self.hook.job_status(self.kind, self.job_id)
        return _succeeded(job) if job["finished"] else None

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        try:
            return super().poke(context)
        except EspoJobError as error:
            if self.silent_fail:
                # It is over: to go on looking, as after other errors, would only wait for the time-out.
                raise compat.airflow_exceptions().AirflowFailException(str(error)) from error
            raise

    def trigger(self, **waiting: Any) -> EspoPollTrigger:
        """Return the trigger that goes on looking.

        :param waiting: the arguments that all such triggers have.
        """
        from airflow_provider_espo.triggers.job import EspoJobTrigger

        return EspoJobTrigger(kind=self.kind, job_id=self.job_id, **waiting)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the job that the trigger saw finished, or raise what stopped it.

        :param context: Airflow's context.
        :param event: payload of the trigger's event.
        """
        found = super().execute_complete(context, event)
        try:
            return _succeeded(found["job"])
        except EspoJobError as error:
            self._skip_or_raise(error)


def _succeeded(job: dict[str, Any]) -> dict[str, Any]:
    if job["succeeded"]:
        return job
    raise EspoJobError(
        f"EspoCRM's background job failed: {job['kind']} {job['id']}",
        job_id=job["id"],
        kind=job["kind"],
        job_status=job["status"],
        hint="EspoCRM does not say why; its log (data/logs) does. Some of the records may have been worked on",
    )
