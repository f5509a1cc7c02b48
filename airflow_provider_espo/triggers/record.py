"""Wait for records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_espo.client.operations.waiting import enough_records, record_in_state
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.base import EspoPollTrigger


class EspoRecordTrigger(EspoPollTrigger):
    """Waits until at least ``min_count`` records match a filter.

    The success event has ``count`` and ``ids``, those of the first 100 records ordered by id.

    :param espo_conn_id: Airflow connection.
    :param entity_type: entity type, such as ``Lead``.
    :param where: list of items as of :mod:`airflow_provider_espo.where`.
    :param primary_filter: one of EspoCRM's filters.
    :param bool_filters: EspoCRM's on/off filters.
    :param text_filter: text to search for.
    :param min_count: how many records there must be.
    :param poll_interval: seconds between looks, give or take a tenth; at least 1.
    :param deadline: when to give up, in seconds since the epoch; ``None`` for never.
    :param silent_fail: go on after any error.
    """

    def __init__(
        self,
        *,
        espo_conn_id: str,
        entity_type: str,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        min_count: int = 1,
        poll_interval: float = 60.0,
        deadline: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__(
            espo_conn_id=espo_conn_id, poll_interval=poll_interval, deadline=deadline, silent_fail=silent_fail
        )
        self.entity_type = entity_type
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.min_count = min_count

    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of the base class."""
        return {
            "entity_type": self.entity_type,
            "where": self.where,
            "primary_filter": self.primary_filter,
            "bool_filters": self.bool_filters,
            "text_filter": self.text_filter,
            "min_count": self.min_count,
        }

    async def look(self, hook: EspoAsyncHook) -> dict[str, Any] | None:
        """Look once whether enough records are there.

        :param hook: hook over the connection.
        :return: ``{"count", "ids"}``, or ``None`` to go on waiting.
        """
        return await hook.run(
            enough_records(
                await hook.ready(),
                self.entity_type,
                min_count=self.min_count,
                where=self.where,
                primary_filter=self.primary_filter,
                bool_filters=self.bool_filters,
                text_filter=self.text_filter,
            )
        )


class EspoRecordStateTrigger(EspoPollTrigger):
    """Waits until a record's attributes have certain values.

    The success event has ``id``, and none of the values.

    :param espo_conn_id: Airflow connection.
    :param entity_type: entity type, such as ``Opportunity``.
    :param record_id: its id.
    :param expected: by attribute the value it must have, or a list of which it must have one.
    :param failed: the same for values that end the wait in vain.
    :param poll_interval: seconds between looks, give or take a tenth; at least 1.
    :param deadline: when to give up, in seconds since the epoch; ``None`` for never.
    :param silent_fail: go on after any error.
    """

    def __init__(
        self,
        *,
        espo_conn_id: str,
        entity_type: str,
        record_id: str,
        expected: Mapping[str, Any],
        failed: Mapping[str, Any] | None = None,
        poll_interval: float = 60.0,
        deadline: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__(
            espo_conn_id=espo_conn_id, poll_interval=poll_interval, deadline=deadline, silent_fail=silent_fail
        )
        self.entity_type = entity_type
        self.record_id = record_id
        self.expected = expected
        self.failed = failed

    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of the base class."""
        return {
            "entity_type": self.entity_type,
            "record_id": self.record_id,
            "expected": self.expected,
            "failed": self.failed,
        }

    async def look(self, hook: EspoAsyncHook) -> dict[str, Any] | None:
        """Look once at the record.

        :param hook: hook over the connection.
        :return: ``{"id"}``, or ``None`` to go on waiting.
        """
        return await hook.run(
            record_in_state(
                await hook.ready(), self.entity_type, self.record_id, expected=self.expected, failed=self.failed
            )
        )
