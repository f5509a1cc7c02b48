"""How event triggers watch EspoCRM: one poll for all triggers on the same feed, and each keeps its own place.

A *feed* is what is polled: the changes of one entity type's records, or one stream. Its poll is one small request that
only asks whether there is anything new. If there is, every trigger on the feed gets a *tick* and looks for itself, with
its own filter and from its own place. So twenty-five assets with five filters cost one request an interval while
nothing happens, and a trigger that comes late misses nothing: its place tells what it has not seen.

A place is stored only after Airflow has said that the events up to it are in its database (acknowledged shared streams,
Airflow 3.3). What can happen at worst is that an event comes twice, never that one is lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.hooks.espo import EspoAsyncHook

log = logging.getLogger(__name__)

#: Failures in a row after which the trigger fails, so that Airflow shows and counts it. It is started again, and goes
#: on waiting as long as before.
MAX_FAILURES = 10

_LONGEST_WAIT = 300.0
_JITTER = 0.05


class Feed(ABC):
    """What is polled, and the same for all triggers with the same key.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between polls.
    """

    def __init__(self, espo_conn_id: str, poll_interval: float) -> None:
        self.espo_conn_id = espo_conn_id
        self.poll_interval = poll_interval

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What makes two feeds one."""

    @abstractmethod
    async def has_news(self, hook: EspoAsyncHook) -> bool:
        """Ask once, with one request, whether there is anything new since the last call.

        :raises EspoError: it could not be asked.
        """


@dataclass
class Tick:
    """Says to every trigger on a feed that there may be something new.

    :param saves: what each trigger wants stored when its events are in Airflow's database.
    """

    saves: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass
class _Failures:
    count: int = 0
    since: float = 0.0


class Bell:
    """Wakes the poll of a feed, and remembers how often it failed, over restarts of its triggers."""

    def __init__(self) -> None:
        self._rung: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failures = _Failures()

    def ring(self, after: float = 0.0) -> None:
        """Have a tick come.

        :param after: in so many seconds.
        """
        event = self._event()
        if after:
            asyncio.get_running_loop().call_later(after, event.set)
        else:
            event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is rung, or so long.

        :return: whether it was rung.
        """
        event = self._event()
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        event.clear()
        return True

    def failed(self, what: str, error: EspoError) -> float:
        """Count a failure and say it.

        :return: seconds to wait.
        :raises EspoError: it is one too many in a row.
        """
        failures = self.failures
        failures.count += 1
        failures.since = failures.since or time.time()
        lasting = int(time.time() - failures.since)
        log.warning("%s failed %d times in a row, for %d s: %s", what, failures.count, lasting, error)
        if failures.count % MAX_FAILURES == 0:
            raise error
        return self.pause(0.0)

    def succeeded(self) -> None:
        """Forget all failures."""
        self.failures = _Failures()

    def pause(self, interval: float) -> float:
        """Return how long to wait before the next try."""
        backoff = min(_LONGEST_WAIT, 2.0**self.failures.count) if self.failures.count else 0.0
        return max(interval, backoff) * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret is made of it

    def _event(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        if self._rung is None or self._loop is not loop:
            self._rung, self._loop = asyncio.Event(), loop
        return self._rung


_bells: dict[Hashable, Bell] = {}


def bell_of(key: Hashable) -> Bell:
    """Return the bell of a feed in this process."""
    return _bells.setdefault(key, Bell())


class FeedProducer:
    """The poll of a feed in the form of Airflow's acknowledged shared streams.

    Airflow takes any object with these methods; its base class came with 3.3 and is not imported, so that older
    versions load this module.

    :param feed: what is polled.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def open_stream(self) -> AsyncIterator[tuple[Tick, Tick]]:
        """Yield a tick at the beginning, whenever there is news, and when a trigger asks for one."""
        bell = bell_of(self._feed.key)
        async with EspoAsyncHook(self._feed.espo_conn_id) as hook:
            # Triggers come with places of their own, from before this poll began.
            news = True
            if bell.failures.count:
                await asyncio.sleep(bell.pause(self._feed.poll_interval))
            while True:
                try:
                    news = await self._feed.has_news(hook) or news
                except EspoError as error:
                    await asyncio.sleep(max(bell.failed(f"The poll of {self._feed.key}", error), 1.0))
                    continue
                bell.succeeded()
                if news:
                    tick = Tick()
                    yield tick, tick
                news = await bell.wait(bell.pause(self._feed.poll_interval))

    async def advance(self, batch: Sequence[Any]) -> None:
        """Store the places of all triggers whose events are in Airflow's database by now.

        :param batch: ticks in their order, with what became of them.
        """
        for item in batch:
            # Whose event was not stored is not said. So nobody's place moves: with the next tick all do, but for the
            # one that failed and begins anew where it stood.
            if item.outcome.failed == 0 and item.outcome.rejected == 0:
                for save in item.broker_payload.saves:
                    await save()

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """Return what keeps ticks in order: all are in one lane."""
        return None

    async def aclose(self) -> None:
        """Close nothing: the stream closes its hook itself."""
