"""A trigger that measures for how long the triggerer's event loop was blocked."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

_SLEEP = 0.01

#: Seconds after which it is written down what holds the loop.
_HELD = 0.05

#: Functions of a stack that are written down.
_FRAMES = 12


class LoopProbeTrigger(BaseTrigger):
    """Sleeps for moments, and writes once a second how much later than asked for it woke up at worst.

    A loop that wakes up late was blocked, or its thread had to wait for a processor because of other processes.
    The kernel knows how long it waited, and that is taken off. So is Python's garbage collection, which is told by
    itself: Airflow keeps a copy of the DAG with each task that began in the triggerer, so that there is much to go
    through.

    :param folder: ``loop.ndjson`` is written there: ``at``, ``blocked``, ``late`` and ``collected`` (seconds); and
        ``loop.held.txt``, what the loop's thread was at when it was late. It ends when there is ``loop.stop``.
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
        witness = _Witness(folder / "loop.held.txt")
        witness.start()
        try:
            # Of the loop's thread: opened here, it stays that of this thread whoever reads it.
            with open("/proc/thread-self/schedstat", "rb", buffering=0) as schedstat:  # noqa: ASYNC230
                while not (folder / "loop.stop").exists():
                    line = await _second(schedstat, collections, witness)
                    await asyncio.to_thread(_add, folder / "loop.ndjson", line)
        finally:
            witness.ended.set()
            gc.callbacks.remove(collections.heed)
        yield TriggerEvent("done")


class _Witness(threading.Thread):
    """Writes down what the loop is at when it does not come back.

    Where the interpreter is held with the loop, that is only known afterwards. ``faulthandler`` could tell at once, and
    reads stacks while they change: it made the triggerer crash.

    :param path: file to add to.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        #: When the loop is to be back.
        self.due = time.monotonic() + _HELD
        self._path = path
        self._watched = threading.get_ident()

    def run(self) -> None:
        """Watch."""
        told = 0.0
        while not self.ended.wait(_SLEEP):
            due, late = self.due, time.monotonic() - self.due
            if late < _HELD or due == told:
                continue
            told = due
            stack = "".join(traceback.format_stack(sys._current_frames()[self._watched])[-_FRAMES:])
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{time.time():.2f}, late by {late * 1000:.0f} ms so far:\n{stack}\n")


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


async def _second(schedstat: Any, collections: _Collections, witness: _Witness) -> dict[str, float]:
    end, blocked, late, collected = time.monotonic() + 1, 0.0, 0.0, 0.0
    while (began := time.monotonic()) < end:
        waited, before = _waited(schedstat), collections.seconds
        witness.due = began + _SLEEP
        await asyncio.sleep(_SLEEP)
        too_late = time.monotonic() - began - _SLEEP
        late = max(late, too_late)
        collecting = collections.seconds - before
        collected = max(collected, collecting)
        blocked = max(blocked, too_late - (_waited(schedstat) - waited) - collecting)
    witness.due = math.inf
    return {"at": time.time(), "blocked": blocked, "late": late, "collected": collected}


def _waited(schedstat: Any) -> float:
    """Seconds that the thread was ready to run and had no processor."""
    schedstat.seek(0)
    return int(schedstat.read().split()[1]) / 1e9


def _add(path: Path, line: dict[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
