"""What all triggers that poll EspoCRM have in common."""

from __future__ import annotations

import asyncio
import random
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_espo.client.errors import (
    EspoError,
    EspoLoginThrottledError,
    EspoRateLimitError,
    EspoServerError,
    EspoTLSError,
    EspoTransportError,
)
from airflow_provider_espo.hooks.espo import EspoAsyncHook

#: Looks in a row that may fail before the trigger gives up; each look has the connection's own retries.
MAX_FAILED_LOOKS = 6

# With the waits below, a server that is restarted or updated has a quarter of an hour to come back.
_FIRST_WAIT_AFTER_FAILURE = 30.0
_LONGEST_WAIT_AFTER_FAILURE = 300.0

_SHORTEST_PAUSE = 1.0
# Sensors of one schedule start together: without this they would look together for as long as they wait.
_JITTER = 0.1

_MAY_PASS = (EspoTransportError, EspoServerError, EspoRateLimitError, EspoLoginThrottledError)


class EspoPollTrigger(BaseTrigger):
    """Looks at EspoCRM again and again until there is what it waits for.

    Its one event is ``{"status": "success", ...}``, ``{"status": "timeout", "last_error"}`` or ``{"status": "error",
    "kind", "error"}``: kind is the name of a class in ``airflow_provider_espo.exceptions``, error its arguments.
    Airflow logs events: they hold ids and counts only.

    Errors that may pass (no connection, no answer in time, an answer that is not EspoCRM's, server errors,
    maintenance, rate limits, the login throttle) are borne six times in a row, with growing waits.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between looks, give or take a tenth; at least 1.
    :param deadline: when to give up, in seconds since the epoch; ``None`` for never.
    :param silent_fail: go on after any error.
    """

    def __init__(
        self, *, espo_conn_id: str, poll_interval: float, deadline: float | None = None, silent_fail: bool = False
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.espo_conn_id = espo_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "espo_conn_id": self.espo_conn_id,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            "silent_fail": self.silent_fail,
            **self.arguments(),
        }

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of this class."""

    @abstractmethod
    async def look(self, hook: EspoAsyncHook) -> dict[str, Any] | None:
        """Look once.

        :param hook: hook over the connection.
        :return: the event's payload, or ``None`` to go on waiting.
        """

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something, the deadline is over, or looking fails for good."""
        async with EspoAsyncHook(self.espo_conn_id) as hook:
            event = await self._wait(hook)
        # Everything is closed by now: who takes the event may drop the generator where it stands.
        yield TriggerEvent(event)

    async def _wait(self, hook: EspoAsyncHook) -> dict[str, Any]:
        failed = 0
        error: EspoError | None = None
        while True:
            try:
                found = await self.look(hook)
            except EspoError as failure:
                failed, error = failed + 1, failure
                if self._is_final(error, failed):
                    return {"status": "error", "kind": type(error).__name__, "error": _arguments_of(error)}
                self.log.warning("Look %d in a row failed: %s", failed, error)
            else:
                failed, error = 0, None
                if found is not None:
                    return {"status": "success", **found}
            pause = self._pause(failed, error)
            if self.deadline is not None:
                left = self.deadline - time.time()
                if left <= 0:
                    return {"status": "timeout", "last_error": str(error) if error else None}
                # One look more at the deadline itself.
                pause = min(pause, left)
            await asyncio.sleep(pause)

    def _is_final(self, error: EspoError, failed: int) -> bool:
        if self.silent_fail:
            return False
        return not isinstance(error, _MAY_PASS) or isinstance(error, EspoTLSError) or failed >= MAX_FAILED_LOOKS

    def _pause(self, failed: int, error: EspoError | None) -> float:
        pause = max(self.poll_interval, _SHORTEST_PAUSE)
        if error is not None:
            backoff = min(_FIRST_WAIT_AFTER_FAILURE * 2 ** (failed - 1), _LONGEST_WAIT_AFTER_FAILURE)
            pause = max(pause, backoff, getattr(error, "retry_after", None) or 0.0)
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret is made of it


def _arguments_of(error: EspoError) -> dict[str, Any]:
    return {
        "message": error.message,
        "status": error.status,
        "reason": error.reason,
        "method": error.method,
        "path": error.path,
        "hint": error.hint,
    }
