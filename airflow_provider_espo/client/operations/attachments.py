"""Upload and download files."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import Final

from airflow_provider_espo.client.bodies import Work
from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError, EspoNothingDoneError
from airflow_provider_espo.client.files import Source, SourceFile, Target, TargetFile
from airflow_provider_espo.client.operations.file_fields import explain_refusal, file_field
from airflow_provider_espo.client.operations.stored_files import fetch, not_as_promised
from airflow_provider_espo.client.operations.uploads import Upload
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    FileOperation,
    Record,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)

#: Bytes of a file in one request. EspoCRM's own pages send 4 MB; less passes web servers with tighter limits.
CHUNK_SIZE: Final = 2 * 1024 * 1024


def upload_attachment(
    state: ClientState,
    file: SourceFile,
    *,
    entity_type: str,
    field: str,
    name: str | None = None,
    content_type: str | None = None,
    chunk_size: int = CHUNK_SIZE,
    verify_content: bool = True,
    resume: str | None = None,
    on_started: Callable[[str], object] | None = None,
) -> FileOperation[Record]:
    """Upload a file that a field of a record is to hold. It belongs to no record yet.

    Give its id to :meth:`attach_file`, or in the attributes of a record that is created or updated (``fileId``,
    ``attachmentsIds``). EspoCRM removes uploads that nobody uses after a while. The file is never held whole.

    :param file: local path, ``ObjectStoragePath``, or the content as bytes.
    :param entity_type: entity type of the record, such as ``Document``; ``Note`` for posts, ``Email`` for e-mails.
    :param field: field of that type which takes files, such as ``file`` or ``attachments``.
    :param name: name of the file in EspoCRM; by default the last part of the path.
    :param content_type: media type; by default after the name.
    :param chunk_size: bytes of the file in one request. A smaller file goes in one piece.
    :param verify_content: read the file back and compare it. Otherwise only the size is compared.
    :param resume: id of an upload that an earlier try began: as far as it holds the same, it is gone on with.
    :param on_started: called with the id as soon as there is one, before the rest is sent.
    :return: ``{"attachment_id", "name", "type", "size", "sha256"}``, size in bytes.
    :raises EspoForbiddenError: EspoCRM refused the type or the size, or the user may not write such records.
    :raises EspoUnknownNameError: the entity type has no such field.
    :raises EspoInputError: the file cannot be read, or changed meanwhile.
    """
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
        raise EspoInputError("chunk_size is not a whole number of 1 or more bytes")
    source = Source(file, name)
    media_type = content_type or mimetypes.guess_type(source.name)[0] or "application/octet-stream"
    taker = yield from file_field(state, entity_type, field)
    about = {
        "name": source.name,
        "type": media_type,
        "role": "Attachment",
        "field": field,
        ("relatedType" if taker.takes_one else "parentType"): entity_type,
    }
    try:
        size = yield Work(source.open)
        upload = Upload(source, size, about, chunk_size, on_started)
        attachment_id = None if resume is None else (yield from upload.go_on(record_id_segment(resume)))
        if attachment_id is None:
            try:
                attachment_id = yield from upload.whole()
            except EspoForbiddenError as error:
                yield from explain_refusal(state, error, entity_type, field)
                raise
        sha256 = yield from upload.checked(attachment_id, verify_content)
    finally:
        source.close()
    return {
        "attachment_id": attachment_id,
        "name": source.name,
        "type": media_type,
        "size": size,
        "sha256": sha256,
    }


def download_attachment(
    state: ClientState,
    attachment_id: str,
    target: TargetFile,
    *,
    into_folder: bool = False,
    expected_sha256: str | None = None,
    max_size: int | None = None,
) -> FileOperation[Record]:
    """Download a file. It appears in its place when it has come whole, or not at all.

    The file is never held in memory whole: it comes into a temporary file, from its beginning again if the connection
    breaks. Its size is compared with what EspoCRM has on record.

    :param attachment_id: the file's id, such as a record's ``fileId`` or one of its ``attachmentsIds``.
    :param target: local path, ``ObjectStoragePath``, or a binary file object to write to.
    :param into_folder: whether ``target`` is a folder; the file gets the name it has in EspoCRM.
    :param expected_sha256: SHA-256 the file must have, in hex digits.
    :param max_size: refuse a file of more bytes, before it is asked for.
    :return: ``{"attachment_id", "name", "type", "path", "size", "sha256"}``, size in bytes.
    :raises EspoNotFoundError: no such file.
    :raises EspoForbiddenError: the user may not read the record it belongs to.
    :raises EspoBadAnswerError: it is not the file that was promised; nothing was written.
    """
    path = record_path("Attachment", attachment_id)
    place = Target(target, is_folder=into_folder)
    outgoing = build_request("GET", path)
    record = expect_object(outgoing, (yield outgoing))
    if record.get("isBeingUploaded"):
        raise EspoNothingDoneError(
            "The file is still being uploaded", method=outgoing.method, path=path, hint="Wait for the upload's end"
        )
    name = str(record.get("name") or attachment_id)
    size = record.get("size")
    if max_size is not None and isinstance(size, int) and size > max_size:
        raise EspoInputError(f"The file has {size} bytes, more than max_size allows")
    try:
        yield Work(lambda: place.open(name))
        asked = yield from fetch(attachment_id, place)
        if isinstance(size, int) and size != place.size:
            raise not_as_promised(asked, f"it has {place.size} bytes instead of {size}")
        if expected_sha256 is not None and expected_sha256.lower() != place.sha256:
            raise not_as_promised(asked, "its SHA-256 is another one than expected")
        yield Work(place.publish)
    finally:
        place.discard()
    return {
        "attachment_id": attachment_id,
        "name": name,
        "type": record.get("type"),
        "path": place.path,
        "size": place.size,
        "sha256": place.sha256,
    }
