"""Wait for records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.links.espo import EspoListLink, EspoRecordLink
from airflow_provider_espo.operators.rendered import whole_number
from airflow_provider_espo.sensors.base import EspoSensor, plain_list

if TYPE_CHECKING:
    from airflow_provider_espo.triggers.base import EspoPollTrigger


class EspoRecordSensor(EspoSensor):
    """Wait until records that match a filter exist, or reach a count.

    Three ways to wait: ``mode="poke"`` holds a worker, ``mode="reschedule"`` comes back for each look, and
    ``deferrable=True`` waits in the triggerer, where hundreds of waits cost next to nothing. ``timeout``,
    ``soft_fail``, ``never_fail`` and ``silent_fail`` are Airflow's and mean the same in all three.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param min_count: how many records there must be. (templated)
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks when deferrable, ``poke_interval`` by default; 1 or more is meant.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"count", "ids"}``: how many match, and the ids of the first 100 ordered by id.
    :raises AirflowSensorTimeout: not enough records within ``timeout`` seconds.
    :raises EspoError: looking failed for good.
    """

    operator_extra_links = (EspoListLink(),)
    reads = ("entity_type",)
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

    def __init__(
        self,
        *,
        entity_type: str,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        min_count: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.min_count = min_count

    def look(self) -> dict[str, Any] | None:
        """Look once whether enough records are there."""
        from airflow_provider_espo.client.operations.waiting import enough_records

        return self.hook.run(enough_records(self.hook.state, **self._what()))

    def trigger(self, **waiting: Any) -> EspoPollTrigger:
        """Return the trigger that goes on looking.

        :param waiting: the arguments that all such triggers have.
        """
        from airflow_provider_espo.triggers.record import EspoRecordTrigger

        return EspoRecordTrigger(**self._what(), **waiting)

    def _what(self) -> dict[str, Any]:
        from airflow_provider_espo.client.where_check import check_where

        return {
            "entity_type": self.entity_type,
            # Of another task's result this makes plain lists and dicts, which a trigger's arguments must be.
            "where": None if self.where is None else check_where(self.where, rendered=True),
            "primary_filter": self.primary_filter,
            "bool_filters": plain_list(self.bool_filters),
            "text_filter": self.text_filter,
            "min_count": whole_number("min_count", self.min_count),
        }


class EspoRecordStateSensor(EspoSensor):
    """Wait until a record's attributes have certain values, such as an opportunity that is won.

    Waits in the three ways of ``EspoRecordSensor``.

    :param entity_type: entity type, such as ``Opportunity``. (templated)
    :param record_id: its id. (templated)
    :param expected: by attribute the value it must have, or a list of values of which it must have one; all must hold.
        (templated)
    :param failed: the same for values that end the wait with an error, such as ``{"stage": "Closed Lost"}``; one is
        enough. (templated)
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks when deferrable, ``poke_interval`` by default; 1 or more is meant.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id"}``.
    :raises AirflowSensorTimeout: not so within ``timeout`` seconds.
    :raises EspoConflictError: an attribute has a value of ``failed``.
    :raises EspoNotFoundError: no such record, or it was deleted.
    """

    operator_extra_links = (EspoRecordLink(),)
    reads = ("entity_type",)
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "expected", "failed")
    template_fields_renderers = {"expected": "json", "failed": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        record_id: str,
        expected: Mapping[str, Any],
        failed: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.expected = expected
        self.failed = failed

    def look(self) -> dict[str, Any] | None:
        """Look once at the record."""
        from airflow_provider_espo.client.operations.waiting import record_in_state

        return self.hook.run(
            record_in_state(
                self.hook.state, self.entity_type, self.record_id, expected=self.expected, failed=self.failed
            )
        )

    def trigger(self, **waiting: Any) -> EspoPollTrigger:
        """Return the trigger that goes on looking.

        :param waiting: the arguments that all such triggers have.
        """
        from airflow_provider_espo.client.values import to_wire
        from airflow_provider_espo.triggers.record import EspoRecordStateTrigger

        return EspoRecordStateTrigger(
            entity_type=self.entity_type,
            record_id=self.record_id,
            expected=_plain(self.expected, to_wire),
            failed=None if self.failed is None else _plain(self.failed, to_wire),
            **waiting,
        )


def _plain(values: Mapping[str, Any], to_wire: Any) -> dict[str, Any]:
    """Make plain JSON of values, which a trigger's arguments must be."""
    return {
        name: [to_wire({name: one})[name] for one in value]
        if isinstance(value, list | tuple)
        else to_wire({name: value})[name]
        for name, value in values.items()
    }
