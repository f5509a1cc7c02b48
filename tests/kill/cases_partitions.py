"""Extractions over mapped tasks: the plan, its parts, and the task that completes them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.partitions import EspoCompletePartitionsOperator, EspoPlanPartitionsOperator
from tests.kill import datasets
from tests.kill.cases_files import SELECT, FilesCase, check_rows
from tests.kill.cases_incremental import LAG, Warehouse
from tests.kill.driver import Lead


class PartitionsCase(FilesCase):
    """Runs to one place, of all records or of what is new; the mapped tasks come in any order."""

    title = "PlanPartitions, mapped EspoToObjectStorage, CompletePartitions"

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.incremental = chance.random() < 0.6
        self.detects = self.incremental and chance.random() < 0.6
        self.late = LAG - 60 if self.incremental else 0
        self.assets = [Asset("espo://crm.example.com/Lead")] if chance.random() < 0.7 else []
        self.warehouse = Warehouse(detects=self.detects)

    def places(self) -> tuple[str, ...]:
        return ("parts",)

    def play(self, lead: Lead) -> None:
        chance = self.chance
        count = chance.randint(0, 60)
        self.crm.add(count, moments=[f"2025-11-{chance.randint(1, 28):02d} 12:00:00" for _ in range(count)])
        for run in range(2):
            self.restless = chance.choice((0, 0, 0.05))
            self._run(lead, f"run{run}")
            for _ in range(chance.randint(0, 9)):
                self.crm.unrest(chance, late=self.late)
            self.crm.pass_time(chance.randint(0, 100))
        self.restless = 0
        self.crm.pass_time(2)
        self._run(lead, "quiet")
        if self.incremental:
            self.warehouse.compare(self.crm.rows())

    def _run(self, lead: Lead, run_id: str) -> None:
        before, self.switches = self.crm.rows(), 0
        page_size = self.chance.randint(3, 12)
        plan = lead(self._plan(page_size), run_id=run_id)
        order = list(enumerate(plan))
        self.chance.shuffle(order)
        for map_index, partition in order:
            lead(self._part(page_size, partition), run_id=run_id, map_index=map_index)
        assert self.switches == 0, "parts alone are no dataset"
        result = lead(self._complete(plan), run_id=run_id)
        after = self.crm.rows()
        self.inspect()
        assert self.switches == 1
        found = self.found("parts")
        assert result["records"] == len(found.rows)
        if self.incremental:
            self.warehouse.load(found)
        else:
            check_rows(found, before, after)
        left = set(self.files("parts")) - datasets.named(found.manifest)
        assert all(name.startswith("_") for name in left), "records that nobody needs are left over"

    def _plan(self, page_size: int) -> EspoPlanPartitionsOperator:
        more: dict[str, Any] = {"incremental_by": "modifiedAt", "lag": LAG} if self.incremental else {}
        return EspoPlanPartitionsOperator(
            task_id="plan",
            entity_type="Lead",
            page_size=page_size,
            partitions=3,
            min_records=1,
            inlets=self.assets,
            **more,
        )

    def _part(self, page_size: int, partition: Any) -> EspoToObjectStorageOperator:
        return EspoToObjectStorageOperator(
            task_id="extract",
            entity_type="Lead",
            path=self.place("parts"),
            select=SELECT,
            page_size=page_size,
            partition=partition,
            overwrite=True,
            deleted="detect" if self.detects else "ignore",
            **self.form,
        )

    def _complete(self, plan: Any) -> EspoCompletePartitionsOperator:
        return EspoCompletePartitionsOperator(
            task_id="complete",
            entity_type="Lead",
            path=self.place("parts"),
            partitions=plan,
            overwrite=True,
            deleted="detect" if self.detects else "ignore",
            outlets=self.assets,
        )
