"""Parts of Airflow are killed at random moments, while the CRM goes on."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.stack import Stack

SEED = int(os.environ.get("ESPO_E2E_SEED", "1"))

#: Seconds that a part may live before it is killed; and how many deaths come while it starts.
_LONGEST_LIFE = 5.0
_EARLY_DEATHS = 0.2


class Writer:
    """Makes leads one after the other, on a thread.

    :param stack: what has the CRM.
    :param every: seconds between leads.
    :param sources: their sources, in turn.
    """

    def __init__(self, stack: Stack, every: float, sources: Sequence[str]) -> None:
        self._stack, self._every, self._sources = stack, every, sources
        #: Ids of the leads by source.
        self.made: Mapping[str, list[str]] = {source: [] for source in sources}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._failed: BaseException | None = None

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _write(self) -> None:
        number = 0
        try:
            while not self._stop.wait(self._every):
                source = self._sources[number % len(self._sources)]
                self.made[source].append(self._stack.new_lead(source=source))
                number += 1
        except BaseException as error:
            self._failed = error


@dataclass
class Kills:
    """When a part was killed.

    :param moments: seconds since 1970.
    """

    moments: list[float] = field(default_factory=list)

    def between(self, first: float, second: float) -> bool:
        """Whether there was one between two moments."""
        return any(first <= moment <= second for moment in self.moments)


def kill_at_random(
    stack: Stack, part: str, times: int, works: Callable[[float], bool], *, early: float = _EARLY_DEATHS
) -> Kills:
    """Kill a part by SIGKILL and start it anew, again and again.

    Most deaths come up to some seconds after it works again, the others while it starts.

    :param stack: what has the part.
    :param part: name of the part.
    :param times: how often.
    :param works: says whether it did anything since a moment.
    :param early: how many of the deaths come before it works again.
    """
    rng, kills = random.Random(SEED), Kills()
    service, started = stack.services[part], 0.0
    for _ in range(times):
        at_once, life = rng.random() < early, rng.uniform(0, _LONGEST_LIFE)
        if not at_once:
            _wait_until_it(works, started)
        time.sleep(life)
        service.kill()
        kills.moments.append(time.time())
        started = time.time()
        stack.restart(part)
    return kills


def _wait_until_it(works: Callable[[float], bool], started: float) -> None:
    end = time.monotonic() + 90
    while not works(started):
        if time.monotonic() > end:
            raise AssertionError("What was killed did not work again within 90 s")
        time.sleep(0.25)


@dataclass
class Arrivals:
    """What came of each change.

    :param lost: ids that never came.
    :param repeated: ids that came more than once.
    :param unexplained: ids that came twice without a kill between.
    """

    lost: set[str]
    repeated: set[str]
    unexplained: set[str]


def arrivals(made: Iterable[str], events: Iterable[tuple[float, Sequence[Any]]], kills: Kills) -> Arrivals:
    """Compare changes with what was told of them.

    :param made: ids.
    :param events: moment of each event, and what it told of: ids, or ids with stamps.
    :param kills: the kills.
    """
    seen: dict[Any, list[float]] = defaultdict(list)
    for moment, changes in events:
        for change in changes:
            seen[change].append(moment)
    ids: dict[str, list[float]] = defaultdict(list)
    for change, moments in seen.items():
        ids[change if isinstance(change, str) else change[0]] += moments
    repeated = {one for one, moments in ids.items() if len(moments) > 1}
    unexplained = {
        one
        for one in repeated
        if not all(kills.between(*pair) for pair in zip(sorted(ids[one]), sorted(ids[one])[1:], strict=False))
    }
    return Arrivals(set(made) - set(ids), repeated, unexplained)
