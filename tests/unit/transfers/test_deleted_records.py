"""Records that are gone come as tombstones, and whoever loads all runs has what the CRM has."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.where import equals
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import change, delete, extraction, lead
from tests.unit.transfers.running import Runs, dataset, files_in


def test_records_that_are_gone_come_as_tombstones_once(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = [lead(sandbox_crm) for _ in range(12)]
    sandbox_crm.pass_time(10)
    task = {"deleted": "detect", "file_format": "csv"}
    assert runs(extraction(tmp_path / "1", **task), "1")["deleted"] == 0
    delete(sandbox_crm, made[3])
    delete(sandbox_crm, made[8])
    sandbox_crm.pass_time(10)
    result = runs(extraction(tmp_path / "2", **task), "2")
    assert (result["records"], result["deleted"]) == (0, 2)
    tombstones = list(dataset(tmp_path / "2").deleted())
    assert {row["id"] for row in tombstones} == {made[3], made[8]}
    assert {(row["deleted"], row["detectedAt"]) for row in tombstones} == {(True, "2026-03-01 06:00:20")}
    assert runs(extraction(tmp_path / "3", **task), "3")["deleted"] == 0


def test_a_record_that_no_longer_matches_is_gone_too(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    changed, stays = lead(sandbox_crm, status="New"), lead(sandbox_crm, status="New")
    sandbox_crm.pass_time(10)
    task = {"deleted": "detect", "where": [equals("status", "New")]}
    runs(extraction(tmp_path / "1", **task), "1")
    change(sandbox_crm, changed, status="Dead")
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "2", **task), "2")
    assert [row["id"] for row in dataset(tmp_path / "2").deleted()] == [changed]
    assert stays


def test_without_the_ids_of_the_last_run_nobody_guesses(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "1", watermark_key="key"), "1")
    with pytest.raises(EspoInputError, match="delete the watermark key"):
        runs(extraction(tmp_path / "2", watermark_key="key", deleted="detect"), "2")
    assert "_manifest.json" not in files_in(tmp_path / "2")


@pytest.mark.parametrize("seed", range(8))
def test_whoever_loads_all_runs_has_what_the_crm_has(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    same_folder = seed % 2 == 0
    loaded: dict[str, str] = {}
    delivered: set[tuple[str, str]] = set()

    def live(_sent: Any = None, often: float = 1.0) -> None:
        """What users do meanwhile."""
        alive = [row["id"] for row in sandbox_crm.asker.find("Lead", maxSize=200, select=["id"])["list"]]
        for _ in range(chance.randint(0, 3) if chance.random() < often else 0):
            what = chance.choice(("create", "change", "delete"))
            if what == "create" or not alive:
                alive.append(lead(sandbox_crm))
            elif what == "change":
                change(sandbox_crm, chance.choice(alive), status=chance.choice(("New", "Assigned", "Dead")))
            else:
                delete(sandbox_crm, alive.pop(chance.randrange(len(alive))))
            sandbox_crm.now += timedelta(seconds=chance.choice((0, 0, 1, 30)))

    def run(number: int) -> None:
        path = tmp_path / ("all" if same_folder else str(number))
        task = extraction(path, deleted="detect", overwrite=same_folder, parts=chance.randint(1, 3), page_size=4)
        for try_number in (1, 2, 3):
            if try_number < 3 and chance.random() < 0.5:
                sandbox_crm.kill_at(chance.randint(1, 15), carried_out=chance.random() < 0.5)
            try:
                runs(task, str(number), try_number=try_number)
                break
            except Killed:
                sandbox_crm.live()
        sandbox_crm.live()
        found = dataset(path)
        for row in found.rows():
            assert (row["id"], row["modifiedAt"]) not in delivered, "came twice as it was"
            delivered.add((row["id"], row["modifiedAt"]))
            loaded[row["id"]] = row["status"]
        for row in found.deleted():
            del loaded[row["id"]]

    for _ in range(10):
        lead(sandbox_crm)
    for number in range(6):
        sandbox_crm.before = lambda sent: live(often=0.2) if sent.path == "Lead" else None
        sandbox_crm.pass_time(chance.choice((1, 100, 5000)))
        run(number)
        sandbox_crm.live()
        live()
    sandbox_crm.pass_time(2)
    run(6)
    there = sandbox_crm.asker.find("Lead", maxSize=200, select=["status"])["list"]
    assert loaded == {row["id"]: row["status"] for row in there}


@pytest.mark.parametrize("dies_at", range(2, 9))
def test_a_retry_that_leaves_out_what_is_known_ends_with_the_files_of_a_clean_run(
    sandbox_crm: SandboxCrm, tmp_path: Path, dies_at: int
) -> None:
    made = sorted(lead(sandbox_crm) for _ in range(12))
    sandbox_crm.pass_time(10)
    task = {"deleted": "detect", "records_per_file": 1, "parts": 1}
    clean, tried = (Runs(), tmp_path / "clean"), (Runs(), tmp_path / "tried")
    for runs, folder in (clean, tried):
        runs(extraction(folder / "1", **task), "1")
    # All within the lag: of each page one record is new, and those behind it are left out.
    for changed in (made[0], made[5], made[10]):
        change(sandbox_crm, changed, status="Dead")
    sandbox_crm.pass_time(10)
    clean[0](extraction(clean[1] / "2", **task), "2")
    sandbox_crm.kill_at(dies_at, carried_out=True)
    with contextlib.suppress(Killed):
        tried[0](extraction(tried[1] / "2", **task), "2")
    sandbox_crm.live()
    tried[0](extraction(tried[1] / "2", **task), "2", try_number=2)
    assert files_in(tried[1] / "2") == files_in(clean[1] / "2")
