"""Upload files to EspoCRM, and download them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.paths import file_at, is_folder
from airflow_provider_espo.operators.rendered import whole_number

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.operators.durable import JobMemory


class EspoUploadAttachmentOperator(EspoOperator):
    """Upload a file, and give it to a record.

    The file is read and sent in pieces, whatever its size, and read back to compare it. A field for one file then holds
    this one; a field for several gets it beside those it has. EspoCRM wants the whole list then: where the entity type
    has no optimistic concurrency control, let no two tasks attach to the same record at the same time.

    Without ``record_id`` the file is only uploaded, for a downstream task that needs its id: to create a document
    (``{"fileId": ...}``), to post a note or to send an e-mail (``{"attachmentsIds": [...]}``). EspoCRM removes uploads
    that nobody uses after a while.

    Safe to retry. The upload's id is kept in Airflow's task state store (3.3 and later): a retry goes on where an
    earlier try stopped. Without the id a retry looks through the record's field for a file with the same name, size
    and content that the connection's user uploaded since the first try, and takes it for its own. A cleared task
    uploads anew.

    :param path: the file: local path, URL of an object store (``s3://conn_id@bucket/key``), or ``ObjectStoragePath``.
        (templated)
    :param entity_type: entity type of the record, such as ``Document`` or ``Case``; ``Note`` for posts, ``Email`` for
        e-mails. (templated)
    :param field: field that takes files, such as ``file`` or ``attachments``. (templated)
    :param record_id: record to give the file to. (templated)
    :param name: name of the file in EspoCRM; by default the last part of the path. (templated)
    :param content_type: media type; by default after the name. (templated)
    :param replace: take the files away that a field for several has.
    :param chunk_size: bytes of the file in one request; a smaller file goes in one piece.
    :param verify_content: read the file back and compare it; otherwise only its size is compared.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"attachment_id", "name", "type", "path", "size", "sha256"}``, size in bytes.
    :raises EspoForbiddenError: EspoCRM refused the type or the size, with its reason; or for want of rights.
    :raises EspoUnknownNameError: the entity type has no such field that takes files.
    :raises EspoInputError: the file cannot be read, or changed while it was sent.
    """

    operator_extra_links = (EspoRecordLink(),)
    reads_files = ("path",)
    writes = ("Attachment",)
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "path",
        "entity_type",
        "field",
        "record_id",
        "name",
        "content_type",
    )

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        entity_type: str,
        field: str,
        record_id: str | None = None,
        name: str | None = None,
        content_type: str | None = None,
        replace: bool = False,
        chunk_size: int | None = None,
        verify_content: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.entity_type = entity_type
        self.field = field
        self.record_id = record_id
        self.name = name
        self.content_type = content_type
        self.replace = replace
        self.chunk_size = chunk_size
        self.verify_content = verify_content

    def execute(self, context: Context) -> dict[str, Any]:
        """Upload the file."""
        from airflow_provider_espo.client.operations.attachments import CHUNK_SIZE
        from airflow_provider_espo.operators.durable import JobMemory

        memory = JobMemory(context, "upload")
        file = file_at("path", self.path)
        with self.hook as hook:
            resume = self._of_earlier_try(hook, memory, file)
            if memory.since is None:
                memory.begin()
            uploaded = hook.upload_attachment(
                file,
                entity_type=self.entity_type,
                field=self.field,
                name=self.name,
                content_type=self.content_type,
                chunk_size=CHUNK_SIZE if self.chunk_size is None else self.chunk_size,
                verify_content=self.verify_content,
                resume=resume,
                on_started=memory.submitted,
            )
            if self.record_id is not None:
                attached = hook.attach_file(
                    self.entity_type, self.record_id, self.field, uploaded["attachment_id"], replace=self.replace
                )
                self.log.info("%s %s: %s", self.entity_type, self.record_id, attached["action"])
        self.log.info("%s, %d bytes", uploaded["attachment_id"], uploaded["size"])
        return {**uploaded, "path": str(self.path)}

    def records_written(self) -> dict[str, dict[str, int]]:
        """Return what was written: the upload, and the record that it was given to."""
        done = {} if self.facts is None else {"count": 1}
        return {one: done for one, is_meant in (("Attachment", True), (self.entity_type, self.record_id)) if is_meant}

    def _of_earlier_try(self, hook: EspoHook, memory: JobMemory, file: Any) -> str | None:
        if memory.job_id is not None or memory.since is None or self.record_id is None:
            return memory.job_id
        from airflow_provider_espo.client.files import Source
        from airflow_provider_espo.client.operations.file_fields import find_attached

        source = Source(file, self.name)
        try:
            size = source.open()
        finally:
            source.close()
        found = hook.run(
            find_attached(
                hook.state,
                self.entity_type,
                self.record_id,
                self.field,
                name=source.name,
                size=size,
                since=memory.since,
            )
        )
        if found is not None:
            self.log.info("%s may be what an earlier try attached", found)
        return found


class EspoDownloadAttachmentOperator(EspoOperator):
    """Download a file to a local disk or an object store.

    It appears in its place when it has come whole and with the right size, or not at all. It is never held in memory:
    it comes into a temporary file, beside a local target and otherwise where ``TMPDIR`` says, so the worker's disk must
    have room for it. Safe to retry: a file of the same name is replaced.

    :param attachment_id: id of the file, such as a document's ``fileId``. (templated)
    :param path: where to: local path, URL of an object store (``s3://conn_id@bucket/key``), or ``ObjectStoragePath``. A
        text that ends in ``/`` is a folder; the file gets the name it has in EspoCRM. (templated)
    :param expected_sha256: SHA-256 the file must have, in hex digits. (templated)
    :param max_size: refuse a file of more bytes. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"attachment_id", "name", "type", "path", "size", "sha256"}``, size in bytes.
    :raises EspoNotFoundError: no such file.
    :raises EspoForbiddenError: the user may not read the record it belongs to.
    :raises EspoBadAnswerError: what came is not the file that was promised.
    """

    reads = ("Attachment",)
    writes_files = ("path",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "attachment_id", "path", "expected_sha256", "max_size")

    def __init__(
        self,
        *,
        attachment_id: str,
        path: str | ObjectStoragePath,
        expected_sha256: str | None = None,
        max_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.attachment_id = attachment_id
        self.path = path
        self.expected_sha256 = expected_sha256
        self.max_size = max_size

    def execute(self, context: Context) -> dict[str, Any]:
        """Download the file."""
        target = file_at("path", self.path)
        with self.hook as hook:
            result = hook.download_attachment(
                self.attachment_id,
                target,
                into_folder=is_folder(self.path),
                expected_sha256=self.expected_sha256,
                max_size=whole_number("max_size", self.max_size),
            )
        self.log.info("%s, %d bytes", result["path"], result["size"])
        return result
