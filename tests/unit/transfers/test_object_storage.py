"""What matches comes into files, each record once; what cannot be is refused before data move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import jsonschema
import pytest
from airflow.sdk.io import attach

from airflow_provider_espo.client.errors import EspoInputError, EspoUnknownNameError
from airflow_provider_espo.where import equals
from tests.unit.airflows import AirflowSkipException
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.transfers.changes import leads
from tests.unit.transfers.extracting import SELECT, extraction
from tests.unit.transfers.running import Runs, dataset, files_in, ids_in


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


def test_the_log_and_the_result_hold_no_values(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leads(sandbox_crm, 3, emailAddress="ada@example.com")
    result = runs(extraction(tmp_path, select=None, where=[equals("emailAddress", "ada@example.com")]))
    assert result["records"] == 3
    assert "ada@example.com" not in capsys.readouterr().out + json.dumps(result)
    assert "ada@example.com" not in Path(result["manifest"]).read_text(encoding="utf-8")


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
