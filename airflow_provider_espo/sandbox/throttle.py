"""The brake on failed logins: an address with too many of them is refused, also with a good key."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class LoginThrottle:
    """Counts failed logins by address.

    :param limit: failures that are allowed within the period
    :param period: seconds for which a failure counts
    :param enabled: False to never refuse
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        limit: int = 10,
        period: float = 60,
        *,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.period = period
        self.enabled = enabled
        self._clock = clock
        self._failures: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def record_failure(self, address: str) -> None:
        """Count one failed login."""
        with self._lock:
            self._failures[address].append(self._clock())

    def is_blocked(self, address: str) -> bool:
        """Whether logins from the address are refused now."""
        if not self.enabled:
            return False
        with self._lock:
            failures = self._failures.get(address)
            if not failures:
                return False
            while failures and failures[0] <= self._clock() - self.period:
                failures.popleft()
            if not failures:
                del self._failures[address]
            return len(failures) > self.limit
