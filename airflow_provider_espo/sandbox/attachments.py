"""Attachments: what may be uploaded for which field, who may see a file, and how contents are kept."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, posts
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.php import base64_decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

STORAGE = "EspoUploadDir"
INLINE = "Inline Attachment"
#: Types of the fields that a file of a role can be for.
FIELD_TYPES: Mapping[str, tuple[str, ...]] = {
    "Attachment": ("file", "image", "attachmentMultiple"),
    INLINE: ("wysiwyg",),
}
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml", "image/avif"})
#: Types with files that everybody may use.
OPEN_TYPES = frozenset({"Note"})
MEGABYTE = 1024 * 1024
#: Extensions that not every machine's table has.
MIME_TYPES = {
    "md": "text/markdown",
    "webp": "image/webp",
    "avif": "image/avif",
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


def inline_content(body: Mapping[str, Any]) -> bytes | None:
    """The content that comes with a new attachment; None if it will come in chunks.

    :raises ApiError: 400
    """
    if body.get("isBeingUploaded"):
        return None
    if "file" not in body:
        raise ApiError(400, "No file contents.")
    file = body["file"]
    if not isinstance(file, str):
        raise ApiError(400, "Non-string file contents.")
    parts = file.split(",", 2)
    if len(parts) < 2:
        raise ApiError(400, "Bad file contents.")
    return base64_decode(parts[1])


def target_field(storage: Storage, user: CurrentUser, body: Mapping[str, Any]) -> tuple[EntityDef, FieldDef]:
    """The field for which a file is uploaded.

    :raises ApiError: 400 if none is named, 403 if the user may not
    """
    entity_type = body.get("parentType") if body.get("parentType") is not None else body.get("relatedType")
    name, role = body.get("field"), body.get("role") or "Attachment"
    if not entity_type or not name:
        raise ApiError(400, "No `field` and `parentType`.")
    if role not in FIELD_TYPES:
        raise ApiError(403, "Role not allowed.")
    entity_def = storage.definitions.get(str(entity_type))
    field_def = entity_def.fields.get(str(name)) if entity_def else None
    if entity_def is None or field_def is None:
        raise ApiError(403, f"Field '{name}' does not exist.")
    if field_def.type not in FIELD_TYPES[role]:
        raise ApiError(403, f"Field type '{field_def.type}' is not allowed for {role}.")
    may_use = any(acl.may(user, entity_def.name, action) for action in ("create", "edit"))
    if not may_use and entity_def.name not in OPEN_TYPES:
        raise ApiError(403, f"No access to {entity_def.name}.")
    if field_def.name in acl.forbidden_fields(user, entity_def, "edit"):
        raise ApiError(403, f"No access to field '{name}'.")
    return entity_def, field_def


def max_size(storage: Storage, field_def: FieldDef | None, role: Any) -> int:
    """Most bytes of a file for a field."""
    if role == INLINE:
        return storage.settings.inline_attachment_max_size * MEGABYTE
    own = field_def.extra.get("maxFileSize") if field_def else None
    return int(own or storage.settings.attachment_max_size) * MEGABYTE


def extension_of(name: str) -> str:
    """What stands behind the last point of a file's name."""
    return name.rpartition(".")[2].lower()


def mime_type_of(name: str) -> str | None:
    """The type that goes with a file's name."""
    extension = extension_of(name)
    return MIME_TYPES.get(extension) or mimetypes.guess_type(f"x.{extension}")[0]


def check_type(field_def: FieldDef, body: Mapping[str, Any]) -> None:
    """A field may take certain files only; a picture has to be one by name and type.

    :raises ApiError: 403
    """
    name, given = str(body.get("name") or ""), str(body.get("type") or "")
    mime_type = mime_type_of(name)
    if field_def.type == "image" or body.get("role") == INLINE:
        if mime_type not in IMAGE_TYPES:
            raise ApiError(403, "Not allowed file type.")
        if given.lower() != mime_type:
            raise ApiError(403, "Passed type does not correspond to extension.")
        return
    accept = field_def.extra.get("accept")
    if accept and not any(is_accepted(token.lower(), name, mime_type or given) for token in accept):
        raise ApiError(403, "Not allowed file type.")


def is_accepted(token: str, name: str, mime_type: str) -> bool:
    """Whether a file fits a word of a field's list: an extension, a type, or a family of types."""
    if token.startswith("."):
        return token[1:] == extension_of(name)
    family = token.removesuffix("*")
    return mime_type == token or (family.endswith("/") and mime_type.startswith(family))


def may_read(storage: Storage, user: CurrentUser, attachment: Mapping[str, Any]) -> bool:
    """Whether a user may see a file: its own, and those of records that the user may read."""
    if user.is_admin or attachment["createdById"] == user.id or attachment["global"]:
        return True
    return any(
        may_read_near(storage, user, attachment[f"{link}Type"], attachment[f"{link}Id"])
        for link in ("parent", "related")
    )


def may_read_near(storage: Storage, user: CurrentUser, entity_type: str | None, record_id: str | None) -> bool:
    """Whether a user may read the record that has a file."""
    entity_def = storage.definitions.get(entity_type or "")
    if entity_def is None or not record_id:
        return False
    if entity_def.name == "Note":
        names = ("id", "createdById", "parentType", "parentId", "isGlobal")
        note = storage.load(entity_def, record_id, [entity_def.attributes[name] for name in names])
        return note is not None and posts.may_see(storage, user, note)
    return acl.may(user, entity_def.name, "read") and acl.may_on(storage, user, entity_def, record_id, "read")


def file_id(attachment: Mapping[str, Any]) -> str:
    """Under which id the content is kept: a copy shares that of its source."""
    return str(attachment["sourceId"] or attachment["id"])


def add_file(sandbox: Sandbox, user: CurrentUser, values: Mapping[str, Any], content: bytes) -> str:
    """Make an attachment that nobody uploaded: an exported file, say.

    :param values: attributes, at least ``name``
    :return: its id
    """
    storage = sandbox.storage
    now, new_id = storage.now(), storage.new_id()
    row = {
        "id": new_id,
        "deleted": 0,
        "createdAt": now,
        "modifiedAt": now,
        "createdById": user.id,
        "size": len(content),
        "storage": STORAGE,
        "isBeingUploaded": 0,
        "global": 0,
        **values,
    }
    storage.insert("Attachment", row)
    sandbox.files.append(new_id, content)
    return new_id


def keep_file_links(storage: Storage, entity_def: EntityDef, record_id: str, changed: Mapping[str, Any]) -> None:
    """A file that a record's field points to belongs to that record.

    :param changed: attributes of the record that are set
    """
    for field_def in entity_def.fields.values():
        if field_def.type in ("file", "image") and (attachment_id := changed.get(f"{field_def.name}Id")):
            row = {"relatedType": entity_def.name, "relatedId": record_id, "modifiedAt": storage.now()}
            storage.update("Attachment", str(attachment_id), row)
