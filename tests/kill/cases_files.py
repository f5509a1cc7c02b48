"""Extractions to files: nothing is lost, nothing doubled, and a reader sees the old result or the new one."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from tests.kill import datasets
from tests.kill.bucket import CONN_ID, Bucket, attached
from tests.kill.cases import CrmCase
from tests.kill.driver import Lead
from tests.kill.lives import Life

SELECT = ["id", "modifiedAt", "lastName", "accountName"]


class FilesCase(CrmCase):
    """Tasks that write datasets, on a disk or to an object store.

    :param chance: decides everything.
    :param folder: for files.
    """

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.bucket = self.new_bucket()
        self.form: dict[str, Any] = {
            "file_format": chance.choice(("ndjson", "csv", "parquet")),
            "compression": chance.choice((None, "gzip")),
            "records_per_file": chance.choice((7, 30, 100_000)),
        }
        #: The dataset as it was when somebody last looked, and how often it became another one.
        self.seen: dict[str, bytes | None] = {}
        self.switches = 0

    def new_bucket(self) -> Bucket | None:
        """Return the object store; ``None`` where files go to the disk."""
        return attached() if self.chance.random() < 0.3 else None

    def lives(self, life: Life) -> None:
        super().lives(life)
        if self.bucket is not None:
            self.bucket.life = life

    def place(self, name: str) -> Any:
        """Return the path of a dataset."""
        if self.bucket is None:
            return str(self.world.out / name)
        return ObjectStoragePath(f"memory://{CONN_ID}@data/{name}")

    def files(self, name: str) -> dict[str, bytes]:
        """Return what is in the place of a dataset."""
        if self.bucket is None:
            return datasets.local_files(self.world.out / name)
        return datasets.bucket_files(self.bucket, f"/data/{name}/")

    def found(self, name: str) -> datasets.Found:
        """Return a dataset that has to be there."""
        found = datasets.read(self.files(name))
        assert found is not None
        return found

    def inspect(self) -> None:
        for name in self.places():
            files = self.files(name)
            manifest = files.get(datasets.MANIFEST)
            before = self.seen.get(name)
            if before is not None:
                assert manifest is not None, "the dataset is gone"
            if manifest != before:
                self.switches += 1
                self.seen[name] = manifest
            datasets.read(files)

    def places(self) -> tuple[str, ...]:
        """Return the names of the datasets to look at."""
        raise NotImplementedError


class WholeCase(FilesCase):
    """Two runs that extract all records to the same place, one after the other."""

    title = "EspoToObjectStorage: all records, the second run over the first"

    def places(self) -> tuple[str, ...]:
        return ("whole",)

    def play(self, lead: Lead) -> None:
        chance = self.chance
        self.crm.add(chance.randint(0, 90))
        self.restless = chance.choice((0, 0, 0.1))
        for run in range(2):
            self._run(lead, f"run{run}")
            for _ in range(chance.randint(0, 9)):
                self.crm.unrest(chance)
            self.crm.pass_time(chance.randint(0, 100))

    def _run(self, lead: Lead, run_id: str) -> None:
        task = EspoToObjectStorageOperator(
            task_id="extract",
            entity_type="Lead",
            path=self.place("whole"),
            select=SELECT,
            page_size=self.chance.randint(3, 20),
            parts=self.chance.choice((None, 1, 3)),
            overwrite=True,
            **self.form,
        )
        before, self.switches = self.crm.rows(), 0
        result = lead(task, run_id=run_id)
        self.inspect()
        after = self.crm.rows()
        found = self.found("whole")
        assert self.switches == 1, f"the dataset was replaced {self.switches} times"
        check_rows(found, before, after)
        assert result["records"] == len(found.rows)
        assert set(self.files("whole")) == datasets.named(found.manifest), "something is left over"


def check_rows(found: datasets.Found, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Compare a dataset with what was in the CRM before and after."""
    ids = found.ids
    assert len(set(ids)) == len(ids), "a record is there twice"
    assert before.keys() & after.keys() <= set(ids), "a record is lost"
    assert all(one in before or one in after or one > max(before, default="") for one in ids)
    rows = {row["id"]: row for row in found.rows}
    for record_id, row in rows.items():
        if record_id in before and before[record_id] == after.get(record_id):
            assert same(row, before[record_id]), f"{record_id} has other values"


def same(row: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a row has a record's values."""
    moment = row["modifiedAt"]
    if not isinstance(moment, str):
        # Of a Parquet file.
        moment = moment.strftime("%Y-%m-%d %H:%M:%S")
    values = (row["lastName"], row["accountName"], moment[:19].replace("T", " "))
    return values == (record["lastName"], record["accountName"], record["modifiedAt"])
