"""What a folder holds is replaced by what is asked to be replaced, and by a whole dataset only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_espo.client.errors import EspoInputError
from tests.unit.running import DAG_RUN_STARTED
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import leads
from tests.unit.transfers.extracting import extraction
from tests.unit.transfers.running import Runs, files_in, ids_in


def test_another_runs_dataset_is_not_replaced_unless_that_is_said(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 3)
    runs(extraction(tmp_path), "one")
    before = files_in(tmp_path)
    with pytest.raises(EspoInputError, match="another run") as refused:
        runs(extraction(tmp_path), "two")
    assert "overwrite" in str(refused.value)
    assert files_in(tmp_path) == before
    made = leads(sandbox_crm, 2)
    runs(extraction(tmp_path, overwrite=True), "two")
    assert set(made) < set(ids_in(tmp_path))
    assert not set(before) & set(files_in(tmp_path)) - {"_manifest.json"}


def test_until_the_new_manifest_is_there_the_old_dataset_stands(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    old = leads(sandbox_crm, 8)
    runs(extraction(tmp_path), "one")
    leads(sandbox_crm, 8)
    for number in range(1, 8):
        sandbox_crm.kill_at(number, carried_out=True)
        with pytest.raises(Killed):
            runs(extraction(tmp_path, overwrite=True, records_per_file=1), f"dying {number}")
        sandbox_crm.live()
        assert ids_in(tmp_path) == old


def test_what_dead_runs_left_is_cleaned_up_and_files_of_others_stay(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 8)
    tmp_path.joinpath("notes.txt").write_text("mine")
    sandbox_crm.kill_at(4, carried_out=True)
    with pytest.raises(Killed):
        runs(extraction(tmp_path, records_per_file=1, parts=1, page_size=1), "dying")
    sandbox_crm.live()
    left = {name for name in files_in(tmp_path) if name.startswith("Lead-")}
    assert left
    runs(extraction(tmp_path), "next")
    assert not left & set(files_in(tmp_path))
    assert tmp_path.joinpath("notes.txt").read_text() == "mine"


def test_files_that_readers_would_take_for_the_datasets_are_refused(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    tmp_path.joinpath("old.csv").write_text("id\n")
    with pytest.raises(EspoInputError, match=r"old\.csv"):
        runs(extraction(tmp_path))
    runs(extraction(tmp_path, overwrite=True))
    assert tmp_path.joinpath("old.csv").exists()


def test_a_dataset_of_another_entity_type_is_never_replaced(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    runs(extraction(tmp_path, entity_type="Account", select=["name"]), "one")
    with pytest.raises(EspoInputError, match="Account"):
        runs(extraction(tmp_path, overwrite=True), "two")


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 1}'])
def test_a_broken_manifest_is_replaced_when_that_is_said(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, content: bytes
) -> None:
    made = leads(sandbox_crm, 3)
    runs(extraction(tmp_path), "one")
    old = set(files_in(tmp_path)) - {"_manifest.json"}
    tmp_path.joinpath("_manifest.json").write_bytes(content)
    tmp_path.joinpath("Account-0123456789ab-00000-0000.ndjson").write_text("of others")
    with pytest.raises(EspoInputError, match="overwrite=True") as refused:
        runs(extraction(tmp_path), "two")
    assert str(tmp_path / "_manifest.json") in str(refused.value)
    runs(extraction(tmp_path, overwrite=True), "two")
    assert ids_in(tmp_path) == made
    assert not old & set(files_in(tmp_path))
    assert tmp_path.joinpath("Account-0123456789ab-00000-0000.ndjson").exists()


def test_somebody_elses_manifest_is_never_replaced(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    tmp_path.joinpath("_manifest.json").write_text('{"entries": []}')
    with pytest.raises(EspoInputError, match="another folder"):
        runs(extraction(tmp_path, overwrite=True))
    assert files_in(tmp_path) == {"_manifest.json": b'{"entries": []}'}


def test_a_cleared_task_extracts_anew(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    runs(extraction(tmp_path, overwrite=True))
    made = leads(sandbox_crm, 2)
    assert runs(extraction(tmp_path, overwrite=True), clears=1)["action"] == "written"
    assert ids_in(tmp_path) == made


def test_a_run_that_was_deleted_and_made_again_extracts_anew(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    runs(extraction(tmp_path, overwrite=True))
    before = files_in(tmp_path)
    made = leads(sandbox_crm, 2)
    again = extraction(tmp_path, overwrite=True)
    assert runs(again, began=DAG_RUN_STARTED + timedelta(days=1))["action"] == "written"
    assert ids_in(tmp_path) == made
    assert not set(before) & set(files_in(tmp_path)) - {"_manifest.json"}


def test_columns_that_drifted_are_refused_or_told_of(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = leads(sandbox_crm, 1)
    runs(extraction(tmp_path), "one")
    before = files_in(tmp_path)
    changed = {"overwrite": True, "select": ["name", "source"]}
    with pytest.raises(EspoInputError, match=r"new source; gone (status, createdAt|createdAt, status)"):
        runs(extraction(tmp_path, **changed), "two")
    assert files_in(tmp_path) == before
    runs(extraction(tmp_path, schema_drift="warn", **changed), "two")
    assert "new source" in capsys.readouterr().out
    assert ids_in(tmp_path) == made
