"""Have EspoCRM export and import in background jobs of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.errors import EspoJobError
from airflow_provider_espo.links.espo import EspoJobLink, EspoListLink
from airflow_provider_espo.operators.durable import DurableJobOperator
from airflow_provider_espo.operators.import_job import ImportJobOperator
from airflow_provider_espo.operators.paths import file_at, is_folder

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_espo.client.operations.export import ExportOptions
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.operators.durable import JobMemory
    from airflow_provider_espo.operators.import_file import Columns


class EspoExportOperator(DurableJobOperator):
    """Have EspoCRM export records to a file, and fetch it.

    EspoCRM writes the file in a background job, which its cron or daemon carries out; the task waits, on the worker or
    in the triggerer. Then the file comes to its place, whole or not at all; it is never held in memory.

    Safe to retry: the job's id is kept in Airflow's task state store (3.3 and later), and a retry takes up the job of
    an earlier try. Where the id is not known a second export is started, which does no harm. A cleared task exports
    anew.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param path: where the file is to be: local path, URL of an object store (``s3://conn_id@bucket/key``), or
        ``ObjectStoragePath``. A text that ends in ``/`` is a folder; the file gets the name it has in EspoCRM.
        (templated)
    :param ids: ids of the records, instead of a filter. An empty list is refused: EspoCRM would export everything.
        (templated)
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. Without any filter every record
        is exported. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param select: attributes, in the order of the columns; all fields by default. (templated)
    :param order_by: attribute to order by, ``id`` by default. (templated)
    :param order: ``asc`` (default) or ``desc``. (templated)
    :param file_format: ``csv`` (default) or ``xlsx``. (templated)
    :param validate: refuse ``select`` and ``order_by`` names that the server does not have; it would drop them.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks.
    :param job_timeout: seconds that a try waits for the job; ``None`` for as long as it takes.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"job_id", "attachment_id", "name", "path", "size", "sha256"}``, size in bytes.
    :raises EspoForbiddenError: the user's role has no export permission.
    :raises EspoJobError: the job failed or did not end in time.
    :raises EspoInputError: an empty list of ids, ids and a filter, a wrong format.
    :raises EspoUnknownNameError: the server has no such attribute.
    """

    operator_extra_links = (EspoListLink(), EspoJobLink())
    reads = ("entity_type",)
    writes_files = ("path",)
    job_kind = "export"
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "path",
        "ids",
        "where",
        "primary_filter",
        "bool_filters",
        "text_filter",
        "select",
        "order_by",
        "order",
        "file_format",
    )
    template_fields_renderers = {"where": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        path: str | ObjectStoragePath,
        ids: Sequence[str] | None = None,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        select: Sequence[str] | None = None,
        order_by: str | None = None,
        order: str | None = None,
        file_format: Literal["csv", "xlsx"] = "csv",
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.path = path
        self.ids = ids
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.select = select
        self.order_by = order_by
        self.order = order
        self.file_format = file_format
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Export, wait and fetch the file."""
        result: dict[str, Any] = self.run_job(context)
        return result

    def prepare_job(self, hook: EspoHook, memory: JobMemory) -> bool:
        """Check what is to be exported, and where to."""
        from airflow_provider_espo.client.files import Target
        from airflow_provider_espo.client.operations.export import prepare_export

        Target(file_at("path", self.path))
        hook.run(prepare_export(hook.state, self.entity_type, **self._options()))
        return True

    def submit_job(self, hook: EspoHook, memory: JobMemory) -> str:
        """Start the export."""
        return str(hook.start_export(self.entity_type, **self._options())["job_id"])

    def job_result(self, hook: EspoHook, job: Mapping[str, Any] | None, memory: JobMemory) -> dict[str, Any]:
        """Fetch the file."""
        attachment_id = None if job is None else job.get("attachment_id")
        if job is None or not attachment_id:
            raise EspoJobError(
                "The export ended without a file",
                job_id=None if job is None else job["id"],
                kind=self.job_kind,
                hint="Look into EspoCRM's log (data/logs)",
            )
        file = hook.download_attachment(
            str(attachment_id), file_at("path", self.path), into_folder=is_folder(self.path)
        )
        self.log.info("%s: %d bytes", file["path"], file["size"])
        del file["type"]
        return {"job_id": job["id"], **file}

    def _options(self) -> ExportOptions:
        return {
            "ids": self.ids,
            "where": self.where,
            "primary_filter": self.primary_filter,
            "bool_filters": self.bool_filters,
            "text_filter": self.text_filter,
            "select": self.select,
            "order_by": self.order_by,
            "order": self.order,
            "file_format": self.file_format,
            "validate": self.validate,
        }


