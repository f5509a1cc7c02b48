"""A trigger's watch: its place, what its looks found, and when its place is stored."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from airflow_provider_espo.client.errors import EspoTimeoutError
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.cursors import CursorStore
from airflow_provider_espo.triggers.failures import Failures
from airflow_provider_espo.triggers.watching import Tick

log = logging.getLogger(__name__)

#: Seconds after which an event that was handed to Airflow is taken to be in its database, where it does not say so.
_STORED_AFTER = 10.0

#: Seconds that a look may take. Airflow fails a trigger that is at one tick for 300 s, and until then nobody else on
#: the feed has a place stored.
_LONGEST_LOOK = 200.0


class Looker(ABC):
    """What a watch needs of a trigger."""

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


class Watch:
    """A trigger's place and what came of its looks.

    :param trigger: looks.
    :param key: arguments of the trigger, as text.
    :param title: what is watched, for the log.
    :param store: where the place is kept.
    """

    def __init__(self, trigger: Looker, key: str, title: str, store: CursorStore) -> None:
        self._trigger = trigger
        self._title = title
        self._store = store
        self._place: dict[str, Any] | None = None
        self._next: dict[str, Any] | None = None
        self._looked = float("-inf")
        self._count = self._stored = self._remembered = 0
        self._waiting: list[tuple[float, Callable[[], Awaitable[float | None]]]] = []
        #: Looks that failed in a row.
        self.failures = Failures(("look", key))
        self._unsaved = Failures(("place", key))
        #: In how many seconds to look for what the last look left; ``None`` if it left nothing.
        self.again: float | None = None

    def is_meant_by(self, tick: Tick) -> bool:
        """Whether a tick is for this trigger, and no look since has seen what it is about."""
        return (tick.for_whom is None or self in tick.for_whom) and tick.made >= self._looked

    async def look(self, hook: EspoAsyncHook) -> list[dict[str, Any]]:
        """Look once.

        :return: what is new. The place moves when it was told: with :meth:`move`.
        """
        self._looked = asyncio.get_running_loop().time()
        place = self._place if self._place is not None else await self._begin(hook)
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                new, self._next, self.again = await self._trigger.look(hook, place)
        except TimeoutError as error:
            raise EspoTimeoutError(f"It took longer than {_LONGEST_LOOK:.0f} s") from error
        return new

    def move(self) -> None:
        """Move the place behind what the last look found."""
        self.failures.succeeded()
        if self._next is not None and self._next != self._place:
            self._place = self._next
            self._count += 1

    def look_failed(self, error: Exception) -> float:
        """Count a look that failed, and say it.

        :return: seconds until the next one.
        :raises Exception: the error, where it is one too many in a row.
        """
        return self.failures.failed(f"A look at {self._title}", error)

    def save_of_now(self) -> Callable[[], Awaitable[float | None]] | None:
        """Return what stores the place as it is now; ``None`` if it is stored.

        It returns ``None``, or in how many seconds to try again because it failed.
        """
        if self._place is None or self._count == self._stored:
            return None
        return partial(self._save, self._count, self._place)

    async def _save(self, count: int, place: dict[str, Any]) -> float | None:
        if count <= self._stored:
            return None
        try:
            await self._store.save({"count": count, "place": place})
        except Exception as error:  # a trigger that fails over it would tell all once more
            return self._unsaved.failed(f"Storing the place of {self._title}", error, bearable=True)
        self._unsaved.succeeded()
        self._stored = count
        return None

    # -- where nothing says when an event is in Airflow's database -----------------------------------------------------

    async def rest(self, seconds: float) -> None:
        """Do nothing for a time but store places whose events are in Airflow's database by now.

        :param seconds: how long.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if self._count > self._remembered and (save := self.save_of_now()) is not None:
            self._remembered = self._count
            self._waiting.append((loop.time() + _STORED_AFTER, save))
        while True:
            now = loop.time()
            due = [save for when, save in self._waiting if when <= now]
            self._waiting = [(when, save) for when, save in self._waiting if when > now]
            # The last of them has the others in it.
            if due and (pause := await due[-1]()) is not None:
                self._waiting.append((loop.time() + pause, due[-1]))
            now = loop.time()
            if now >= end:
                return
            await asyncio.sleep(min([end, *(when for when, _ in self._waiting)]) - now)

    async def _begin(self, hook: EspoAsyncHook) -> dict[str, Any]:
        kept = await self._store.load()
        if kept is None:
            first = await self._trigger.first_place(hook)
            # Airflow tells an asset that it is about to activate and one without a place by the same answer.
            kept = await self._store.load()
            if kept is None:
                # Stored before anything is new to it: otherwise what comes before the first event is stored would be
                # lost with the triggerer.
                kept = {"count": 1, "place": first}
                await self._store.save(kept)
        self._count = self._stored = self._remembered = int(kept["count"])
        self._place = dict(kept["place"])
        log.info("Watching %s; the place is kept in %s", self._title, self._store)
        return self._place
