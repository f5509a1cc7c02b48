"""A trigger that measures for how long the triggerer's event loop was blocked."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TextIO

from airflow.triggers.base import BaseTrigger, TriggerEvent

_SLEEP = 0.01

#: Seconds after which it is written down what holds the loop.
_HELD = 0.05


class LoopProbeTrigger(BaseTrigger):
    """Sleeps for moments, and writes once a second how much later than asked for it woke up at worst.

    A loop that wakes up late was blocked, or its thread had to wait for a processor because of other processes.
    The kernel knows how long it waited, and that is taken off. So is Python's garbage collection, which is told by
    itself: Airflow keeps a copy of the DAG with each task that began in the triggerer, so that there is much to go
    through.

    :param folder: ``loop.ndjson`` is written there: ``at``, ``blocked``, ``late`` and ``collected`` (seconds); and
        ``loop.held.txt``, what the threads were at when the loop was late. It ends when there is ``loop.stop``.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = folder

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        return "tests.e2e.probe.LoopProbeTrigger", {"folder": self.folder}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Measure."""
        folder, collections = Path(self.folder), _Collections()
        gc.callbacks.append(collections.heed)
        try:
            # The first is of the loop's thread: opened here, it stays that of this thread whoever reads it.
            with (
                open("/proc/thread-self/schedstat", "rb", buffering=0) as schedstat,  # noqa: ASYNC230
                (folder / "loop.held.txt").open("a", encoding="utf-8") as held,
            ):
                while not (folder / "loop.stop").exists():
                    line = await _second(schedstat, collections, held)
                    await asyncio.to_thread(_add, folder / "loop.ndjson", line)
        finally:
            gc.callbacks.remove(collections.heed)
        yield TriggerEvent("done")


class _Collections:
    """How long Python collected garbage, in the loop's thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0
        self._thread = threading.get_ident()

    def heed(self, phase: str, info: object) -> None:
        """Take note of a collection."""
        if threading.get_ident() == self._thread:
            if phase == "start":
                self._began = time.thread_time()
            else:
                self.seconds += time.thread_time() - self._began


async def _second(schedstat: Any, collections: _Collections, held: TextIO) -> dict[str, float]:
    end, blocked, late, collected = time.monotonic() + 1, 0.0, 0.0, 0.0
    while (began := time.monotonic()) < end:
        waited, before = _waited(schedstat), collections.seconds
        # Written by a thread that needs no part of the interpreter, whoever holds that.
        faulthandler.dump_traceback_later(_SLEEP + _HELD, file=held)
        try:
            await asyncio.sleep(_SLEEP)
        finally:
            faulthandler.cancel_dump_traceback_later()
        too_late = time.monotonic() - began - _SLEEP
        if too_late > _HELD:
            held.write(f"{time.time():.2f}: late by {too_late * 1000:.0f} ms\n\n")
            held.flush()
        late = max(late, too_late)
        collecting = collections.seconds - before
        collected = max(collected, collecting)
        blocked = max(blocked, too_late - (_waited(schedstat) - waited) - collecting)
    return {"at": time.time(), "blocked": blocked, "late": late, "collected": collected}


def _waited(schedstat: Any) -> float:
    """Seconds that the thread was ready to run and had no processor."""
    schedstat.seek(0)
    return int(schedstat.read().split()[1]) / 1e9


def _add(path: Path, line: dict[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
