"""Transfers into EspoCRM: from files and from databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.operators.bulk_base import BulkWriteTask

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_espo.operators.bulk_sources import Source


class ObjectStorageToEspoOperator(BulkWriteTask):
    """Write the rows of files to EspoCRM: create, update, upsert or delete records.

    Works as :class:`~airflow_provider_espo.operators.bulk.EspoBulkWriteOperator` does, chunk by chunk, and is as safe
    to retry.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param operation: ``create``, ``update`` (only what differs is sent), ``upsert`` or ``delete``. (templated)
    :param path: a file (NDJSON, CSV or Parquet; ``.gz``), a folder of them, or a dataset that
        ``EspoToObjectStorageOperator`` wrote. Local path, URL of an object store (``s3://conn_id@bucket/key``), or
        ``ObjectStoragePath``. (templated)
    :param file_format: ``ndjson``, ``csv`` or ``parquet``; by default the file's name tells. (templated)
    :param empty_cells: of CSV: ``leave`` (default) sets nothing, ``clear`` sets no value. (templated)
    :param columns: which columns hold what, where they are not named as the attributes: a dict of attributes by column,
        ``None`` leaves a column out; or a list of the columns to take. (templated)
    :param match_by: attributes that make the key of a record. By default ``id`` for ``update`` and ``delete``; wanted
        by ``upsert``; with ``create`` it lets a retry find what was created, and lets an import be used. (templated)
    :param on_duplicate: of a ``create``: ``fail`` (default), ``skip``, ``update`` or ``force``. (templated)
    :param route: ``auto`` (default), ``records``, ``import`` or ``mass_action``; one that cannot be gone is an error.
        (templated)
    :param chunk_size: rows that are written before the next ones are read, 500 by default.
    :param max_failures: rows that may fail: a number, a share below 1, or ``None`` for any. (templated)
    :param results_path: folder for the result files, local or in an object store; by default none are written.
        (templated)
    :param overwrite: whether the folder may hold the results of another run, which are then removed.
    :param validate: refuse attributes that the server does not have, before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"created", "updated", "unchanged", "deleted", "skipped", "missing", "failed", "results_path",
        "route"}``.
    :raises EspoShortfallError: more rows failed than may; the others were written.
    :raises EspoInputError: no such file, no key, a route that cannot be gone, other rows than in an earlier try.
    :raises EspoUnknownNameError: a column that is no attribute.
    """

    reads_files = ("path",)
    template_fields: Sequence[str] = (*BulkWriteTask.template_fields, "path", "file_format", "empty_cells")

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        file_format: Literal["ndjson", "csv", "parquet"] | None = None,
        empty_cells: Literal["leave", "clear"] = "leave",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.file_format = file_format
        self.empty_cells = empty_cells

    def open_source(self) -> Source:
        """Return the rows."""
        from airflow_provider_espo.operators.bulk_sources import from_path

        return from_path(self.path, self.file_format, self.empty_cells)


class SqlToEspoOperator(BulkWriteTask):
    """Write the rows of a query to EspoCRM: create, update, upsert or delete records.

    For any database that Airflow has a connection to. The result is fetched as it is needed, and each row is a record,
    its columns the attributes. Works as :class:`~airflow_provider_espo.operators.bulk.EspoBulkWriteOperator` does,
    chunk by chunk, and is as safe to retry; for that the query has to give the same rows in the same order again: order
    it by a unique column.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param operation: ``create``, ``update`` (only what differs is sent), ``upsert`` or ``delete``. (templated)
    :param sql: the query, or the path of a ``.sql`` file. (templated)
    :param sql_conn_id: Airflow connection of the database. (templated)
    :param sql_parameters: values for the query's placeholders, in the driver's style. (templated)
    :param columns: which columns hold what, where they are not named as the attributes: a dict of attributes by column,
        ``None`` leaves a column out; or a list of the columns to take. (templated)
    :param match_by: attributes that make the key of a record. By default ``id`` for ``update`` and ``delete``; wanted
        by ``upsert``; with ``create`` it lets a retry find what was created, and lets an import be used. (templated)
    :param on_duplicate: of a ``create``: ``fail`` (default), ``skip``, ``update`` or ``force``. (templated)
    :param route: ``auto`` (default), ``records``, ``import`` or ``mass_action``; one that cannot be gone is an error.
        (templated)
    :param chunk_size: rows that are written before the next ones are read, 500 by default.
    :param max_failures: rows that may fail: a number, a share below 1, or ``None`` for any. (templated)
    :param results_path: folder for the result files, local or in an object store; by default none are written.
        (templated)
    :param overwrite: whether the folder may hold the results of another run, which are then removed.
    :param validate: refuse attributes that the server does not have, before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"created", "updated", "unchanged", "deleted", "skipped", "missing", "failed", "results_path",
        "route"}``.
    :raises EspoShortfallError: more rows failed than may; the others were written.
    :raises EspoStorageError: the query fails.
    :raises EspoInputError: no such connection, no key, a route that cannot be gone, other rows than in an earlier try.
    :raises EspoUnknownNameError: a column that is no attribute.
    """

    template_fields: Sequence[str] = (*BulkWriteTask.template_fields, "sql", "sql_conn_id", "sql_parameters")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"columns": "json", "sql": "sql", "sql_parameters": "json"}

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        sql_parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters

    def open_source(self) -> Source:
        """Return the rows."""
        from airflow_provider_espo.transfers.query import from_query

        return from_query(self.sql, self.sql_conn_id, self.sql_parameters)
