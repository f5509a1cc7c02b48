"""What all triggers that poll EspoCRM have in common."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_espo.client.errors import EspoConnectionError, EspoError, EspoServerError, EspoTimeoutError
from airflow_provider_espo.hooks.espo import EspoAsyncHook

#: Looks in a row that may fail before the trigger gives up; each look has the connection's own retries.
MAX_FAILED_LOOKS = 5

_MAY_PASS = (EspoConnectionError, EspoServerError, EspoTimeoutError)


class EspoPollTrigger(BaseTrigger):
    """Looks at EspoCRM again and again until there is what it waits for.

    Its one event is ``{"status": "success", ...}``, ``{"status": "timeout"}`` or
    ``{"status": "error", "error", "kind"}``, kind being the name of a class in ``airflow_provider_espo.exceptions``.
    Airflow logs events: they hold ids and counts only.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between looks.
    :param deadline: when to give up, in seconds since the epoch; ``None`` for never.
    """

    def __init__(self, *, espo_conn_id: str, poll_interval: float, deadline: float | None = None) -> None:
        super().__init__()
        self.espo_conn_id = espo_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "espo_conn_id": self.espo_conn_id,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            **self.arguments(),
        }

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of this class."""

    @abstractmethod
    async def look(self, hook: EspoAsyncHook) -> dict[str, Any] | None:
        """Look once: return the event's payload, or ``None`` to go on waiting."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something, the deadline is over, or looking fails for good."""
        async with EspoAsyncHook(self.espo_conn_id) as hook:
            yield TriggerEvent(await self._wait(hook))

    async def _wait(self, hook: EspoAsyncHook) -> dict[str, Any]:
        failed = 0
        while True:
            try:
                found = await self.look(hook)
            except EspoError as error:
                failed += 1
                if not isinstance(error, _MAY_PASS) or failed >= MAX_FAILED_LOOKS:
                    return {"status": "error", "error": str(error), "kind": type(error).__name__}
                self.log.warning("Look %d in a row failed: %s", failed, error)
            else:
                failed = 0
                if found is not None:
                    return {"status": "success", **found}
            pause = self.poll_interval
            if self.deadline is not None:
                left = self.deadline - time.time()
                if left <= 0:
                    return {"status": "timeout"}
                # One look more at the deadline itself.
                pause = min(pause, left)
            await asyncio.sleep(pause)
