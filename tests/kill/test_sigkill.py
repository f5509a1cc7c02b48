"""Real processes are killed with ``SIGKILL`` at any moment of a task, and the next try runs in another process.

The cases are those of the random deaths; their CRM listens on a port, and their files are on a disk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from tests.kill import cases_bulk, cases_files, cases_incremental, cases_partitions, cases_sql
from tests.kill.cases import CrmCase
from tests.kill.crm import ServedCrm
from tests.kill.driver import SEED
from tests.kill.processes import Ended, Order, Processes, pickled
from tests.kill.report import PROPERTY
from tests.kill.world import RETRIES

#: Processes that are killed in all: a quick share by default.
KILLS = int(os.environ.get("ESPO_KILL_SIGKILLS", "3"))

_CASES: tuple[type[CrmCase], ...] = (
    cases_files.WholeCase,
    cases_incremental.IncrementalCase,
    cases_bulk.CreateCase,
    cases_sql.UpsertCase,
    cases_bulk.ImportCase,
    cases_partitions.PartitionsCase,
)
CASES = _CASES[:KILLS]
KILLS_EACH = -(-KILLS // len(CASES))


def served(case: type[CrmCase]) -> type[CrmCase]:
    """Return a case with all of its world in reach of other processes."""

    def new_crm(_self: CrmCase) -> ServedCrm:
        return ServedCrm()

    def new_bucket(_self: CrmCase) -> None:
        return None

    return type(f"Served{case.__name__}", (case,), {"new_crm": new_crm, "new_bucket": new_bucket})


class Stage:
    """Leads the lives of one playing of a case, each in a process.

    :param case: what is played.
    :param processes: run the tries.
    :param chance: decides who dies when.
    :param known: how the tasks of an undisturbed playing ended; ``None`` for that one.
    """

    def __init__(self, case: CrmCase, processes: Processes, chance: random.Random, known: list[Ended] | None) -> None:
        self.ended: list[Ended] = []
        self.kills: list[str] = []
        self._case = case
        self._processes = processes
        self._chance = chance
        self._known = known
        # One of the tasks is killed, once or twice.
        self._victim = None if known is None else chance.randrange(len(known))

    def lead(self, task: BaseOperator, *, run_id: str = "run", given_up: bool = False, **ti: Any) -> Any:
        """Run a task instance to its end; none is given up here."""
        number = 0
        if self._victim == len(self.ended):
            assert self._known is not None
            clean = self._known[min(self._victim, len(self._known) - 1)]
            for number in range(1, self._chance.choice((1, 1, 2)) + 1):
                ended = self._try(task, run_id, number, ti, **self._moment(clean))
                if ended.signal is None:
                    # It needed less than expected, as much was done before.
                    self.ended.append(ended)
                    return ended.result
                assert ended.signal == signal.SIGKILL
                self._case.crm.rest()
                self._case.inspect()
                self._case.between_tries(self._chance)
        assert number < RETRIES
        rehearsal: dict[str, int] = {"at_call": 0} if self._known is None else {}
        ended = self._try(task, run_id, number + 1, ti, **rehearsal)
        assert ended.signal is None
        self.ended.append(ended)
        return ended.result

    def _moment(self, clean: Ended) -> dict[str, int]:
        if clean.points and self._chance.random() < 0.5:
            return {"at_point": self._chance.randint(1, clean.points)}
        return {"at_call": self._chance.randint(1, clean.calls)}

    def _try(self, task: BaseOperator, run_id: str, number: int, ti: dict[str, Any], **moment: int) -> Ended:
        world = self._case.world
        order = Order(
            task=pickled(task),
            folder=str(world.out.parent),
            stores=world.stores,
            connections={f"AIRFLOW_CONN_{k.upper()}": json.dumps(v) for k, v in self._case.connections().items()},
            number=number,
            run_id=run_id,
            ti=ti,
            **moment,
        )
        ended = self._processes.one_try(order)
        if ended.signal is not None:
            self.kills.append(f"{task.task_id} {run_id} try {number} {moment}")
        return ended


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("processes")) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.__module__.rpartition('_')[2]}-{case.__name__}")
def test_nothing_is_lost_or_doubled_by_sigkill(
    case: type[CrmCase], processes: Processes, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    name = f"{SEED}/SIGKILL/{case.title}"
    known = _played(case, processes, name, tmp_path, None).ended
    kills: list[str] = []
    playings = 1
    while len(kills) < KILLS_EACH:
        kills += _played(case, processes, f"{name}/{playings}", tmp_path, known).kills
        playings += 1
    where = Counter("SIGKILL at a point" if "at_point" in kill else "SIGKILL at a call" for kill in kills)
    found = {"title": f"{case.title} (processes)", "deaths": len(kills), "histories": playings, "where": dict(where)}
    record_property(PROPERTY, found)


def _played(case: type[CrmCase], processes: Processes, seed: str, folder: Path, known: list[Ended] | None) -> Stage:
    place = folder / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    # The same case each time, as its undisturbed playing tells how long its tasks live.
    one = served(case)(random.Random(f"{SEED}/{case.title}"), place)
    stage = Stage(one, processes, random.Random(seed), known)
    chance = random.Random(f"{seed}/others")
    one.crm.meanwhile = lambda: one.meanwhile(chance)
    try:
        with one.set_up():
            one.play(stage.lead)
            one.inspect()
    except BaseException as error:
        error.add_note(f"Seed {seed!r} of ESPO_KILL_SEED={SEED}; kills: {stage.kills or 'none'}")
        raise
    return stage
