"""A dataset is whole or not there, whatever becomes of the tries, of the disk and of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.dataset.folder import NewFile
from airflow_provider_espo.client.errors import EspoError, EspoStorageError
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from tests.unit.crm import refusal
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import leads
from tests.unit.transfers.extracting import extraction
from tests.unit.transfers.running import Runs, dataset, files_in, ids_in


def test_a_retry_goes_on_behind_what_is_stored(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 30)
    task = extraction(tmp_path / "killed", parts=1, records_per_file=4)
    clean = tmp_path / "clean"
    runs(extraction(clean, parts=1, records_per_file=4))
    sandbox_crm.kill_at(6, carried_out=True)
    with pytest.raises(Killed):
        runs(task)
    sandbox_crm.live()
    before = len(sandbox_crm.calls("GET", "Lead"))
    runs(task, try_number=2)
    assert ids_in(tmp_path / "killed") == made
    # Four of eight pages were stored.
    assert len(sandbox_crm.calls("GET", "Lead")) - before == 4
    # Names tell the run, not the try.
    assert files_in(tmp_path / "killed") == files_in(clean)


def test_no_death_at_any_request_loses_or_doubles_a_record(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 12)
    for number in range(1, 12):
        path = tmp_path / str(number)
        task = extraction(path, records_per_file=3)
        sandbox_crm.kill_at(number, carried_out=bool(number % 2))
        try:
            runs(task)
        except Killed:
            assert "_manifest.json" not in files_in(path)
        sandbox_crm.live()
        runs(task, try_number=2)
        assert ids_in(path) == made
        assert {name for name in files_in(path) if name.startswith((".", "_"))} == {"_manifest.json"}


def test_a_try_that_died_after_the_manifest_is_taken_up(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads(sandbox_crm, 5)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_espo.client.dataset.names.clean_up", die)
        with pytest.raises(Killed):
            runs(extraction(tmp_path))
    before = len(sandbox_crm.calls("GET", "Lead"))
    assert runs(extraction(tmp_path), try_number=2)["action"] == "taken_up"
    assert len(sandbox_crm.calls("GET", "Lead")) == before
    assert not [name for name in files_in(tmp_path) if name.startswith("_progress")]


def test_what_an_earlier_try_stored_of_another_question_is_no_use(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    made = leads(sandbox_crm, 9)
    sandbox_crm.kill_at(4, carried_out=True)
    with pytest.raises(Killed):
        runs(extraction(tmp_path, parts=1, records_per_file=1))
    sandbox_crm.live()
    runs(extraction(tmp_path, parts=1, records_per_file=1, select=["name"]), try_number=2)
    assert ids_in(tmp_path) == made
    assert not any("status" in row for row in dataset(tmp_path).rows())


def test_when_a_part_fails_the_others_end_and_the_cause_is_raised(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 40)
    asked = 0

    def fail(sent: Any) -> None:
        nonlocal asked
        asked += sent.path == "Lead"
        if asked == 8:
            sandbox_crm.on("GET", "Lead", refusal(403, "Not now"))

    sandbox_crm.before = fail
    with pytest.raises(EspoError, match="Not now"):
        runs(extraction(tmp_path, page_size=1))
    assert asked < 20
    assert not [name for name in files_in(tmp_path) if name.startswith(".")]


def test_a_killed_task_ends_before_its_next_page(sandbox_crm: SandboxCrm, tmp_path: Path, runs: Runs) -> None:
    leads(sandbox_crm, 9)
    task = extraction(tmp_path, page_size=1)
    task.on_kill()
    with pytest.raises(EspoError, match="killed"):
        runs(task)
    assert "_manifest.json" not in files_in(tmp_path)


def test_a_full_disk_leaves_the_last_good_state_and_says_so(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = leads(sandbox_crm, 8)
    runs(extraction(tmp_path), "one")
    written = 0
    write = NewFile.write

    def full(self: NewFile, data: Any) -> int:
        nonlocal written
        written += len(data)
        if written > 500:
            raise EspoStorageError("No space left on device. What was complete before stays as it was")
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(NewFile, "write", full)
        with pytest.raises(EspoStorageError, match="stays as it was"):
            runs(extraction(tmp_path, overwrite=True), "two")
    assert ids_in(tmp_path) == old
    assert not [name for name in files_in(tmp_path) if name.startswith(".")]
    # And the retry goes on.
    assert runs(extraction(tmp_path, overwrite=True), "two", try_number=2)["records"] == 8


@pytest.mark.parametrize("lost", ["Lead-*", "_seen-*"])
def test_files_that_went_meanwhile_are_written_again_by_a_retry(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    old = leads(sandbox_crm, 3)
    runs(extraction(tmp_path), "one")
    made = leads(sandbox_crm, 9)
    sandbox_crm.pass_time(1)
    new = extraction(tmp_path, overwrite=True, records_per_file=2, incremental_by="createdAt")
    store = EspoToObjectStorageOperator.store

    def storing(self: EspoToObjectStorageOperator, *given: Any) -> None:
        before = set(tmp_path.glob(lost))
        store(self, *given)
        (set(tmp_path.glob(lost)) - before).pop().unlink()

    with monkeypatch.context() as patch:
        patch.setattr(EspoToObjectStorageOperator, "store", storing)
        with pytest.raises(EspoStorageError, match="removed or changed while it was at work") as told:
            runs(new, "two")
    assert str(tmp_path) in str(told.value)
    assert ids_in(tmp_path) == old
    runs(new, "two", try_number=2)
    assert ids_in(tmp_path) == sorted([*old, *made])
