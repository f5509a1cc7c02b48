"""A trigger that measures for how long the triggerer's event loop was blocked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

_SLEEP = 0.01


class LoopProbeTrigger(BaseTrigger):
    """Sleeps for moments, and writes once a second how much later than asked for it woke up at worst.

    A loop that wakes up late was blocked, or its thread had to wait for a processor because of other processes.
    The kernel knows how long it waited, and that is taken off.

    :param folder: ``loop.ndjson`` is written there: ``at``, ``blocked`` and ``late`` (seconds). It ends when there is
        ``loop.stop``.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = folder

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        return "tests.e2e.probe.LoopProbeTrigger", {"folder": self.folder}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Measure."""
        folder = Path(self.folder)
        # Of the loop's thread: opened here, it stays that of this thread whoever reads it.
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as schedstat:  # noqa: ASYNC230
            while not (folder / "loop.stop").exists():
                line = await _second(schedstat)
                await asyncio.to_thread(_add, folder / "loop.ndjson", line)
        yield TriggerEvent("done")


async def _second(schedstat: Any) -> dict[str, float]:
    end, blocked, late = time.monotonic() + 1, 0.0, 0.0
    while (began := time.monotonic()) < end:
        waited = _waited(schedstat)
        await asyncio.sleep(_SLEEP)
        too_late = time.monotonic() - began - _SLEEP
        late = max(late, too_late)
        blocked = max(blocked, too_late - (_waited(schedstat) - waited))
    return {"at": time.time(), "blocked": blocked, "late": late}


def _waited(schedstat: Any) -> float:
    """Seconds that the thread was ready to run and had no processor."""
    schedstat.seek(0)
    return int(schedstat.read().split()[1]) / 1e9


def _add(path: Path, line: dict[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
