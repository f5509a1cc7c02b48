"""Bulk writes on the sandbox: what is in the CRM afterwards, and what the files and the result say."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_espo.client.errors import EspoInputError, EspoShortfallError, EspoUnknownNameError
from tests.unit import running
from tests.unit.bulk_crm import actions, add, leads, lines, there, told, write, writes
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm

BY_EMAIL = {"match_by": ["emailAddress"]}


def emails(crm: SandboxCrm) -> list[str]:
    return [email for (email,) in there(crm, "emailAddress")]


# --- operations and routes


@pytest.mark.parametrize("route", ["auto", "records", "import"])
def test_an_upsert_creates_changes_and_leaves_alone(sandbox_crm: SandboxCrm, tmp_path: Path, route: str) -> None:
    add(sandbox_crm, leads(120))
    rows = [*leads(60), *leads(60, 60, status="Assigned"), *leads(330, 120)]
    result = run_task(write(operation="upsert", rows=rows, results_path=str(tmp_path), route=route, **BY_EMAIL))
    assert actions(result) == {"created": 330, "updated": 60, "unchanged": 60}
    assert result["route"] == ("import" if route == "auto" else route)
    routes = json.loads((tmp_path / "results.json").read_text())["routes"]
    assert routes == ({"records": 450} if route == "records" else {"import": 330, "records": 120})
    wanted = [(row["emailAddress"], row["lastName"], row.get("status", "New")) for row in rows]
    assert there(sandbox_crm, "emailAddress", "lastName", "status") == sorted(wanted)
    said = told(tmp_path)
    assert [line["index"] for line in said] == list(range(450))
    assert [line["action"] for line in said] == ["unchanged"] * 60 + ["updated"] * 60 + ["created"] * 330
    assert all(
        sandbox_crm.asker.read("Lead", said[i]["id"])["emailAddress"] == rows[i]["emailAddress"] for i in (0, 449)
    )


def test_a_create_goes_by_import_where_it_may_and_tells_each_rows_record(
    sandbox_crm: SandboxCrm, tmp_path: Path
) -> None:
    rows = leads(700)
    task = write(operation="create", rows=rows, on_duplicate="force", results_path=str(tmp_path), **BY_EMAIL)
    result = run_task(task)
    # The second chunk has 200 rows, which is enough.
    assert (result["created"], result["route"]) == (700, "import")
    assert writes(sandbox_crm)["POST Lead"] == 0
    ids = dict(there(sandbox_crm, "emailAddress", "id"))
    assert [ids[row["emailAddress"]] for row in rows] == [line["id"] for line in told(tmp_path)]


def test_a_create_asks_for_duplicates_unless_told_otherwise(sandbox_crm: SandboxCrm) -> None:
    add(sandbox_crm, leads(1))
    result = run_task(write(operation="create", rows=leads(300), max_failures=1))
    assert actions(result) == {"created": 299, "failed": 1}
    assert result["route"] == "records"
    skipping = write(operation="create", rows=leads(3), on_duplicate="skip", **BY_EMAIL)
    assert actions(run_task(skipping)) == {"skipped": 3}


def test_rows_that_an_import_would_take_otherwise_are_written_by_themselves(sandbox_crm: SandboxCrm) -> None:
    rows = leads(300)
    rows[3]["lastName"] = "Null"
    rows[4] = {"emailAddress": "l4@example.com", "lastName": "L4", "teamsIds": []}
    rows[5]["firstName"] = ""
    result = run_task(write(operation="upsert", rows=[*rows, rows[7], rows[8]], **BY_EMAIL))
    assert actions(result) == {"created": 300, "unchanged": 2}
    assert result["route"] == "import"
    # Those three, and the two keys that come twice.
    assert writes(sandbox_crm)["POST Lead"] == 5
    assert ("Null",) in there(sandbox_crm, "lastName")


def test_a_row_that_an_import_refuses_fails_with_the_reason(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    rows = leads(250, status="New")
    rows[17]["status"] = "s3cret"
    result = run_task(write(operation="upsert", rows=rows, max_failures=1, results_path=str(tmp_path), **BY_EMAIL))
    assert actions(result) == {"created": 249, "failed": 1}
    assert result["route"] == "import"
    (failed,) = lines(tmp_path / "failed-00000.ndjson")
    assert (failed["index"], failed["row"]) == (17, rows[17])
    assert "status" in failed["error"]
    assert "s3cret" not in failed["error"]


@pytest.mark.parametrize("route", ["auto", "records"])
def test_the_same_values_go_by_mass_action_to_those_that_lack_them(
    sandbox_crm: SandboxCrm, tmp_path: Path, route: str
) -> None:
    ids = add(sandbox_crm, leads(150))
    for one in ids[:10]:
        sandbox_crm.asker.ok("PUT", f"Lead/{one}", {"status": "Dead"})
    rows = [{"id": one, "status": "Dead"} for one in [*ids, ids[0], "0123456789abcdef0"]]
    task = write(operation="update", rows=rows, max_failures=1, results_path=str(tmp_path), route=route)
    result = run_task(task)
    assert actions(result) == {"updated": 140, "unchanged": 11, "failed": 1}
    assert {status for (status,) in there(sandbox_crm, "status")} == {"Dead"}
    assert result["route"] == ("mass_action" if route == "auto" else "records")
    assert writes(sandbox_crm) == ({"POST MassAction": 2} if route == "auto" else {"PUT Lead": 140})
    assert lines(tmp_path / "failed-00000.ndjson")[0]["index"] == 151


def test_different_values_are_sent_where_they_differ(sandbox_crm: SandboxCrm) -> None:
    ids = add(sandbox_crm, leads(60))
    rows = [{"id": one, "accountName": f"A{number}" if number % 3 else None} for number, one in enumerate(ids)]
    result = run_task(write(operation="update", rows=rows))
    assert actions(result) == {"updated": 40, "unchanged": 20}
    assert result["route"] == "records"
    # The records are looked at by the dozen.
    assert len(sandbox_crm.calls("GET", "Lead")) < 20
    assert not [one for one in sandbox_crm.calls("GET") if one.path.startswith("Lead/")]


def test_an_update_may_find_records_by_any_key(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    add(sandbox_crm, leads(3))
    rows = [{"emailAddress": f"L{number}@example.com", "opportunityAmount": number} for number in range(1, 5)]
    task = write(operation="update", rows=rows, max_failures=2, results_path=str(tmp_path), **BY_EMAIL)
    assert actions(run_task(task)) == {"updated": 2, "failed": 2}
    amounts = there(sandbox_crm, "emailAddress", "opportunityAmount")
    assert amounts == [("l0@example.com", None), ("l1@example.com", 1), ("l2@example.com", 2)]
    assert "No record of Lead has this emailAddress" in lines(tmp_path / "failed-00000.ndjson")[0]["error"]


def test_an_import_updates_when_asked_to(sandbox_crm: SandboxCrm) -> None:
    add(sandbox_crm, leads(30))
    rows = leads(30, accountName="Acme")
    result = run_task(write(operation="update", rows=rows, route="import", **BY_EMAIL))
    assert (result["updated"], result["route"]) == (30, "import")
    assert {name for (name,) in there(sandbox_crm, "accountName")} == {"Acme"}
    assert writes(sandbox_crm)["PUT Lead"] == 0
    again = run_task(write(operation="update", rows=rows, route="import", **BY_EMAIL))
    assert actions(again) == {"unchanged": 30}


@pytest.mark.parametrize("route", ["auto", "records"])
def test_a_delete_tells_what_was_not_there(sandbox_crm: SandboxCrm, tmp_path: Path, route: str) -> None:
    ids = add(sandbox_crm, leads(130))
    rows = [{"id": one, "lastName": "ignored"} for one in [*ids[:125], "0123456789abcdef0", ids[0]]]
    result = run_task(write(operation="delete", rows=rows, results_path=str(tmp_path), route=route))
    assert actions(result) == {"deleted": 125, "missing": 2}
    assert len(emails(sandbox_crm)) == 5
    assert [line["index"] for line in lines(tmp_path / "skipped-00000.ndjson")] == [125, 126]
    assert result["route"] == ("mass_action" if route == "auto" else "records")


def test_a_delete_may_find_records_by_any_key(sandbox_crm: SandboxCrm) -> None:
    add(sandbox_crm, leads(4))
    rows = [{"emailAddress": "L1@example.com"}, {"emailAddress": "nobody@example.com"}]
    assert actions(run_task(write(operation="delete", rows=rows, **BY_EMAIL))) == {"deleted": 1, "missing": 1}
    assert emails(sandbox_crm) == ["l0@example.com", "l2@example.com", "l3@example.com"]


def test_what_a_mass_action_skips_is_tried_by_itself_and_tells_why(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    ids = add(sandbox_crm, leads(30))
    rows = [{"id": one, "status": "s3cret"} for one in ids]
    task = write(operation="update", rows=rows, max_failures=None, results_path=str(tmp_path))
    result = run_task(task)
    # A mass action keeps to itself that the value breaks a rule.
    assert writes(sandbox_crm) == {"POST MassAction": 1, "PUT Lead": 30}
    assert result["route"] == "records"
    assert actions(result) == {"failed": 30}
    assert "status" in lines(tmp_path / "failed-00000.ndjson")[0]["error"]


def test_without_the_right_to_import_records_are_written_one_by_one(sandbox_crm: SandboxCrm, connect: Any) -> None:
    connect(password=sandbox_crm.credentials["limited_api_key"])
    result = run_task(write(operation="upsert", rows=leads(250), max_failures=None, **BY_EMAIL))
    assert result["route"] == "records"
    assert not sandbox_crm.calls("POST", "Import/file")


# --- sources


def test_files_of_each_kind_give_the_same(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    rows = leads(3, opportunityAmount=1.5, doNotCall=True)
    paths = {name: tmp_path / name for name in ("a.ndjson", "a.ndjson.gz", "a.csv", "a.csv.gz")}
    ndjson = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with paths["a.csv"].open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    paths["a.ndjson"].write_bytes(ndjson)
    paths["a.ndjson.gz"].write_bytes(gzip.compress(ndjson))
    paths["a.csv.gz"].write_bytes(gzip.compress(paths["a.csv"].read_bytes()))
    assert actions(run_task(write(operation="upsert", path=str(paths.pop("a.csv.gz")), **BY_EMAIL))) == {"created": 3}
    for path in paths.values():
        assert actions(run_task(write(operation="upsert", path=str(path), **BY_EMAIL))) == {"unchanged": 3}
    (tmp_path / "folder").mkdir()
    for number, row in enumerate(rows):
        (tmp_path / "folder" / f"{number}.ndjson").write_text(json.dumps(row) + "\n")
    in_folder = write(operation="upsert", path=f"file://{tmp_path}/folder", **BY_EMAIL)
    assert actions(run_task(in_folder)) == {"unchanged": 3}
    as_path = write(operation="upsert", path=ObjectStoragePath(f"file://{tmp_path}/a.ndjson"), **BY_EMAIL)
    assert actions(run_task(as_path)) == {"unchanged": 3}


def test_an_empty_cell_sets_nothing_or_no_value_as_asked_for(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    add(sandbox_crm, leads(1, accountName="Acme"))
    path = tmp_path / "a.csv"
    path.write_text("mail,accountName\nl0@example.com,\n")
    given: Any = {"operation": "update", "path": str(path), "columns": {"mail": "emailAddress"}, **BY_EMAIL}
    assert actions(run_task(write(**given))) == {"unchanged": 1}
    assert actions(run_task(write(**given, empty_cells="clear"))) == {"updated": 1}
    assert there(sandbox_crm, "accountName") == [(None,)]


def test_failed_rows_can_be_mended_and_given_again(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    rows = leads(4)
    rows[1]["status"] = "Odd"
    run_task(write(operation="upsert", rows=rows, max_failures=1, results_path=str(tmp_path / "one"), **BY_EMAIL))
    failed = tmp_path / "one" / "failed-00000.ndjson"
    failed.write_text(failed.read_text().replace("Odd", "New"))
    again = run_task(write(operation="upsert", path=str(failed), **BY_EMAIL))
    assert actions(again) == {"created": 1}
    assert len(emails(sandbox_crm)) == 4


def test_no_rows_are_no_work(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    result = run_task(write(operation="upsert", rows=[], results_path=str(tmp_path), **BY_EMAIL))
    assert actions(result) == {}
    assert writes(sandbox_crm) == {}
    assert json.loads((tmp_path / "results.json").read_text())["complete"] is True


# --- what is refused before anything is written


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"operation": "merge", "rows": []}, "operation"),
        ({"operation": "upsert", "rows": []}, "match_by"),
        ({"operation": "upsert", "rows": [], "match_by": []}, "match_by"),
        ({"operation": "create", "rows": [], "on_duplicate": "skip"}, "match_by"),
        ({"operation": "create", "rows": [], "on_duplicate": "merge"}, "on_duplicate"),
        ({"operation": "delete", "rows": [], "on_duplicate": "force"}, "on_duplicate"),
        ({"operation": "delete"}, "nothing to write from"),
        ({"operation": "delete", "rows": [], "sql": "select 1"}, "rows and sql"),
        ({"operation": "delete", "rows": "[]"}, "rows"),
        ({"operation": "delete", "rows": [], "route": "fast"}, "route"),
        ({"operation": "delete", "rows": [], "chunk_size": 0}, "chunk_size"),
        ({"operation": "delete", "rows": [], "max_failures": 1.5}, "max_failures"),
        ({"operation": "delete", "rows": [], "columns": "id"}, "columns"),
        ({"operation": "delete", "path": "/nowhere/at/all.ndjson"}, "is not there"),
        ({"operation": "delete", "path": "/nowhere/at/all.doc"}, "is not there"),
        ({"operation": "delete", "path": __file__}, "format"),
        ({"operation": "delete", "path": "a.csv", "file_format": "doc"}, "format"),
        ({"operation": "delete", "path": "a.csv", "empty_cells": "drop"}, "empty_cells"),
        ({"operation": "delete", "path": ""}, "path is empty"),
        ({"operation": "delete", "sql": "select 1"}, "sql_conn_id"),
        ({"operation": "create", "rows": leads(1), "route": "import"}, "duplicates"),
        ({"operation": "delete", "rows": [{"id": "a"}], "route": "import"}, "deletes nothing"),
        ({"operation": "upsert", "rows": leads(2), "route": "mass_action", **BY_EMAIL}, "creates nothing"),
        ({"operation": "update", "rows": [{"id": "a"}, {"id": "b"}]}, "nothing to update"),
        ({"operation": "update", "rows": leads(2)}, "has id"),
        ({"operation": "upsert", "rows": [{"lastName": "Lee"}], **BY_EMAIL}, "has emailAddress"),
        ({"operation": "upsert", "rows": leads(2), "columns": {"mail": "emailAddress"}, **BY_EMAIL}, "mail"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    sandbox_crm: SandboxCrm, arguments: dict[str, Any], word: str
) -> None:
    with pytest.raises(EspoInputError, match=word):
        run_task(write(**arguments))
    assert writes(sandbox_crm) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        {"operation": "upsert", "rows": leads(1, nope=1), **BY_EMAIL},
        {"operation": "create", "rows": leads(1, createdAt="2026-01-01")},
        {"operation": "update", "rows": [{"number": 1, "status": "New"}], "match_by": ["number"]},
        {"operation": "delete", "rows": [{"nope": 1}], "match_by": ["nope"]},
    ],
)
def test_a_column_that_is_no_attribute_is_refused_before_anything_is_written(
    sandbox_crm: SandboxCrm, arguments: dict[str, Any]
) -> None:
    with pytest.raises(EspoUnknownNameError):
        run_task(write(**arguments))
    assert writes(sandbox_crm) == {}


def test_an_unknown_attribute_in_a_later_chunk_is_that_rows_failure(sandbox_crm: SandboxCrm) -> None:
    rows = leads(5)
    rows[4]["nope"] = 1
    result = run_task(write(operation="upsert", rows=rows, chunk_size=2, max_failures=1, **BY_EMAIL))
    assert actions(result) == {"created": 4, "failed": 1}


def test_a_row_without_the_key_fails_by_itself(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    rows = [*leads(2), {"lastName": "s3cret"}]
    result = run_task(write(operation="upsert", rows=rows, max_failures=1, results_path=str(tmp_path), **BY_EMAIL))
    assert actions(result) == {"created": 2, "failed": 1}
    error = lines(tmp_path / "failed-00000.ndjson")[0]["error"]
    assert "emailAddress" in error
    assert "s3cret" not in error


# --- failures


def test_too_many_failures_stop_after_their_chunk_and_fail(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    rows = leads(12)
    for index in (1, 3, 5):
        rows[index]["status"] = "s3cret"
    task = write(operation="upsert", rows=rows, chunk_size=2, max_failures=1, results_path=str(tmp_path), **BY_EMAIL)
    with pytest.raises(EspoShortfallError, match="2 of 4 rows failed") as caught:
        run_task(task)
    assert "s3cret" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert emails(sandbox_crm) == ["l0@example.com", "l2@example.com"]
    assert len(told(tmp_path)) == 4
    assert json.loads((tmp_path / "results.json").read_text())["failed"] == 2


def test_a_share_of_failures_is_judged_at_the_end(sandbox_crm: SandboxCrm) -> None:
    rows = leads(12)
    for index in (0, 1, 2):
        rows[index]["status"] = "Odd"
    given: Any = {"operation": "upsert", "rows": rows, "chunk_size": 2, **BY_EMAIL}
    assert actions(run_task(write(**given, max_failures=0.25))) == {"created": 9, "failed": 3}
    with pytest.raises(EspoShortfallError, match="3 of 12 rows failed"):
        run_task(write(**given, max_failures="0.2"))


# --- result folder


def test_a_folder_with_the_results_of_another_run_is_refused_or_cleared(
    sandbox_crm: SandboxCrm, tmp_path: Path
) -> None:
    given: Any = {"operation": "upsert", "results_path": str(tmp_path), **BY_EMAIL}
    run_task(write(**given, rows=leads(5), chunk_size=2))
    other: Any = {**given, "task_id": "other", "rows": leads(1)}
    with pytest.raises(EspoInputError, match="another run"):
        run_task(write(**other))
    run_task(write(**other, overwrite=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_progress.json", "ok-00000.ndjson", "results.json"]


def test_a_run_that_was_deleted_and_made_again_writes_anew(
    sandbox_crm: SandboxCrm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write(operation="create", on_duplicate="force", rows=leads(3), results_path=str(tmp_path))
    assert actions(run_task(task)) == {"created": 3}
    assert actions(run_task(task)) == {"created": 3}
    assert len(sandbox_crm.asker.find("Lead", where=[{"type": "isNotNull", "attribute": "id"}])["list"]) == 3
    monkeypatch.setattr(running, "DAG_RUN_STARTED", running.DAG_RUN_STARTED + timedelta(days=1))
    assert actions(run_task(task)) == {"created": 3}
    assert len(sandbox_crm.asker.find("Lead", where=[{"type": "isNotNull", "attribute": "id"}])["list"]) == 6


def test_results_go_to_any_object_store(sandbox_crm: SandboxCrm) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    path = ObjectStoragePath("memory://bulk/results")
    result = run_task(write(operation="upsert", rows=leads(3), results_path=path, chunk_size=2, **BY_EMAIL))
    # With a slash more on Airflow 3.1.
    assert result["results_path"] == str(path)
    names = {one.name for one in path.iterdir()}
    assert names == {"_progress.json", "ok-00000.ndjson", "ok-00001.ndjson", "results.json"}


def test_neither_log_nor_result_holds_values(
    sandbox_crm: SandboxCrm, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    rows = leads(250, description="s3cret")
    rows[3]["status"] = "s3cret"
    result = run_task(write(operation="upsert", rows=rows, max_failures=9, **BY_EMAIL))
    captured = capfd.readouterr()
    said = captured.out + captured.err + caplog.text + json.dumps(result)
    assert "Row 3 failed" in said
    assert "s3cret" not in said
    assert "example.com" not in said
