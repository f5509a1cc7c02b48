"""Records come into files, whole or not at all, whatever becomes of the tries."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import jsonschema
import pytest
from airflow.sdk.io import attach

from airflow_provider_espo.client.dataset.folder import NewFile
from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoStorageError, EspoUnknownNameError
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.where import equals
from tests.unit.airflows import AirflowSkipException
from tests.unit.crm import refusal
from tests.unit.running import DAG_RUN_STARTED
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.running import Runs, dataset, files_in, ids_in

SELECT = ["name", "status", "createdAt"]


def leads(crm: SandboxCrm, count: int, **values: Any) -> list[str]:
    made = [crm.asker.create("Lead", lastName=f"Lead {number}", **values)["id"] for number in range(count)]
    return sorted(made)


def extraction(folder: Path | str, **given: Any) -> EspoToObjectStorageOperator:
    arguments: dict[str, Any] = {
        "entity_type": "Lead",
        "select": SELECT,
        "page_size": 4,
        "parts": 3,
        "path": str(folder),
    }
    return EspoToObjectStorageOperator(task_id="extract", **(arguments | given))


# --- what arrives


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_every_record_arrives_once_in_order(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, file_format: str, compression: str | None
) -> None:
    made = leads(sandbox_crm, 23)
    result = runs(extraction(tmp_path, file_format=file_format, compression=compression, records_per_file=4))
    assert ids_in(tmp_path) == made
    assert (result["records"], result["deleted"], result["watermark"], result["action"]) == (23, 0, None, "written")
    assert result["path"] == str(tmp_path)
    manifest = json.loads(Path(result["manifest"]).read_text(encoding="utf-8"))
    assert len(manifest["files"]) == result["files"] == 6
    assert sum(one["bytes"] for one in manifest["files"]) == result["bytes"]
    assert [one["name"] for one in manifest["columns"]] == ["id", *SELECT]
    assert sum(part["records"] for part in manifest["parts"]) == 23


def test_only_what_matches_arrives(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    leads(sandbox_crm, 5)
    dead = leads(sandbox_crm, 3, status="Dead")
    runs(extraction(tmp_path, where=[equals("status", "{{ params.status }}")]), params={"status": "Dead"})
    assert ids_in(tmp_path) == dead


def test_numbers_may_come_from_templates(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 9)
    task = extraction(tmp_path, parts="{{ params.parts }}", page_size="{{ params.size }}")
    runs(task, params={"parts": 2, "size": "3"})
    assert ids_in(tmp_path) == made
    manifest = json.loads((tmp_path / "_manifest.json").read_text(encoding="utf-8"))
    assert [part["records"] for part in manifest["parts"]] == [4, 5]


def test_without_select_what_the_entity_type_holds_arrives(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    (lead,) = leads(sandbox_crm, 1, emailAddress="ada@example.com")
    runs(extraction(tmp_path, select=None))
    (row,) = dataset(tmp_path).rows()
    assert (row["id"], row["emailAddress"], row["status"]) == (lead, "ada@example.com", "New")
    assert "createdByName" not in row


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_lists_of_ids_and_of_addresses_arrive_when_they_are_asked_for(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, file_format: str
) -> None:
    team = sandbox_crm.asker.as_user("admin").create("Team", name="Sales")["id"]
    leads(sandbox_crm, 2, emailAddress="ada@example.com", teamsIds=[team])
    runs(extraction(tmp_path, select=["teamsIds", "emailAddressData"], file_format=file_format))
    rows = list(dataset(tmp_path).rows())
    assert [row["emailAddressData"][0]["emailAddress"] for row in rows] == ["ada@example.com"] * 2
    assert [row["teamsIds"] for row in rows] == [[team]] * 2


def test_what_nobody_selected_is_in_ndjson_alone_and_fits_the_manifests_schema(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 2, emailAddress="ada@example.com")
    for file_format in ("ndjson", "csv", "parquet"):
        folder = tmp_path / file_format
        runs(extraction(folder, select=["name"], file_format=file_format))
        rows = list(dataset(folder).rows())
        schema = json.loads((folder / "_manifest.json").read_text(encoding="utf-8"))["json_schema"]
        assert set(schema["properties"]) == {"id", "name"}
        for row in rows:
            jsonschema.validate(row, schema)
            assert ("createdById" in row) == (file_format == "ndjson")


def test_no_records_give_an_empty_dataset(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    result = runs(extraction(tmp_path))
    assert (result["records"], result["files"]) == (0, 0)
    assert list(dataset(tmp_path).rows()) == []


def test_an_empty_dataset_may_end_the_task_as_skipped(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(AirflowSkipException):
        runs(extraction(tmp_path, skip_if_empty=True))
    assert list(dataset(tmp_path).rows()) == []
    leads(sandbox_crm, 1)
    assert runs(extraction(tmp_path / "next", skip_if_empty=True))["records"] == 1


def test_any_object_store_takes_the_files(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 9)
    store = fsspec.filesystem("memory")
    attach("memory", fs=store)
    place = f"/{tmp_path.name}/leads"
    result = runs(extraction(f"memory:/{place}", records_per_file=2))
    names = sorted(one.rsplit("/", 1)[-1] for one in store.ls(place, detail=False))
    assert "_manifest.json" in names
    assert len(names) == result["files"] + 1
    rows = [json.loads(line) for name in names if name[0] != "_" for line in store.cat(f"{place}/{name}").splitlines()]
    assert [row["id"] for row in rows] == made
    store.rm(f"/{tmp_path.name}", recursive=True)


# --- tries


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


# --- what is there already


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


# --- bad input, before data move


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"file_format": "xlsx"}, "file format"),
        ({"compression": "zip"}, "compression"),
        ({"records_per_file": 0}, "records_per_file"),
        ({"parts": 0}, "parts"),
        ({"parts": 1000}, "parts"),
        ({"page_size": 1000}, "page_size"),
        ({"path": " "}, "path"),
        ({"deleted": "maybe"}, "deleted"),
        ({"deleted": "detect"}, "nobody|none"),
        ({"schema_drift": "ignore"}, "schema_drift"),
        ({"incremental_by": "status"}, "incremental_by"),
        ({"incremental_by": "number"}, "no number"),
        ({"incremental_by": "modifiedAt", "lag": -1}, "lag"),
        ({"start": "2026-01-01"}, "incremental_by"),
        ({"incremental_by": "createdAt", "start": "None"}, "start"),
        ({"incremental_by": "createdAt", "start": "2026-01-02", "end": "2026-01-01"}, "behind"),
        ({"where": [{"type": "equals"}]}, "where"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_bad_input_is_refused_before_a_page_is_read(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    leads(sandbox_crm, 1)
    with pytest.raises(EspoInputError, match=says):
        runs(extraction(tmp_path, **wrong))
    assert files_in(tmp_path) == {}
    # At most it was counted.
    assert not [one for one in sandbox_crm.calls("GET", "Lead") if one.search.get("maxSize", 0) > 1]


@pytest.mark.parametrize("wrong", [{"entity_type": "Leads"}, {"select": ["nmae"]}])
def test_names_that_the_server_does_not_have_are_refused(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(EspoUnknownNameError):
        runs(extraction(tmp_path, **wrong))
    assert files_in(tmp_path) == {}


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


def test_the_log_and_the_result_hold_no_values(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leads(sandbox_crm, 3, emailAddress="ada@example.com")
    result = runs(extraction(tmp_path, select=None, where=[equals("emailAddress", "ada@example.com")]))
    assert result["records"] == 3
    assert "ada@example.com" not in capsys.readouterr().out + json.dumps(result)
    assert "ada@example.com" not in Path(result["manifest"]).read_text(encoding="utf-8")
