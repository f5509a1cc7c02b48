"""Attachments: upload at once or in chunks, copy, download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import attachments
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import HTML, Reply, header_text
from airflow_provider_espo.sandbox.php import base64_decode
from airflow_provider_espo.sandbox.routes.common import need_admin
from airflow_provider_espo.sandbox.routes.record_routes import list_of

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Context, Router

MARK = b";base64,"
#: Attributes that a record of an attachment does not show.
UNSHOWN = ("sourceName", "contents", "modifiedById", "modifiedByName")


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/Attachment", list_all, action="list")
    router.add("POST", "/Attachment", create, action="create")
    router.add("GET", "/Attachment/{id}", read, action="read")
    router.add("DELETE", "/Attachment/{id}", delete, action="delete")
    router.add("GET", "/Attachment/file/{id}", download)
    router.add("POST", "/Attachment/chunk/{id}", add_chunk)
    router.add("POST", "/Attachment/copy/{id}", copy)


def shown(record: dict[str, Any]) -> dict[str, Any]:
    """An attachment as the API shows it."""
    return {name: value for name, value in record.items() if name not in UNSHOWN}


def list_all(context: Context) -> dict[str, Any]:
    """A page of attachments, for administrators."""
    need_admin(context)
    return list_of(context, context.sandbox.storage.definitions["Attachment"])


def create(context: Context) -> dict[str, Any]:
    """Upload a file, or announce one that comes in chunks."""
    sandbox, storage, user = context.sandbox, context.sandbox.storage, context.user
    body = {name: value for name, value in context.body.items() if name not in ("parentId", "relatedId", "contents")}
    content = attachments.inline_content(body)
    if body.get("parentType") is not None:
        body.pop("relatedType", None)
    _, field_def = attachments.target_field(storage, user, body)
    limit = attachments.max_size(storage, field_def, body.get("role"))
    if content is not None:
        if len(content) > limit:
            raise ApiError(400, f"File size should not exceed {limit // attachments.MEGABYTE} Mb.")
        body["size"] = len(content)
    if body.get("name"):
        attachments.check_type(field_def, body)
    body["storage"] = attachments.STORAGE
    with storage.transaction():
        record = sandbox.records.create(storage.definitions["Attachment"], body, user, authorized=True)
        if content is not None:
            sandbox.files.append(record["id"], content)
    return shown(record)


def found(context: Context, reason: str = "") -> dict[str, Any]:
    """The attachment of the path.

    :param reason: text of the error if there is none
    :raises ApiError: 404 if there is none, 403 if the user may not see it
    """
    sandbox = context.sandbox
    entity_def = sandbox.storage.definitions["Attachment"]
    record = sandbox.serializer.record(entity_def, context.params["id"], context.user)
    if record is None or record["deleted"]:
        raise ApiError(404, reason)
    if not attachments.may_read(sandbox.storage, context.user, record):
        raise ApiError(403, "No 'read' access.")
    return record


def read(context: Context) -> dict[str, Any]:
    """One attachment, without its content."""
    return shown(found(context, f"Record {context.params['id']} does not exist."))


def delete(context: Context) -> bool:
    """Delete an attachment, and its content unless a copy needs it."""
    sandbox, user = context.sandbox, context.user
    record = found(context, f"Record {context.params['id']} not found.")
    if not user.is_admin and record["createdById"] != user.id:
        raise ApiError(403, "No delete access.")
    sandbox.records.delete(sandbox.storage.definitions["Attachment"], record["id"], user, authorized=True)
    file_id = attachments.file_id(record)
    sql = 'SELECT 1 FROM "Attachment" WHERE (id = ? OR "sourceId" = ?) AND deleted = 0'
    if sandbox.storage.value(sql, [file_id, file_id]) is None:
        sandbox.files.remove(file_id)
    return True


def download(context: Context) -> Reply:
    """The content of an attachment; of one that is being uploaded, what is there."""
    record = found(context)
    path = context.sandbox.files.path(attachments.file_id(record))
    if not path.is_file():
        raise ApiError(404, "")
    content_type = record["type"] or HTML
    if content_type.startswith("text/") and "charset" not in content_type:
        content_type += ";charset=UTF-8"
    headers = {"Content-Disposition": header_text(f'attachment; filename="{record["name"]}"')}
    return Reply(200, b"", header_text(content_type), headers, file=path)


def add_chunk(context: Context) -> bool:
    """Take a part of a file, which ends with the announced size."""
    sandbox, storage = context.sandbox, context.sandbox.storage
    with storage.transaction():
        record = found(context)
        if not record["isBeingUploaded"]:
            raise ApiError(403, "Attachment is not being-uploaded.")
        _, mark, encoded = context.request.body.partition(MARK)
        if not mark:
            raise ApiError(400, "Bad file data.")
        content = base64_decode(encoded)
        size = sandbox.files.size(record["id"]) + len(content)
        entity_def = storage.definitions.get(record["parentType"] or record["relatedType"] or "")
        field_def = entity_def.fields.get(record["field"] or "") if entity_def else None
        if size > attachments.max_size(storage, field_def, record["role"]):
            raise ApiError(403, "Max attachment size exceeded.")
        sandbox.files.append(record["id"], content)
        if size > (record["size"] or 0):
            raise ApiError(500, "File size mismatch.")
        if size == record["size"]:
            storage.update("Attachment", record["id"], {"isBeingUploaded": 0, "modifiedAt": storage.now()})
    return True


def copy(context: Context) -> dict[str, Any]:
    """Make a second attachment of the same content, for another field."""
    sandbox, storage, user, body = context.sandbox, context.sandbox.storage, context.user, context.body
    target = {name: body.get(name) for name in ("field", "parentType", "relatedType")}
    attachments.target_field(storage, user, target)
    source = found(context)
    row = {
        "name": source["name"],
        "type": source["type"],
        "size": source["size"],
        "sourceId": attachments.file_id(source),
        "role": "Attachment",
        **target,
    }
    new_id = attachments.add_file(sandbox, user, row, b"")
    record = sandbox.serializer.record(storage.definitions["Attachment"], new_id, user) or {}
    hidden = ("parentId", "relatedId", "parentName", "relatedName", "createdByName")
    return {name: value for name, value in shown(record).items() if name not in hidden}
