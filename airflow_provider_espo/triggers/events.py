"""What event triggers have in common: their place, their batches, and how they wait."""

from __future__ import annotations

import asyncio
import json
import logging
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_espo.client.errors import EspoError, EspoInputError
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.cursors import CursorStore
from airflow_provider_espo.triggers.watching import Feed, FeedProducer, Tick, bell_of

log = logging.getLogger(__name__)

#: Seconds after which an event that was handed to Airflow is taken to be in its database, where it does not say so.
_STORED_AFTER = 10.0

_SHORTEST_INTERVAL = 1.0


def where_text(where: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Return where items as text, the same for equal ones.

    Airflow tells watchers apart by a checksum of their arguments, and makes another of nested dicts when it reads them
    back from its database: a watcher with one in its arguments is never started.

    :param where: list of items, ``None`` for none.
    :raises EspoInputError: they are none.
    """
    items = check_where(where, rendered=True) if where else []
    return json.dumps(items, sort_keys=True) if items else None


def where_items(where: Sequence[Mapping[str, Any]] | str | None) -> Sequence[Mapping[str, Any]] | None:
    """Return where items, also of what :func:`where_text` made of them."""
    return json.loads(where) if isinstance(where, str) else where


class EspoEventTrigger(BaseEventTrigger):
    """Base of triggers for ``AssetWatcher``: they never end and have an event for every batch of what is new.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between polls; at least 1.
    :param batch_size: ids in an event at most.
    """

    def __init__(self, *, espo_conn_id: str, poll_interval: float, batch_size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= 1000:
            raise EspoInputError("batch_size is not a whole number from 1 to 1000")
        if isinstance(poll_interval, bool) or not isinstance(poll_interval, int | float) or poll_interval <= 0:
            raise EspoInputError("poll_interval is not a number of seconds")
        self.espo_conn_id = espo_conn_id
        self.poll_interval = poll_interval
        self.batch_size = batch_size

    # -- what a subclass says ----------------------------------------------------------------------------------------

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of this class."""

    def identity(self) -> dict[str, Any]:
        """Return what the trigger's place belongs to: what is watched, and not how often or in what batches."""
        return {"espo_conn_id": self.espo_conn_id, **self.arguments()}

    @abstractmethod
    def feed(self) -> Feed:
        """Return what is polled."""

    @abstractmethod
    async def first_place(self, hook: EspoAsyncHook) -> dict[str, Any]:
        """Return the place to begin at, as plain JSON."""

    @abstractmethod
    async def look(
        self, hook: EspoAsyncHook, place: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any], float | None]:
        """Look for what is new since a place.

        :return: what is new, one dict each with ``id`` and ``stamp``; the place after it; in how many seconds to look
            again for what was left, ``None`` if nothing was.
        """

    @abstractmethod
    def payload(self, batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the event of a batch: ids, counts and stamps only, as Airflow logs it."""

    # -- Airflow's side ----------------------------------------------------------------------------------------------

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "espo_conn_id": self.espo_conn_id,
            "poll_interval": self.poll_interval,
            "batch_size": self.batch_size,
            **self.arguments(),
        }

    def shared_stream_key(self) -> Hashable | None:
        """Return what makes triggers share one poll; ``None`` where Airflow has no acknowledged shared streams."""
        if not hasattr(BaseEventTrigger, "create_shared_stream_producer"):
            return None
        return (type(self).__qualname__, self.feed().key)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """Return the poll of the feed that all triggers of the group are on.

        :param kwargs: arguments of one of them.
        """
        return FeedProducer(cls(**kwargs).feed())

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Tick]) -> AsyncIterator[TriggerEvent]:
        """Look with every tick, and have the place stored when Airflow has the events.

        :param shared_stream: ticks of the feed.
        """
        bell, failures = bell_of(self.feed().key), bell_of(self.serialize()[0])
        watch = _Watch(self)
        # The poll may have begun for another trigger long ago.
        bell.ring()
        async with EspoAsyncHook(self.espo_conn_id) as hook:
            async for tick in shared_stream:
                try:
                    async for event in watch.new_events(hook):
                        yield event
                except EspoError as error:
                    # The tick is not held up: Airflow fails a trigger that does not come back in time.
                    bell.ring(after=max(failures.failed(self._title, error), _SHORTEST_INTERVAL))
                    continue
                failures.succeeded()
                if (save := watch.save_of_now()) is not None:
                    tick.saves.append(save)
                if watch.again is not None:
                    bell.ring(watch.again)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look alone, where Airflow has no acknowledged shared streams.

        Nothing says there when an event is in Airflow's database. So a place is stored some seconds later.
        """
        path, arguments = self.serialize()
        failures = bell_of((path, json.dumps(arguments, sort_keys=True, default=str)))
        watch = _Watch(self)
        async with EspoAsyncHook(self.espo_conn_id) as hook:
            if failures.failures.count:
                await asyncio.sleep(failures.pause(self.poll_interval))
            while True:
                pause = max(self.poll_interval, _SHORTEST_INTERVAL)
                try:
                    async for event in watch.new_events(hook):
                        yield event
                except EspoError as error:
                    failures.failed(self._title, error)
                else:
                    failures.succeeded()
                    watch.remember_to_save()
                    pause = pause if watch.again is None else max(watch.again, _SHORTEST_INTERVAL)
                await watch.save_what_is_stored()
                await asyncio.sleep(failures.pause(pause))

    @property
    def _title(self) -> str:
        return f"A look of {type(self).__name__} at {self.feed().key}"


class _Watch:
    """A trigger's place and what came of its looks."""

    def __init__(self, trigger: EspoEventTrigger) -> None:
        self._trigger = trigger
        path = trigger.serialize()[0]
        self._store = CursorStore(path, trigger.identity(), getattr(trigger, "asset_state_store", None))
        self._place: dict[str, Any] | None = None
        self._count = 0
        self._waiting: deque[tuple[float, Callable[[], Awaitable[None]]]] = deque()
        self._changed = False
        #: In how many seconds to look for what the last look left; ``None`` if it left nothing.
        self.again: float | None = None

    async def new_events(self, hook: EspoAsyncHook) -> AsyncIterator[TriggerEvent]:
        """Look once."""
        place = self._place if self._place is not None else await self._begin(hook)
        new, place, self.again = await self._trigger.look(hook, place)
        for start in range(0, len(new), self._trigger.batch_size):
            yield TriggerEvent(self._trigger.payload(new[start : start + self._trigger.batch_size]))
        self._changed = self._changed or place != self._place
        self._place = place

    def save_of_now(self) -> Callable[[], Awaitable[None]] | None:
        """Return what stores the place as it is now; ``None`` if it did not move."""
        if not self._changed:
            return None
        self._changed = False
        self._count += 1
        kept = {"count": self._count, "place": self._place}
        return lambda: self._store.save(kept)

    def remember_to_save(self) -> None:
        """Have the place as it is now stored in a while."""
        if (save := self.save_of_now()) is not None:
            self._waiting.append((asyncio.get_running_loop().time() + _STORED_AFTER, save))

    async def save_what_is_stored(self) -> None:
        """Store the place whose events are in Airflow's database by now."""
        save, now = None, asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][0] <= now:
            save = self._waiting.popleft()[1]
        if save is not None:
            await save()

    async def _begin(self, hook: EspoAsyncHook) -> dict[str, Any]:
        kept = await self._store.load()
        if kept is not None and isinstance(kept.get("place"), dict):
            self._count = int(kept["count"])
            self._place = kept["place"]
        else:
            self._place = await self._trigger.first_place(hook)
            self._changed = True
            # Stored before anything is new to it: otherwise what comes before the first event is stored would be
            # lost with the triggerer.
            if (save := self.save_of_now()) is not None:
                await save()
        log.info("Watching %s; the place is kept in %s", self._trigger.feed().key, self._store)
        return self._place
