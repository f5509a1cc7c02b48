"""What all sensors of this provider have in common: three ways to wait, one meaning of Airflow's arguments."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoError, EspoInputError
from airflow_provider_espo.operators.base import EspoTask
from airflow_provider_espo.sensors.events import result_of, timed_out

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.triggers.base import EspoPollTrigger

# The trigger ends by itself at the deadline; Airflow's own time-out stands behind it.
_GRACE = 60.0


class EspoSensor(EspoTask, BaseSensorOperator):
    """Base of this provider's sensors.

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks when deferrable, ``poke_interval`` by default; 1 or more is meant.
    """

    ui_color = "#e8eef7"
    result_has_parts = True

    def __init__(
        self,
        *,
        espo_conn_id: str = "espo_default",
        deferrable: bool | None = None,
        poll_interval: float | None = None,
        **kwargs: Any,
    ) -> None:
        # What was found is a small dict, whose parts downstream tasks take one by one: ``task.output["ids"]``.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        if poll_interval is not None and not poll_interval > 0:
            raise EspoInputError("poll_interval is not more than 0 seconds")
        self.espo_conn_id = espo_conn_id
        self.poll_interval = poll_interval
        self.deferrable = compat.default_deferrable() if deferrable is None else deferrable

    @abstractmethod
    def look(self) -> dict[str, Any] | None:
        """Look once: return what is to be returned, or ``None`` to go on waiting."""

    @abstractmethod
    def trigger(self, **waiting: Any) -> EspoPollTrigger:
        """Return the trigger that goes on looking.

        :param waiting: the arguments that all such triggers have.
        """

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        found = self.look()
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def execute(self, context: Context) -> Any:
        """Wait on the worker, or look once and go on waiting in the triggerer."""
        try:
            return self._look_and_defer() if self.deferrable else super().execute(context)
        except compat.airflow_exceptions().AirflowSensorTimeout as error:
            self._skip_or_raise(error)
        finally:
            self.close_hook()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the trigger found, or raise what stopped it.

        :param context: Airflow's context.
        :param event: payload of the trigger's event.
        """
        try:
            return result_of(event, self.timeout)
        except (EspoError, compat.airflow_exceptions().AirflowSensorTimeout) as error:
            self._skip_or_raise(error)

    def _look_and_defer(self) -> dict[str, Any]:
        deadline = time.time() + self.timeout
        try:
            found = self.look()
        except Exception as error:
            if not self.silent_fail:
                self._skip_or_raise(error)
            self.log.exception("Look failed")
            found = None
        if found is not None:
            return found
        if time.time() >= deadline:
            raise timed_out(self.timeout)
        return self.defer(
            trigger=self.trigger(
                espo_conn_id=self.espo_conn_id,
                poll_interval=self.poke_interval if self.poll_interval is None else self.poll_interval,
                deadline=deadline,
                silent_fail=self.silent_fail,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + _GRACE),
        )

    def _skip_or_raise(self, error: Exception) -> NoReturn:
        """Do what ``soft_fail`` and ``never_fail`` say, the same in all three ways to wait."""
        airflow = compat.airflow_exceptions()
        timeout = isinstance(error, airflow.AirflowSensorTimeout)
        if self.never_fail or (self.soft_fail and timeout):
            raise airflow.AirflowSkipException(str(error)) from error
        raise error


def plain_list(names: Sequence[str] | None) -> Any:
    """Make a plain list, which a trigger's arguments must be, of another task's result; a text stays as it is.

    :param names: names as a task has them.
    """
    return names if names is None or isinstance(names, str) else list(names)
