"""A budget of requests per second, and the waits that a proxy's ``X-RateLimit-*`` headers ask for."""

from __future__ import annotations

import threading
from collections.abc import Mapping

_EPOCH_FROM = 1_000_000_000


class RequestBudget:
    """Spaces requests evenly. Shared by all threads that use one connection in a process.

    :param requests_per_second: ``None`` for no limit of our own.
    :param longest_wait: longest wait in seconds that a rate-limit header is followed.
    """

    def __init__(self, requests_per_second: float | None, longest_wait: float = 120.0) -> None:
        self._gap = 1.0 / requests_per_second if requests_per_second else 0.0
        self._longest_wait = longest_wait
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take the next place in the row and return how many seconds it is away.

        :param now: current time in seconds of any clock that the same budget always uses.
        """
        with self._lock:
            start = max(now, self._next)
            self._next = start + self._gap
            return start - now

    def observe(self, headers: Mapping[str, str], now: float, wall_clock: float) -> None:
        """Hold back further requests when an answer says that the limit is used up.

        :param headers: headers of an answer, lower-case names.
        :param now: as in :meth:`reserve`.
        :param wall_clock: seconds since the epoch, as some proxies give the reset as such.
        """
        if _number(headers.get("x-ratelimit-remaining")) != 0:
            return
        reset = _number(headers.get("x-ratelimit-reset"))
        if reset is None:
            return
        wait = reset - wall_clock if reset >= _EPOCH_FROM else reset
        with self._lock:
            self._next = max(self._next, now + min(max(wait, 0.0), self._longest_wait))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
