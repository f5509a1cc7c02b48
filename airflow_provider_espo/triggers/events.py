"""What event triggers have in common: their arguments, their batches, and how they go round."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.cursors import CursorStore
from airflow_provider_espo.triggers.failures import with_jitter
from airflow_provider_espo.triggers.waker import waker_of
from airflow_provider_espo.triggers.watch import Looker, Watch
from airflow_provider_espo.triggers.watching import Feed, FeedProducer, Tick

_SHORTEST_INTERVAL = 1.0


class EspoTriggerArgumentError(EspoInputError, TypeError):
    """Arguments of a watcher are none.

    To Airflow it is a ``TypeError``: its triggerer ends over any other error of a stored trigger that it makes, as one
    that an older version of the provider put up with.
    """


@contextmanager
def refusing() -> Iterator[None]:
    """Refuse arguments by the error that the triggerer survives."""
    try:
        yield
    except EspoInputError as error:
        raise EspoTriggerArgumentError(error.message, hint=error.hint) from error
    except ValueError as error:
        raise EspoTriggerArgumentError(f"An argument is none: {error}") from error


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


class EspoEventTrigger(BaseEventTrigger, Looker):
    """Base of triggers for ``AssetWatcher``: they never end and have an event for every batch of what is new.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between polls; at least 1.
    :param batch_size: ids in an event at most.
    """

    def __init__(self, *, espo_conn_id: str, poll_interval: float, batch_size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= 1000:
            raise EspoTriggerArgumentError("batch_size is not a whole number from 1 to 1000")
        is_number = isinstance(poll_interval, int | float) and not isinstance(poll_interval, bool)
        if not is_number or not _SHORTEST_INTERVAL <= poll_interval < float("inf"):
            raise EspoTriggerArgumentError("poll_interval is not a number of seconds from 1 up")
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
        watch, waker = self._watch(), waker_of(self.feed().key)
        # The poll may have begun for another trigger long ago.
        waker.ask(watch, after=watch.failures.pause_left())
        try:
            async with EspoAsyncHook(self.espo_conn_id) as hook:
                async for tick in shared_stream:
                    if not watch.is_meant_by(tick):
                        continue
                    if (pause := watch.failures.pause_left()) > 0:
                        waker.ask(watch, after=pause)
                        continue
                    try:
                        new = await watch.look(hook)
                    except Exception as error:  # Airflow would start it again at once, whatever it was
                        await hook.close()
                        # The tick is not held up: Airflow fails a trigger that does not come back in time.
                        waker.ask(watch, after=watch.look_failed(error))
                    else:
                        for event in self._events(new):
                            yield event
                        watch.move()
                        if watch.again is not None:
                            waker.ask(watch, after=watch.again)
                    if (save := watch.save_of_now()) is not None:
                        tick.saves.append((watch, save))
        finally:
            waker.forget(watch)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look alone, where Airflow has no acknowledged shared streams.

        Nothing says there when an event is in Airflow's database. So a place is stored some seconds later.
        """
        watch = self._watch()
        async with EspoAsyncHook(self.espo_conn_id) as hook:
            await asyncio.sleep(watch.failures.pause_left())
            while True:
                pause = self.poll_interval
                try:
                    new = await watch.look(hook)
                except Exception as error:
                    await hook.close()
                    pause = max(pause, watch.look_failed(error))
                else:
                    for event in self._events(new):
                        yield event
                    watch.move()
                    if watch.again is not None:
                        pause = min(pause, max(watch.again, _SHORTEST_INTERVAL))
                await watch.rest(with_jitter(pause))

    def _watch(self) -> Watch:
        path, arguments = self.serialize()
        store = CursorStore(path, self.identity(), arguments, getattr(self, "asset_state_store", None))
        key = json.dumps([path, arguments], sort_keys=True, default=str)
        # Which of several filters on a feed it is, tells only the place's name: filters may hold personal values.
        return Watch(self, key, f"{type(self).__name__} {store.key} of {self.feed().key}", store)

    def _events(self, new: Sequence[Mapping[str, Any]]) -> Iterator[TriggerEvent]:
        for start in range(0, len(new), self.batch_size):
            yield TriggerEvent(self.payload(new[start : start + self.batch_size]))
