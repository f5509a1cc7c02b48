"""Tasks on files: up, down, exported and imported."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.attachment import EspoDownloadAttachmentOperator, EspoUploadAttachmentOperator
from airflow_provider_espo.operators.job import EspoExportOperator, EspoImportOperator
from airflow_provider_espo.where import contains
from tests.repeat.harness import Run, Scenario
from tests.repeat.scenarios_records import DATA, stored_file
from tests.repeat.scenarios_work import three_leads

if TYPE_CHECKING:
    from tests.repeat.crm import Crm

IMPORT = "the import's id in the task state store, or its file"
WAITING = {"poll_interval": 0.1, "deferrable": False}


def file_and_case(crm: Crm, run: Run) -> dict[str, Any]:
    """A local file, and a case."""
    (run.folder / f"{run.tag}.txt").write_bytes(DATA)
    return {"id": crm.create("Case", name=f"Case {run.tag}")}


def file_of_document(crm: Crm, run: Run) -> dict[str, Any]:
    """A file in the CRM, of a document that the task's user may read."""
    made = stored_file(crm, run)
    crm.create("Document", name=run.tag, fileId=made["id"], publishDate="2026-05-01")
    return made


def rows_to_import(crm: Crm, run: Run) -> dict[str, Any]:
    """A CSV file, one of its leads already there, and the number of imports so far."""
    lines = [f"{name},{run.tag},{name}.{run.tag}@example.com,Assigned" for name in ("Ada", "Ben", "Cem")]
    path = run.folder / "leads.csv"
    path.write_text("\n".join(["firstName,lastName,emailAddress,status", *lines, ""]), encoding="utf-8")
    return {"imports": _number_of_imports(crm)}


def one_there(crm: Crm, run: Run) -> dict[str, Any]:
    """The same, and one of the leads is there already."""
    crm.create("Lead", firstName="Ada", lastName=run.tag, emailAddress=f"ada.{run.tag}@example.com", status="New")
    return rows_to_import(crm, run)


def _number_of_imports(crm: Crm) -> int:
    return len(crm.find("Import", select=["id"]))


def _imports(crm: Crm, run: Run, result: Any) -> Any:
    counts = {name: result and result[name] for name in ("created", "updated", "failed", "skipped")}
    return {"imports": _number_of_imports(crm) - run.made["imports"], **counts}


def _uploaded(crm: Crm, _run: Run, result: Any) -> Any:
    return result and {"content": crm.content(result["attachment_id"]), "name": result["name"]}


def _files(_crm: Crm, run: Run, _result: Any) -> Any:
    """Every file in the run's folder, half-written ones too."""
    paths = sorted(path for path in run.folder.iterdir() if path.name != "store.json")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _upload(run: Run, **more: Any) -> dict[str, Any]:
    path = str(run.folder / f"{run.tag}.txt")
    return {"path": path, "entity_type": "Case", "field": "attachments", "record_id": run.made["id"], **more}


SCENARIOS = (
    Scenario(
        "in one piece",
        EspoUploadAttachmentOperator,
        _upload,
        "the upload's id in the task state store; name, size, content of the record's files",
        file_and_case,
    ),
    Scenario(
        "in chunks",
        EspoUploadAttachmentOperator,
        lambda run: _upload(run, chunk_size=2_000),
        "the upload's id in the task state store; name, size, content of the record's files",
        file_and_case,
    ),
    Scenario(
        "for no record yet",
        EspoUploadAttachmentOperator,
        lambda run: _upload(run, record_id=None),
        "the upload's id in the task state store",
        file_and_case,
        _uploaded,
    ),
    Scenario(
        "a file",
        EspoDownloadAttachmentOperator,
        lambda run: {"attachment_id": run.made["id"], "path": str(run.folder / "got.txt")},
        "the path: the file is put in place when it has come whole",
        file_of_document,
        _files,
    ),
    Scenario(
        "csv",
        EspoExportOperator,
        lambda run: {
            "entity_type": "Lead",
            "path": str(run.folder / "leads.csv"),
            "where": [contains("name", run.tag)],
            "select": ["firstName", "status"],
            "order_by": "firstName",
            **WAITING,
        },
        "the job's id in the task state store; a second export does no harm",
        three_leads,
        _files,
        waits=True,
    ),
    Scenario(
        "csv, deferred",
        EspoExportOperator,
        lambda run: {
            "entity_type": "Lead",
            "path": str(run.folder / "leads.csv"),
            "ids": run.made["ids"],
            "select": ["firstName"],
            **WAITING | {"deferrable": True},
        },
        "the job's id in the task state store; a second export does no harm",
        three_leads,
        _files,
        waits=True,
    ),
    Scenario(
        "create",
        EspoImportOperator,
        lambda run: {"entity_type": "Lead", "path": str(run.folder / "leads.csv"), **WAITING},
        IMPORT,
        rows_to_import,
        _imports,
        waits=True,
    ),
    Scenario(
        "createAndUpdate of rows",
        EspoImportOperator,
        lambda run: {
            "entity_type": "Lead",
            "rows": [
                {"lastName": run.tag, "emailAddress": f"{name}.{run.tag}@example.com", "status": "Assigned"}
                for name in ("ada", "ben")
            ],
            "action": "createAndUpdate",
            "update_by": ["emailAddress"],
            **WAITING,
        },
        IMPORT,
        one_there,
        _imports,
        waits=True,
    ),
)
