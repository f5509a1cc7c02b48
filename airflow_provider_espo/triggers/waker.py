"""Wakes the poll of a feed for triggers that want to look at a time of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Waker:
    """Who on a feed wants to look, and when.

    Each trigger has one time at most, so that nothing piles up however often it asks.
    """

    def __init__(self) -> None:
        self._due: dict[Hashable, float] = {}
        self._asked: asyncio.Future[None] | None = None

    def ask(self, who: Hashable, after: float = 0.0) -> None:
        """Have someone woken, once: of several wishes the earliest counts.

        :param who: a trigger, or what stands for it.
        :param after: in so many seconds.
        """
        when = asyncio.get_running_loop().time() + after
        self._due[who] = min(when, self._due.get(who, when))
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)

    def forget(self, who: Hashable) -> None:
        """Wake someone no more."""
        self._due.pop(who, None)

    def take_due(self) -> frozenset[Hashable]:
        """Return whose time has come, and forget their wishes."""
        now = asyncio.get_running_loop().time()
        due = frozenset(who for who, when in self._due.items() if when <= now)
        for who in due:
            del self._due[who]
        return due

    async def wait(self, until: float) -> None:
        """Wait until someone's time has come.

        :param until: time of the event loop, at the latest.
        """
        loop = asyncio.get_running_loop()
        while (pause := min([until, *self._due.values()]) - loop.time()) > 0:
            self._asked = loop.create_future()
            await asyncio.wait([self._asked], timeout=pause)


#: Weak: a feed that nobody is on any more leaves nothing behind.
_wakers: WeakValueDictionary[Hashable, Waker] = WeakValueDictionary()


def waker_of(feed: Hashable) -> Waker:
    """Return the waker of a feed in this process. It is the same one for as long as somebody holds it.

    :param feed: key of the feed.
    """
    waker = _wakers.get(feed)
    if waker is None:
        waker = _wakers[feed] = Waker()
    return waker
