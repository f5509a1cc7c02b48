"""File and job tasks on the sandbox, which answers as a real server was recorded to."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from airflow_provider_espo.exceptions import EspoForbiddenError, EspoInputError, EspoJobError
from airflow_provider_espo.operators.attachment import EspoDownloadAttachmentOperator, EspoUploadAttachmentOperator
from airflow_provider_espo.operators.job import EspoExportOperator, EspoImportOperator
from airflow_provider_espo.where import equals
from tests.unit.running import Store, TaskInstance, run_task
from tests.unit.sandbox_crm import NOW, Killed, SandboxCrm, run_deferrable

DATA = bytes(range(256)) * 40
WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
CARRIED_OUT = pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
STORES = pytest.mark.parametrize("stored", [True, False], ids=["store", "no store"])


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    """Our clock and the sandbox's tell the same time."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "offer.pdf"
    path.write_bytes(DATA)
    return path


def upload(path: Path, **given: Any) -> EspoUploadAttachmentOperator:
    arguments: dict[str, Any] = {"entity_type": "Document", "field": "file", "chunk_size": 3_000, "retries": 3}
    return EspoUploadAttachmentOperator(task_id="upload", path=str(path), **(arguments | given))


def export(path: Any, **given: Any) -> EspoExportOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "deferrable": False, "retries": 3}
    return EspoExportOperator(task_id="export", path=str(path), **(arguments | given))


def load(**given: Any) -> EspoImportOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "deferrable": False, "retries": 3}
    return EspoImportOperator(task_id="import", **(arguments | given))


def run(crm: SandboxCrm, task: Any, **given: Any) -> Any:
    with crm.waiting():
        return run_deferrable(task, **given) if getattr(task, "deferrable", False) else run_task(task, **given)


def killed_and_again(crm: SandboxCrm, task: Any, number: int, *, carried_out: bool, stored: bool) -> tuple[bool, Any]:
    """Kill the task at a request and run it again; return whether it was killed, and the result."""
    store = Store() if stored else None
    crm.kill_at(number, carried_out=carried_out)
    try:
        return False, run(crm, task, store=store, ti=TaskInstance(try_number=1, max_tries=3))
    except Killed:
        crm.live()
        return True, run(crm, task, store=store, ti=TaskInstance(try_number=2, max_tries=3))


def leads(crm: SandboxCrm, **wanted: Any) -> list[Any]:
    where = [equals(name, value) for name, value in wanted.items()]
    found: list[Any] = crm.asker.find("Lead", where=where, orderBy="id", maxSize=200)["list"]
    return found


# --- files


