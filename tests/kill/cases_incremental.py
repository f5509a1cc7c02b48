"""Incremental extractions: whoever loads run after run has in the end what the CRM has, and got nothing twice."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from tests.kill import datasets
from tests.kill.cases_files import SELECT, FilesCase, same
from tests.kill.crm import FORMAT
from tests.kill.driver import Lead

LAG = 300


class Warehouse:
    """Loads what the runs deliver, and notices what comes twice.

    :param detects: whether tombstones come.
    """

    def __init__(self, *, detects: bool) -> None:
        self.rows: dict[str, datasets.Row] = {}
        self.detects = detects
        self._delivered: set[str] = set()

    def load(self, found: datasets.Found) -> None:
        """Load what a run delivered."""
        assert len(set(found.ids)) == len(found.ids), "a record is there twice"
        assert len(set(found.tombstones)) == len(found.tombstones), "a tombstone is there twice"
        assert self.detects or not found.tombstones
        for row in found.rows:
            state = json.dumps(row, sort_keys=True, default=str)
            assert state not in self._delivered, "a record came once more as it was"
            self._delivered.add(state)
            self.rows[row["id"]] = row
        # One that was changed, delivered, and deleted before the run was over is among both: the end comes last.
        for record_id in found.tombstones:
            assert self.rows.pop(record_id, None), "a tombstone of a record that is not known"

    def compare(self, there: Mapping[str, Any]) -> None:
        """Compare what was loaded with what is in the CRM, when all is quiet."""
        assert not there.keys() - self.rows.keys(), "a record is lost"
        different = [one for one, record in there.items() if not same(self.rows[one], record)]
        assert not different, f"the last change of {different} is lost"
        assert not self.detects or self.rows.keys() == there.keys(), "a deletion is lost"


class IncrementalCase(FilesCase):
    """A few runs of one task, with changes before, between and during them."""

    title = "EspoToObjectStorage: incremental_by, changes all the time, tombstones"

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.late = LAG - 60
        self.detects = chance.random() < 0.6
        self.same_place = chance.random() < 0.4
        self.outlets = [Asset("espo://crm.example.com/Lead")] if chance.random() < 0.7 else []
        self._names: list[str] = []
        self.warehouse = Warehouse(detects=self.detects)

    def places(self) -> tuple[str, ...]:
        return tuple(self._names)

    def play(self, lead: Lead) -> None:
        chance = self.chance
        moments = [f"2025-11-{day:02d} 12:00:00" for day in range(1, chance.randint(1, 28) + 1)]
        self.crm.add(len(moments), moments=moments)
        for run in range(3):
            for _ in range(chance.randint(0, 8)):
                self.crm.unrest(chance, late=self.late)
            self.crm.pass_time(chance.choice((0, 1, 10, 3600)))
            self.restless = chance.choice((0, 0.15))
            self.run(lead, f"run{run}", given_up=chance.random() < 0.25)
        self.restless = 0
        self.crm.pass_time(2)
        self.run(lead, "quiet")
        self.warehouse.compare(self.crm.rows())

    def run(self, lead: Lead, run_id: str, *, given_up: bool = False) -> None:
        """Run the task, and load what it delivers."""
        name = "window" if self.same_place else run_id
        if name not in self._names:
            self._names.append(name)
        task = EspoToObjectStorageOperator(
            task_id="extract",
            entity_type="Lead",
            path=self.place(name),
            select=SELECT,
            page_size=self.chance.randint(3, 12),
            parts=self.chance.choice((None, 2)),
            overwrite=self.same_place,
            incremental_by="modifiedAt",
            lag=LAG,
            deleted="detect" if self.detects else "ignore",
            outlets=self.outlets,
            **self.form,
        )
        self.switches = 0
        result = lead(task, run_id=run_id, given_up=given_up)
        self.inspect()
        if result is None:
            # A run that failed for good. If its watermark counts, its dataset is whole, and the next run goes on from
            # there; otherwise the next run delivers all of it.
            if self.switches and self.found(name).manifest["run"] in self.world.watermarks():
                self.warehouse.load(self.found(name))
            return
        assert self.switches == 1
        found = self.found(name)
        self.warehouse.load(found)
        assert set(self.files(name)) == datasets.named(found.manifest), "something is left over"


class NewcomersCase(FilesCase):
    """Runs by an attribute that tells of new records only: each comes once, however late it was committed."""

    title = "EspoToObjectStorage: incremental_by createdAt and number"

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.by = chance.choice(("createdAt", "number"))
        self._names: list[str] = []
        self._next = 1
        self._held_back: list[int] = []

    def places(self) -> tuple[str, ...]:
        return tuple(self._names)

    def meanwhile(self, chance: random.Random) -> None:
        if chance.random() < self.restless:
            self._come(chance)

    def between_tries(self, chance: random.Random) -> None:
        self.crm.pass_time(chance.choice((0, 1, 400)))
        for _ in range(chance.randint(0, 4) if self.restless else 0):
            self._come(chance)

    def play(self, lead: Lead) -> None:
        delivered: list[str] = []
        for run in range(4):
            for _ in range(self.chance.randint(0, 9)):
                self._come(self.chance)
            self.crm.pass_time(self.chance.choice((1, 10, 200)))
            self.restless = self.chance.choice((0, 0.1)) if run < 3 else 0.0
            delivered += self.run(lead, f"run{run}")
        self.crm.pass_time(2)
        delivered += self.run(lead, "quiet")
        assert len(set(delivered)) == len(delivered), "a record came twice"
        assert set(self._there()) <= set(delivered), "a record is lost"

    def run(self, lead: Lead, run_id: str) -> list[str]:
        self._names.append(run_id)
        task = EspoToObjectStorageOperator(
            task_id="extract",
            entity_type="Case",
            path=self.place(run_id),
            select=["id", "name"],
            page_size=self.chance.randint(3, 9),
            incremental_by=self.by,
            lag=LAG if self.by == "createdAt" else 10,
            **self.form,
        )
        lead(task, run_id=run_id)
        return self.found(run_id).ids

    def _come(self, chance: random.Random) -> None:
        """Let a case be created, or one be committed whose number or moment was settled a while ago."""
        now = self.crm.now
        if self._held_back and (chance.random() < 0.5 or self._next - self._held_back[0] > 8):
            number = self._held_back.pop(0)
        else:
            number, self._next = self._next, self._next + 1
            if chance.random() < 0.2:
                self._held_back.append(number)
                return
        moment = (now - timedelta(seconds=chance.uniform(0, LAG - 60))).strftime(FORMAT)
        storage = self.crm.sandbox.storage
        values = {"id": storage.new_id(), "deleted": 0, "name": f"Case {number}", "number": number}
        storage.insert("Case", {**values, "createdAt": moment, "modifiedAt": moment})

    def _there(self) -> list[str]:
        return [str(one) for one in self.crm.sandbox.storage.column('SELECT id FROM "Case" WHERE deleted = 0')]


class BackfillCase(FilesCase):
    """A window with bounds: killed or not, the same files byte for byte."""

    title = "EspoToObjectStorage: start and end, the same files again"

    def places(self) -> tuple[str, ...]:
        return ("first", "again")

    def play(self, lead: Lead) -> None:
        chance = self.chance
        count = chance.randint(5, 50)
        moments = [f"2025-11-{chance.randint(1, 9):02d} 12:00:00" for _ in range(count)]
        self.crm.add(count, moments=moments)
        page_size = chance.randint(3, 12)
        contents: list[dict[str, Any]] = []
        for name in self.places():
            task = EspoToObjectStorageOperator(
                task_id="extract",
                entity_type="Lead",
                path=self.place(name),
                select=SELECT,
                page_size=page_size,
                parts=2,
                incremental_by="modifiedAt",
                start="2025-11-02",
                end="2025-11-08",
                **self.form,
            )
            lead(task, run_id="backfill")
            contents.append(self.files(name))
        assert contents[0] == contents[1]
        wanted = {
            record_id for record_id, row in self.crm.rows().items() if "11-02" <= row["modifiedAt"][5:10] < "11-08"
        }
        assert set(self.found("first").ids) == wanted
        assert len(self.found("first").ids) == len(wanted)
