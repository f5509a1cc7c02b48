"""Wait for records."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_espo import compat
from airflow_provider_espo.operators.base import EspoTask
from airflow_provider_espo.sensors.events import result_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class EspoRecordSensor(EspoTask, BaseSensorOperator):
    """Wait until records that match a filter exist, or reach a count.

    Three ways to wait: ``mode="poke"`` holds a worker, ``mode="reschedule"`` comes back for each look, and
    ``deferrable=True`` waits in the triggerer, where hundreds of waits cost next to nothing. ``timeout``, ``soft_fail``
    and the like are Airflow's and mean the same in all three.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param min_count: how many records there must be. (templated)
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks when deferrable; ``poke_interval`` by default.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"count", "ids"}``: how many match, and ids of the first 100 in order of creation.
    :raises AirflowSensorTimeout: not enough records within ``timeout`` seconds.
    :raises EspoError: looking failed for good.
    """

    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "where",
        "primary_filter",
        "bool_filters",
        "text_filter",
        "min_count",
    )
    template_fields_renderers = {"where": "json"}
    ui_color = "#e8eef7"

    def __init__(
        self,
        *,
        entity_type: str,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        min_count: int = 1,
        espo_conn_id: str = "espo_default",
        poll_interval: float | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.min_count = min_count
        self.espo_conn_id = espo_conn_id
        self.poll_interval = poll_interval
        self.deferrable = compat.default_deferrable() if deferrable is None else deferrable

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        from airflow_provider_espo.client.operations.waiting import enough_records

        found = self.hook.run(
            enough_records(
                self.hook.state,
                self.entity_type,
                min_count=self._min_count(),
                where=self.where,
                primary_filter=self.primary_filter,
                bool_filters=self.bool_filters,
                text_filter=self.text_filter,
            )
        )
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def execute(self, context: Context) -> Any:
        """Wait on the worker, or look once and go on waiting in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        looked = self.poke(context)
        if looked.is_done:
            return looked.xcom_value
        from airflow_provider_espo.triggers.record import EspoRecordTrigger

        # The trigger ends itself at the deadline; Airflow's own time-out stands behind it.
        return self.defer(
            trigger=EspoRecordTrigger(
                espo_conn_id=self.espo_conn_id,
                entity_type=self.entity_type,
                where=self.where,
                primary_filter=self.primary_filter,
                bool_filters=self.bool_filters,
                text_filter=self.text_filter,
                min_count=self._min_count(),
                poll_interval=self.poke_interval if self.poll_interval is None else self.poll_interval,
                deadline=time.time() + self.timeout,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + 60),
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the trigger found, or raise what stopped it."""
        return result_of(event, self.timeout)

    def _min_count(self) -> int:
        from airflow_provider_espo.operators.record import whole_number

        return whole_number("min_count", self.min_count) or 0