class EspoImportOperator(ImportJobOperator):
    """Have EspoCRM import a CSV file, or rows.

    EspoCRM imports in a background job, which its cron or daemon carries out; the task waits, on the worker or in the
    triggerer. The file is looked through and the columns are checked before anything is sent. EspoCRM calls an import
    complete whose rows failed: here more than ``max_errors`` of them are an error.

    Safe to retry: the job's id is kept in Airflow's task state store (3.3 and later), and a retry takes up the import
    of an earlier try, finished or not. If the id got lost, the import is looked for by the file that was uploaded for
    it; without a store by its entity type, columns and the file's content, among those the connection's user started
    since the dag run began. So a file is never imported twice, but by a cleared task. Records that EspoCRM imports in
    the background are created by its user ``system``.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param path: the file, UTF-8: local path, URL of an object store (``s3://conn_id@bucket/key``), or
        ``ObjectStoragePath``. (templated)
    :param rows: records to import instead of a file: attributes by name. For some thousand, as they go through XCom or
        the DAG file. (templated)
    :param columns: what the columns of the file hold: a list of attributes, one for each column, or a dict of
        attributes by the name in the header row; ``None`` leaves a column out. By default the header row names
        attributes. (templated)
    :param action: ``create`` (default), ``update`` or ``createAndUpdate``. (templated)
    :param update_by: attributes among the columns by which records are found; the two that update want it. (templated)
    :param default_values: attributes of every record that is created. (templated)
    :param csv_format: how the file is written, where it is not as EspoCRM takes it by default: ``header_row`` (true),
        ``delimiter`` (``,``), ``text_qualifier`` (``"``), ``date_format`` (``YYYY-MM-DD``), ``time_format``
        (``HH:mm``), ``timezone`` (``UTC``), ``decimal_mark`` (``.``), ``currency``, ``person_name_format`` (``f l``).
        (templated)
    :param skip_duplicate_check: do not look for duplicates; those found are created all the same, and counted.
    :param silent: write no notes to streams.
    :param max_errors: rows that may fail; ``None`` for any number. (templated)
    :param errors_path: where the rows that failed are written to, as CSV, if there are any. (templated)
    :param revert_on_failure: delete what was created if the import fails or too many rows did. What was updated stays.
    :param validate: refuse columns and default values that the server does not have; it would drop them.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks.
    :param job_timeout: seconds that a try waits for the job; ``None`` for as long as it takes.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"job_id", "created", "updated", "duplicates", "failed", "skipped", "errors_path", "size", "sha256"}``:
        numbers of records, of rows that failed (also those that ``update`` found no record for) and of those that
        EspoCRM tells nothing of; size and checksum of the file; ``errors_path`` is ``None`` if no row failed.
    :raises EspoJobError: the import failed or did not end in time, or more than ``max_errors`` rows failed.
    :raises EspoForbiddenError: the user's role has no access to *Import*, or may not create such records.
    :raises EspoUnknownNameError: a column or default value that the server does not have.
    :raises EspoInputError: the file cannot be read or is no CSV; the columns do not fit it; a wrong action.
    """

    operator_extra_links = (EspoListLink(), EspoJobLink())
    reads_files = ("path",)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "path",
        "rows",
        "columns",
        "action",
        "update_by",
        "default_values",
        "csv_format",
        "max_errors",
        "errors_path",
    )
    template_fields_renderers = {"rows": "json", "columns": "json", "default_values": "json", "csv_format": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        path: str | ObjectStoragePath | None = None,
        rows: Sequence[Mapping[str, Any]] | None = None,
        columns: Columns = None,
        action: Literal["create", "update", "createAndUpdate"] = "create",
        update_by: Sequence[str] | None = None,
        default_values: Mapping[str, Any] | None = None,
        csv_format: Mapping[str, Any] | None = None,
        skip_duplicate_check: bool = False,
        silent: bool = False,
        max_errors: int | None = 0,
        errors_path: str | ObjectStoragePath | None = None,
        revert_on_failure: bool = False,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.path = path
        self.rows = rows
        self.columns = columns
        self.action = action
        self.update_by = update_by
        self.default_values = default_values
        self.csv_format = csv_format
        self.skip_duplicate_check = skip_duplicate_check
        self.silent = silent
        self.max_errors = max_errors
        self.errors_path = errors_path
        self.revert_on_failure = revert_on_failure
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Import, wait and count."""
        result: dict[str, Any] = self.run_job(context)
        return result
