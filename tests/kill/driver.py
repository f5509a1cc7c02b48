"""Plays cases: first undisturbed, to know the points at which tasks can die; then with deaths at some of them.

Everything follows from a seed: the case, what other people do meanwhile, and where the deaths are. Only the order in
which several threads of one task come to their points does not.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from airflow.sdk import BaseOperator

from tests.kill.lives import Killed, Life, Snapshot
from tests.kill.world import RETRIES, World

#: Deaths in all that are asked for: a quick share by default.
DEATHS = int(os.environ.get("ESPO_KILL_DEATHS", "100"))
SEED = os.environ.get("ESPO_KILL_SEED", "1")
#: Deaths that one task instance suffers at most.
_MOST = 3
#: Points that a task passes at least, as a rule, where nothing is known about it.
_UNKNOWN = 20
#: Times that a case is played with deaths.
_TIMES = 4


class Lead(Protocol):
    """Runs a task instance to its end."""

    def __call__(self, task: BaseOperator, *, run_id: str = "run", given_up: bool = False, **ti: Any) -> Any:
        """Run it.

        :param given_up: whether all of its tries die, so that the run fails for good.
        :param ti: more that the task instance has, such as ``map_index``.
        :return: the task's result; ``None`` if it was given up.
        """


class Case:
    """What is played: tasks in a world, with what happens between them, and what must hold.

    :param chance: decides everything.
    :param folder: for files.
    """

    #: Name of the property in the report.
    title: str

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self.chance = chance
        self.world = World(folder, stores=chance.random() < 0.7)

    def lives(self, life: Life) -> None:
        """Have everything that the task touches pass the points of its life."""

    def play(self, lead: Lead) -> None:
        """Run the tasks and check what came of them."""
        raise NotImplementedError

    def inspect(self) -> None:
        """Check what must hold at every moment."""

    def meanwhile(self, chance: random.Random) -> None:
        """Do what others do at some moment of a task."""

    def between_tries(self, chance: random.Random) -> None:
        """Let the time pass that Airflow takes until the next try."""

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Have what the case needs for as long as it is played."""
        yield


@dataclass
class Tally:
    """What was done."""

    deaths: int = 0
    histories: int = 0
    where: Counter[str] = field(default_factory=Counter)

    def died(self, point: str) -> None:
        """Count a death."""
        self.deaths += 1
        self.where[kind_of(point)] += 1


def kind_of(point: str) -> str:
    """Return what kind of point it is: a request, a file, a store, a database."""
    first = point.split(maxsplit=1)[0]
    if first in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        return f"request {'before' if point.endswith('>') else 'after'}"
    if first.startswith(("task", "asset", "variables")):
        return "store"
    return {"sql": "database", "put": "object store", "rm": "object store"}.get(first, "file")


class Stage:
    """Leads the lives of one playing of a case.

    :param case: what is played.
    :param chance: decides who dies where.
    :param keep: where the folder's state at a death is kept.
    :param points: how many points its tasks have; ``None`` to let them live and count.
    :param given_up_at: number of the point at which what is given up ends at once; it may need fewer.
    """

    def __init__(
        self,
        case: Case,
        chance: random.Random,
        keep: Path,
        points: list[int] | None = None,
        given_up_at: int | None = None,
    ) -> None:
        self.counts: list[int] = []
        self.ends: list[str] = []
        self._case = case
        self._chance = chance
        self._snapshot = Snapshot(case.world.out, keep)
        self._points = points
        self._given_up_at = given_up_at

    def lead(self, task: BaseOperator, *, run_id: str = "run", given_up: bool = False, **ti: Any) -> Any:
        """Run a task instance to its end."""
        points = self._points
        deaths = _MOST if given_up else 0 if points is None else self._chance.randint(1, _MOST)
        if given_up and self._given_up_at is not None:
            deaths = 1
        most = _UNKNOWN if points is None else points[min(len(self.counts), len(points) - 1)]
        for number in range(1, RETRIES + 2):
            life = self._life(self._death(most, given_up and number == deaths) if number <= deaths else None)
            self._case.lives(life)
            try:
                result = self._case.world.life(task, life, run_id=run_id, number=number, **ti)
            except Killed:
                self._snapshot.restore()
                self.ends.append(f"{task.task_id} {run_id} try {number} at {life.end}")
                self._case.inspect()
                if given_up and number == deaths:
                    return None
                self._case.between_tries(self._chance)
                continue
            if not given_up:
                self.counts.append(len(life.passed))
            return result
        raise AssertionError("the last try died")

    def _death(self, most: int, last: bool) -> int:
        """Return the number of the point to die at."""
        if last and self._given_up_at is not None:
            return self._given_up_at
        # What is given up is so at its end as often as not: there it counts whether things are in the right order.
        first = most * 2 // 3 if last and self._chance.random() < 0.5 else 1
        return self._chance.randint(max(1, first), most)

    def _life(self, at: int | None) -> Life:
        case, rehearsal = self._case, self._points is None and self._given_up_at is None

        def at_points(_number: int, _name: str) -> None:
            if rehearsal:
                case.inspect()
            case.meanwhile(case.chance)

        return Life(at, folders=case.world.folders, at_death=self._snapshot.take, at_points=at_points)


def play(make: Callable[[random.Random, Path], Case], folder: Path, deaths: int, title: str) -> Tally:
    """Play cases until so many tries have died.

    :param make: makes the case that follows from a source of chance.
    :param folder: for files.
    """
    tally = Tally()
    gc.collect()
    gc.freeze()
    try:
        for number in itertools.count():
            name = f"{SEED}/{title}/{number}"
            points = _history(make, name, None, folder, tally)
            for time in range(_TIMES):
                if tally.deaths >= deaths:
                    return tally
                _history(make, f"{name}", (f"{name}/{time}", points), folder, tally)
    finally:
        gc.unfreeze()
    return tally


def _history(
    make: Callable[[random.Random, Path], Case],
    seed: str,
    disturbed: tuple[str, list[int]] | None,
    folder: Path,
    tally: Tally,
) -> list[int]:
    place = folder / "case"
    shutil.rmtree(folder, ignore_errors=True)
    place.mkdir(parents=True)
    case = make(random.Random(seed), place)
    its_name, points = disturbed or (seed, None)
    stage = Stage(case, random.Random(its_name), folder / "snapshot", points)
    try:
        with case.set_up():
            case.play(stage.lead)
            case.inspect()
    except BaseException as error:
        error.add_note(f"Seed {its_name!r} of ESPO_KILL_SEED={SEED}; deaths: {stage.ends or 'none'}")
        raise
    tally.histories += 1
    for end in stage.ends:
        tally.died(end.partition(" at ")[2].partition(": ")[2])
    return stage.counts
