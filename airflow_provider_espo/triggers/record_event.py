"""Start DAGs when records are created or changed."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.change_cursor import LAG, ChangeCursor
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.changes import (
    ChangeKind,
    changes,
    first_place,
    later,
    newest_changes,
    stamp_attribute,
)
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.events import EspoEventTrigger, refusing, where_items, where_text
from airflow_provider_espo.triggers.watching import Feed

if TYPE_CHECKING:
    from airflow_provider_espo.client.operations.listing import Filters

#: New changes that a look takes before it has its place stored.
_AT_ONCE = 2_000

#: Seconds after which it does so too, well before it is given up.
_LONG = 60.0


class RecordFeed(Feed):
    """Changes of an entity type's records, whatever the filter.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between polls.
    :param entity_type: such as ``Lead``.
    :param event: kind of change.
    :param lag: seconds that a look goes back.
    """

    def __init__(
        self, espo_conn_id: str, poll_interval: float, entity_type: str, event: ChangeKind, lag: float
    ) -> None:
        super().__init__(espo_conn_id, poll_interval)
        self._entity_type = entity_type
        self._event: ChangeKind = event
        self._attribute = stamp_attribute(event)
        self._lag = lag
        self._place = ChangeCursor()
        self._future_from: tuple[str, float] | None = None

    @property
    def key(self) -> Hashable:
        """What makes two feeds one."""
        return (self.espo_conn_id, self._entity_type, self._event, self.poll_interval, self._lag)

    async def has_news(self, hook: EspoAsyncHook) -> bool:
        """Ask once for the newest changes."""
        place, clock, upto = self._place, asyncio.get_running_loop().time, None
        if self._future_from is not None:
            # Records from the future would fill the page, and hide what comes now.
            stamp, asked = self._future_from
            upto = later(stamp, clock() - asked)
        state = await hook.ready()
        newest = await hook.run(newest_changes(state, self._entity_type, self._event, place, lag=self._lag, upto=upto))
        if newest.from_future or upto is not None:
            self._future_from = newest.near, clock()
        news = any(place.is_new(record, self._attribute) for record in newest.records)
        self._place = place.after(newest.records[::-1], self._attribute, self._lag, finished=True, now=newest.now)
        return news


class EspoRecordEventTrigger(EspoEventTrigger):
    """Has an event when records that match a filter are created or changed: for ``AssetWatcher``.

    The payload of an event is ``{"entity_type", "event", "ids", "stamps", "count", "watermark"}``: ids of the records,
    the oldest change first, the ``createdAt`` or ``modifiedAt`` of each, how many there are, and the last stamp.
    No value of a record is in it, as Airflow logs events: read the records in the DAG. An event may come a second time
    after a restart of the triggerer; the same change has the same id and stamp.

    While nothing happens, all triggers on the same connection, entity type, kind of event, ``poll_interval`` and
    ``lag`` cost one small request an interval, whatever their filters (Airflow 3.3; before, each polls for itself).
    A record that begins to match without being changed itself (a filter by a linked record, or by days counted from
    now) is no event.

    :param entity_type: entity type, such as ``Lead``.
    :param event: ``created`` (default), or ``modified``, which new records count as too.
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold when the trigger looks.
    :param primary_filter: one of EspoCRM's filters, such as ``actual``.
    :param bool_filters: EspoCRM's on/off filters.
    :param text_filter: text to search for.
    :param poll_interval: seconds between polls, 30 by default; at least 1.
    :param batch_size: ids in an event at most, 100 by default; one look that finds more has several events.
    :param lag: seconds that a look goes back for changes that became visible late, 30 by default.
    :param espo_conn_id: Airflow connection, of type *EspoCRM*.
    """

    def __init__(
        self,
        *,
        entity_type: str,
        event: ChangeKind = "created",
        where: Sequence[Mapping[str, Any]] | str | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        poll_interval: float = 30.0,
        batch_size: int = 100,
        lag: float = LAG,
        espo_conn_id: str = "espo_default",
    ) -> None:
        super().__init__(espo_conn_id=espo_conn_id, poll_interval=poll_interval, batch_size=batch_size)
        with refusing():
            if isinstance(lag, bool) or not isinstance(lag, int | float) or not 0 <= lag < float("inf"):
                raise EspoInputError("lag is not a number of seconds from 0 up")
            self.attribute = stamp_attribute(event)
            self.where = where_items(where)
        self.entity_type = entity_type
        self.event: ChangeKind = event
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.lag = lag

    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of the base class."""
        return {
            "entity_type": self.entity_type,
            "event": self.event,
            "where": where_text(self.where),
            "primary_filter": self.primary_filter,
            "bool_filters": self.bool_filters,
            "text_filter": self.text_filter,
            "lag": self.lag,
        }

    def identity(self) -> dict[str, Any]:
        """Return what the trigger's place belongs to."""
        return {name: value for name, value in super().identity().items() if name != "lag"}

    def feed(self) -> Feed:
        """Return what is polled."""
        return RecordFeed(self.espo_conn_id, self.poll_interval, self.entity_type, self.event, self.lag)

    async def first_place(self, hook: EspoAsyncHook) -> dict[str, Any]:
        """Return the place after all changes there are."""
        state = await hook.ready()
        place = await hook.run(first_place(state, self.entity_type, self.event, lag=self.lag, **self._filters()))
        return place.to_json()

    async def look(
        self, hook: EspoAsyncHook, place: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any], float | None]:
        """Look for changes since a place."""
        new, after, again = await hook.run(
            changes(
                await hook.ready(),
                self.entity_type,
                self.event,
                ChangeCursor.from_json(place),
                lag=self.lag,
                limit=_AT_ONCE,
                seconds=_LONG,
                **self._filters(),
            )
        )
        return [{"id": record["id"], "stamp": record[self.attribute]} for record in new], after.to_json(), again

    def payload(self, batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the event of a batch."""
        return {
            "entity_type": self.entity_type,
            "event": self.event,
            "ids": [change["id"] for change in batch],
            "stamps": [change["stamp"] for change in batch],
            "count": len(batch),
            "watermark": batch[-1]["stamp"],
        }

    def _filters(self) -> Filters:
        return {
            "where": self.where,
            "primary_filter": self.primary_filter,
            "bool_filters": self.bool_filters,
            "text_filter": self.text_filter,
        }
