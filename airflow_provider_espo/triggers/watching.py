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
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.failures import Failures, with_jitter
from airflow_provider_espo.triggers.waker import waker_of


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
    """Says to triggers on a feed that they are to look.

    :param made: time of the event loop: who has begun a look since has seen what it is about.
    :param for_whom: who is to look, ``None`` for all because there is something new.
    :param saves: what stores the place of each trigger that looked, with who that is. It returns ``None``, or in how
        many seconds to try again.
    """

    made: float
    for_whom: frozenset[Hashable] | None
    saves: list[tuple[Hashable, Callable[[], Awaitable[float | None]]]] = field(default_factory=list)


class FeedProducer:
    """The poll of a feed in the form of Airflow's acknowledged shared streams.

    Airflow takes any object with these methods; its base class came with 3.3 and is not imported, so that older
    versions load this module.

    :param feed: what is polled.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waker = waker_of(feed.key)

    async def open_stream(self) -> AsyncIterator[tuple[Tick, Tick]]:
        """Yield a tick whenever there is news, and when a trigger asks for one: each does when it comes."""
        loop = asyncio.get_running_loop()
        failures = Failures(("poll", self._feed.key))
        async with EspoAsyncHook(self._feed.espo_conn_id) as hook:
            await asyncio.sleep(failures.pause_left())
            while True:
                try:
                    news = await self._feed.has_news(hook)
                except Exception as error:  # Airflow would start it again at once, whatever it was
                    # The next try reads the connection anew: it may be that that was wrong, or is no longer right.
                    await hook.close()
                    await asyncio.sleep(failures.failed(f"The poll of {self._feed.key}", error))
                    continue
                failures.succeeded()
                next_poll = loop.time() + with_jitter(self._feed.poll_interval)
                while True:
                    due = self._waker.take_due()
                    if news or due:
                        tick = Tick(loop.time(), None if news else due)
                        yield tick, tick
                    news = False
                    if loop.time() >= next_poll:
                        break
                    await self._waker.wait(next_poll)

    async def advance(self, batch: Sequence[Any]) -> None:
        """Store the places of all triggers whose events are in Airflow's database by now.

        :param batch: ticks in their order, with what became of them.
        """
        for item in batch:
            stored = item.outcome.failed == 0 and item.outcome.rejected == 0
            for who, save in item.broker_payload.saves:
                # Whose event was not stored is not said. Whoever failed is gone and begins anew where it stood; the
                # others give their places to a tick of their own.
                again = await save() if stored else 0.0
                if again is not None:
                    self._waker.ask(who, after=again)

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """Return what keeps ticks in order: all are in one lane."""
        return None

    async def aclose(self) -> None:
        """Close nothing: the stream closes its hook itself."""
