"""Notes changes of records of which somebody wants to know: those that a webhook waits for are queued.

An event is queued in the transaction of its change, so that neither is there without the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.webhook_bodies import changed_values, created_body, field_body
from airflow_provider_espo.sandbox.webhook_rules import ENTITY_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.serialize import Serializer
    from airflow_provider_espo.sandbox.storage import Storage


class WebhookEvents:
    """The queue of events, as far as it is filled.

    :param queued: called after something was queued
    """

    def __init__(self, storage: Storage, serializer: Serializer, queued: Callable[[], None]) -> None:
        self._storage = storage
        self._serializer = serializer
        self._queued = queued
        self._events: frozenset[str] | None = None

    def record_saved(self, what: str, change: Change) -> None:
        """To be told of every change of a record within its transaction: queues the events that somebody waits for.

        :param what: ``create``, ``update`` or ``delete``
        """
        if not change.raises_events or change.entity_def.name == ENTITY_TYPE:
            return
        prefix = f"{change.entity_def.name}."
        wanted = {event.removeprefix(prefix) for event in self._wanted() if event.startswith(prefix)}
        if not wanted:
            return
        for event, data in self._bodies(what, change, wanted):
            row = {
                "event": prefix + event,
                "targetId": change.id,
                "userId": change.user.id,
                "data": json.dumps(data),
            }
            self._storage.insert("WebhookEventQueueItem", row)
            self._queued()

    def webhook_changed(self, what: str, change: Change) -> None:
        """To be told after a record was changed."""
        if change.entity_def.name == ENTITY_TYPE:
            self.forget()

    def forget(self) -> None:
        """Look anew for which events there are webhooks."""
        self._events = None

    def _wanted(self) -> frozenset[str]:
        """Events for which there are webhooks. Asked with every save, so that the answer is kept."""
        found = self._events
        if found is None:
            sql = 'SELECT DISTINCT event FROM "Webhook" WHERE "isActive" = 1 AND deleted = 0'
            found = self._events = frozenset(self._storage.column(sql))
        return found

    def _bodies(self, what: str, change: Change, wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events of a change without the entity type, each with what is to be delivered."""
        if what == "delete":
            if what in wanted:
                yield what, {"id": change.id}
            return
        if what == "create":
            if what in wanted:
                yield what, created_body(self._storage, self._serializer, change)
            return
        changed = changed_values(self._storage, self._serializer, change)
        if not changed:
            return
        if what in wanted:
            yield what, {**changed, "id": change.id}
        for field_name in change.entity_def.fields:
            if f"fieldUpdate.{field_name}" in wanted:
                body = field_body(self._storage, self._serializer, change, field_name, changed)
                if body is not None:
                    yield f"fieldUpdate.{field_name}", body
