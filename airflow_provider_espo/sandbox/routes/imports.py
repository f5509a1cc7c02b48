"""Imports: upload of a file, the import itself, what became of its rows, and how to undo it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, attachments, imports
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.import_rows import ImportParams
from airflow_provider_espo.sandbox.jobs import RUNNING
from airflow_provider_espo.sandbox.routes.record_routes import list_of

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router
    from airflow_provider_espo.sandbox.jobs import Checkpoint, Job

KIND = "Import"
#: Lists of the records of an import, by the mark that they have.
MARKS = {"imported": "isImported", "updated": "isUpdated", "duplicates": "isDuplicate"}


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Import/file", upload)
    router.add("POST", "/Import", create)
    router.add("GET", "/Import", list_all, action="list")
    router.add("GET", "/Import/{id}", read, action="read")
    router.add("DELETE", "/Import/{id}", delete, action="delete")
    router.add("POST", "/Import/{id}/revert", revert)
    router.add("POST", "/Import/{id}/removeDuplicates", remove_duplicates)
    router.add("POST", "/Import/{id}/unmarkDuplicates", unmark_duplicate)
    router.add("POST", "/Import/{id}/exportErrors", export_errors)
    router.add("GET", "/Import/{id}/{link}", list_rows, action="listLinked")


def import_def_of(context: Context) -> EntityDef:
    """The entity type.

    :raises ApiError: 403 if the user has nothing to do with imports
    """
    if not acl.may(context.user, "Import", "read"):
        raise ApiError(403, "")
    return context.sandbox.storage.definitions["Import"]


def upload(context: Context) -> dict[str, str]:
    """Take a file, whatever its content type says."""
    import_def_of(context)
    values = {"name": "import-file.csv", "type": "text/csv", "role": "Import File"}
    return {"attachmentId": attachments.add_file(context.sandbox, context.user, values, context.request.body)}


def create(context: Context) -> dict[str, Any]:
    """Import a file, or order it with ``idleMode``."""
    import_def_of(context)
    sandbox, storage, body = context.sandbox, context.sandbox.storage, context.body
    names, file_id, entity_type = body.get("attributeList"), body.get("attachmentId"), body.get("entityType")
    if not isinstance(names, list):
        raise ApiError(400, "No `attributeList`.")
    if not file_id:
        raise ApiError(400, "No `attachmentId`.")
    if not entity_type:
        raise ApiError(400, "No `entityType`.")
    entity_def = storage.definitions.get(str(entity_type))
    if entity_def is None:
        raise ApiError(500)
    if not acl.may(context.user, entity_def.name, "create"):
        raise ApiError(403, f"No create access for '{entity_def.name}'.")
    params = ImportParams.from_raw(body)
    text = content_of(sandbox, str(file_id))
    status = imports.STANDBY if params.manual_mode else imports.PENDING if params.idle_mode else imports.IN_PROCESS
    row = {
        "id": storage.new_id(),
        "deleted": 0,
        "entityType": entity_def.name,
        "status": status,
        "fileId": file_id,
        "params": json.dumps(params.raw, ensure_ascii=False),
        "attributeList": json.dumps(names, ensure_ascii=False),
        "createdAt": storage.now(),
        "createdById": context.user.id,
    }
    storage.insert("Import", row)
    counts = imports.Counts()
    if status == imports.PENDING:
        sandbox.jobs.add(KIND, context.user.id, {}, row["id"])
    elif status == imports.IN_PROCESS:
        counts = imports.Import(
            sandbox, row["id"], entity_def, names, params, user=context.user, author=context.user
        ).run(text)
    return {
        "id": row["id"],
        "countCreated": counts.created,
        "countUpdated": counts.updated,
        "manualMode": params.manual_mode,
    }


def content_of(sandbox: Sandbox, file_id: str) -> str:
    """A file that is to be imported.

    :raises ApiError: 500 if it is not there, or empty
    """
    if not sandbox.exists(sandbox.storage.definitions["Attachment"], file_id):
        raise ApiError(500, "Attachment not found.")
    path = sandbox.files.path(file_id)
    content = path.read_bytes() if path.is_file() else b""
    if not content:
        raise ApiError(500, "Empty contents.")
    return content.decode("utf-8", "replace")


def work(sandbox: Sandbox, job: Job, checkpoint: Checkpoint) -> dict[str, Any]:
    """Do the import of a job. Its records are made by the system, with the rights of who ordered it."""
    storage = sandbox.storage
    row = storage.row('SELECT * FROM "Import" WHERE id = ? AND deleted = 0', [job.id]) or {}
    counts = imports.Import(
        sandbox,
        job.id,
        storage.definitions[row["entityType"]],
        json.loads(row["attributeList"]),
        ImportParams.from_raw(json.loads(row["params"])),
        user=sandbox.directory.get(job.user_id),
        author=imports.SYSTEM,
    ).run(content_of(sandbox, row["fileId"]), checkpoint)
    return {"countCreated": counts.created, "countUpdated": counts.updated}


def list_all(context: Context) -> dict[str, Any]:
    """A page of imports; only administrators see those of others."""
    own = [] if context.user.is_admin else [('t."createdById" = ?', (context.user.id,))]
    return list_of(context, import_def_of(context), own)


def found(context: Context, reason: str) -> dict[str, Any]:
    """The import of the path.

    :param reason: text of the error if there is none
    :raises ApiError: 404 if there is none, 403 if it is not the user's own
    """
    sandbox = context.sandbox
    record = sandbox.serializer.record(import_def_of(context), context.params["id"], context.user)
    if record is None or record["deleted"]:
        raise ApiError(404, reason)
    if not context.user.is_admin and record["createdById"] != context.user.id:
        raise ApiError(403, "No 'read' access.")
    job = sandbox.jobs.get(KIND, record["id"]) if record["status"] == imports.PENDING else None
    return record if job is None or job.status != RUNNING else record | {"status": imports.IN_PROCESS}


def read(context: Context) -> dict[str, Any]:
    """One import."""
    return found(context, f"Record {context.params['id']} does not exist.")


def delete(context: Context) -> bool:
    """Delete an import; its records stay."""
    record = found(context, f"Record {context.params['id']} not found.")
    context.sandbox.storage.update("Import", record["id"], {"deleted": 1})
    return True


def revert(context: Context) -> bool:
    """Undo an import."""
    imports.revert(context.sandbox, found(context, "Could not find import record."))
    return True


def remove_duplicates(context: Context) -> bool:
    """Remove the records of an import that had been there before."""
    record = found(context, f"Import '{context.params['id']}' not found.")
    imports.remove_rows(context.sandbox, record, "isDuplicate", for_good=True)
    return True


def unmark_duplicate(context: Context) -> bool:
    """A record is no duplicate after all."""
    body, import_id = context.body, context.params["id"]
    import_def_of(context)
    if not body.get("entityType") or not body.get("entityId"):
        raise ApiError(400, "")
    sql = 'UPDATE "ImportEntity" SET "isDuplicate" = 0 WHERE "importId" = ? AND "entityType" = ? AND "entityId" = ?'
    if not context.sandbox.storage.execute(sql, [import_id, str(body["entityType"]), str(body["entityId"])]):
        raise ApiError(404, "")
    return True


def export_errors(context: Context) -> dict[str, Any]:
    """A file with the rows of which nothing became."""
    record = found(context, "")
    return {"attachmentId": imports.error_file(context.sandbox, context.user, record)}


def list_rows(context: Context) -> dict[str, Any]:
    """Records that an import has created or updated, those that had been there before, and its errors.

    :raises ApiError: 404 for another list
    """
    record, link = found(context, ""), context.params["link"]
    definitions = context.sandbox.storage.definitions
    if link == "errors":
        return list_of(context, definitions["ImportError"], [('t."importId" = ?', (record["id"],))])
    if link not in MARKS:
        raise ApiError(404, "Link does not exist.")
    entity_def = definitions[record["entityType"]]
    restriction = acl.restriction(context.user, entity_def)
    rows = f'SELECT "entityId" FROM "ImportEntity" WHERE "importId" = ? AND "{MARKS[link]}" = 1'  # noqa: S608
    conditions = [(f"t.id IN ({rows})", (record["id"],)), *([restriction] if restriction else [])]
    return list_of(context, entity_def, conditions)