def test_a_file_goes_up_in_chunks_into_a_document_and_comes_back(
    sandbox_crm: SandboxCrm, file: Path, tmp_path: Path
) -> None:
    sent = run_task(upload(file))
    made = sandbox_crm.asker.create("Document", name="Offer", fileId=sent["attachment_id"], publishDate="2026-03-01")
    got = run_task(
        EspoDownloadAttachmentOperator(task_id="down", attachment_id=sent["attachment_id"], path=f"{tmp_path}/down/")
    )
    assert (tmp_path / "down" / "offer.pdf").read_bytes() == DATA
    assert sent["sha256"] == got["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert sandbox_crm.asker.read("Document", made["id"])["fileName"] == "offer.pdf"


def test_a_refused_type_is_told_with_what_the_field_takes(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(DATA)
    with pytest.raises(EspoForbiddenError, match=r"Not allowed file type\. Field 'file' takes \.pdf"):
        run_task(upload(path))


def test_files_are_put_beside_those_that_are_there(sandbox_crm: SandboxCrm, file: Path) -> None:
    case = sandbox_crm.asker.create("Case", name="Broken")["id"]
    ids = [
        run_task(upload(file, entity_type="Case", field="attachments", record_id=case, name=name))["attachment_id"]
        for name in ("1.pdf", "2.pdf")
    ]
    assert sandbox_crm.asker.read("Case", case)["attachmentsIds"] == ids


@STORES
@CARRIED_OUT
def test_an_upload_killed_at_any_request_and_tried_again_attaches_once(
    sandbox_crm: SandboxCrm, file: Path, carried_out: bool, stored: bool
) -> None:
    number, killed = 0, True
    while killed:
        number += 1
        case = sandbox_crm.asker.create("Case", name=f"Case {number}")["id"]
        task = upload(file, entity_type="Case", field="attachments", record_id=case)
        killed, result = killed_and_again(sandbox_crm, task, number, carried_out=carried_out, stored=stored)
        sandbox_crm.live()
        held = sandbox_crm.asker.read("Case", case)["attachmentsIds"]
        assert held == [result["attachment_id"]], f"killed at request {number}"
    assert number > 8


# --- export


@WAYS
def test_an_export_brings_the_records_in_the_order_of_the_columns(
    sandbox_crm: SandboxCrm, tmp_path: Path, deferrable: bool
) -> None:
    for name in ("Nowak", "Král, Jr."):
        sandbox_crm.asker.create("Lead", lastName=name, status="New")
    sandbox_crm.asker.create("Lead", lastName="Other", status="Dead")
    path = tmp_path / "leads.csv"
    task = export(path, where=[equals("status", "New")], select=["status", "lastName"], deferrable=deferrable)
    result = run(sandbox_crm, task)
    assert list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")))) == [
        ["status", "lastName"],
        ["New", "Nowak"],
        ["New", "Král, Jr."],
    ]
    assert result["size"] == path.stat().st_size


def test_an_export_by_ids_to_a_spreadsheet(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    ids = [sandbox_crm.asker.create("Lead", lastName=name)["id"] for name in ("Nowak", "Kral", "Other")]
    run(sandbox_crm, export(f"{tmp_path}/", ids=ids[:2], select=["lastName"], file_format="xlsx"))
    with zipfile.ZipFile(tmp_path / "Export_Lead.xlsx") as workbook:
        text = "".join(workbook.read(name).decode() for name in workbook.namelist() if name.endswith(".xml"))
    assert ("Nowak" in text, "Kral" in text, "Other" in text) == (True, True, False)


# --- import


CSV = """First name;Last name;E-mail;Remark
Ida;Nowak;ida@example.com;x
Ivo;"Kral; Jr.";ivo@example.com;y
"""
COLUMNS = {"First name": "firstName", "Last name": "lastName", "E-mail": "emailAddress"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    path.write_text(CSV, encoding="utf-8-sig")
    return path


def of_table(path: Path, **given: Any) -> EspoImportOperator:
    return load(path=str(path), columns=COLUMNS, csv_format={"delimiter": ";"}, **given)


@WAYS
def test_an_import_makes_records_of_the_columns_named(sandbox_crm: SandboxCrm, table: Path, deferrable: bool) -> None:
    task = of_table(table, default_values={"source": "Campaign"}, deferrable=deferrable)
    result = run(sandbox_crm, task)
    assert (result["created"], result["failed"], result["skipped"]) == (2, 0, 0)
    made = leads(sandbox_crm, source="Campaign")
    assert sorted(lead["name"] for lead in made) == ["Ida Nowak", "Ivo Kral; Jr."]


def test_rows_update_and_create_by_a_key_with_their_types(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.asker.create("Lead", lastName="Nowak", emailAddress="ida@example.com", doNotCall=True)
    rows: list[dict[str, Any]] = [
        {"lastName": "Nowak", "emailAddress": "ida@example.com", "doNotCall": False, "description": 'a "b"\nc'},
        {"lastName": "Kral", "emailAddress": "ivo@example.com", "doNotCall": True, "opportunityAmount": 12.5},
    ]
    result = run(sandbox_crm, load(rows=rows, action="createAndUpdate", update_by=["emailAddress"]))
    assert (result["created"], result["updated"], result["failed"]) == (1, 1, 0)
    by_name = {lead["name"]: sandbox_crm.asker.read("Lead", lead["id"]) for lead in leads(sandbox_crm)}
    assert (by_name["Nowak"]["doNotCall"], by_name["Nowak"]["description"]) == (False, 'a "b"\nc')
    assert (by_name["Kral"]["doNotCall"], by_name["Kral"]["opportunityAmount"]) == (True, 12.5)


def test_a_row_that_an_update_finds_no_record_for_is_one_that_failed(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.asker.create("Lead", lastName="Nowak", emailAddress="ida@example.com")
    rows = [{"emailAddress": f"{name}@example.com", "status": "Dead"} for name in ("ida", "nobody")]
    task = load(rows=rows, action="update", update_by=["emailAddress"])
    with pytest.raises(EspoJobError, match=r"1 rows failed \(line 3: Not-Found\)"):
        run(sandbox_crm, task)
    task.max_errors = 1
    result = run(sandbox_crm, task)
    assert (result["created"], result["updated"], result["failed"], result["skipped"]) == (0, 1, 1, 0)


def bad_rows(path: Path) -> None:
    path.write_text(CSV + "Uma;Zet;no address;z\n", encoding="utf-8")


@WAYS
def test_rows_that_failed_are_fetched_and_the_rest_reverted(
    sandbox_crm: SandboxCrm, table: Path, tmp_path: Path, deferrable: bool
) -> None:
    bad_rows(table)
    errors = tmp_path / "errors.csv"
    task = of_table(table, errors_path=str(errors), revert_on_failure=True, deferrable=deferrable)
    with pytest.raises(EspoJobError, match=r"1 rows failed \(line 4: emailAddress"):
        run(sandbox_crm, task)
    assert "Uma" in errors.read_text(encoding="utf-8")
    assert "Ida" not in errors.read_text(encoding="utf-8")
    assert leads(sandbox_crm) == []


def test_rows_that_may_fail_are_counted(sandbox_crm: SandboxCrm, table: Path) -> None:
    bad_rows(table)
    result = run(sandbox_crm, of_table(table, max_errors=1))
    assert (result["created"], result["failed"], result["skipped"]) == (2, 1, 0)


def test_a_file_with_a_column_that_is_no_attribute_is_refused(sandbox_crm: SandboxCrm, table: Path) -> None:
    with pytest.raises(EspoInputError):
        run(sandbox_crm, load(path=str(table), csv_format={"delimiter": ";"}))
    assert [sent.path for sent in sandbox_crm.calls("POST")] == []


@WAYS
@STORES
@CARRIED_OUT
def test_an_import_killed_at_any_request_and_tried_again_imports_once(
    sandbox_crm: SandboxCrm, table: Path, carried_out: bool, stored: bool, deferrable: bool
) -> None:
    number, killed = 0, True
    while killed:
        number += 1
        source = ["Call", "Email", "Campaign", "Partner", "Other", "Web Site", "Public Relations"][number % 7]
        table.write_text(CSV.replace("Remark", f"Remark {number}"), encoding="utf-8")
        before = len(leads(sandbox_crm))
        task = of_table(table, default_values={"source": source}, skip_duplicate_check=True, deferrable=deferrable)
        killed, result = killed_and_again(sandbox_crm, task, number, carried_out=carried_out, stored=stored)
        sandbox_crm.live()
        assert result["created"] == 2
        assert len(leads(sandbox_crm)) == before + 2, f"killed at request {number}"
    assert number >= 5
