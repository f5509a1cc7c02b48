"""Write many records, from rows, files or a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.bulk_base import BulkWriteTask

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_espo.operators.bulk_sources import Source


class EspoBulkWriteOperator(BulkWriteTask):
    """Create, update, upsert or delete many records: from rows, from files or from a query of a database.

    The rows are taken in chunks, so that a million of them need no more memory than some hundred. For each row the
    outcome is written to ``results_path``. A row that fails does not stop the others, unless more fail than
    ``max_failures``.

    How records are written is chosen chunk by chunk: by EspoCRM's own import, by mass actions, or one by one side by
    side, whatever is fastest and safe for what is to be done; the log says which and why.

    Safe to retry: a chunk that is finished is not sent again. The one that was under way is done again with a look at
    what is there: records are found by the key, and of a ``create`` without ``match_by`` by all their values, among
    those the connection's user created since the chunk began; each is taken for one row only. For that the rows have
    to be the same in the same order in each try, or the task fails. After too many failures a retry tries the rows
    again that failed, and goes on. A cleared task begins anew.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param operation: ``create``, ``update`` (only what differs is sent), ``upsert`` or ``delete``. (templated)
    :param rows: the records: a list of dicts, attributes by name. For some thousand, as they go through XCom or the DAG
        file. (templated)
    :param path: instead of rows: a file (NDJSON, CSV or Parquet; ``.gz``), a folder of them, or a dataset that
        ``EspoToObjectStorageOperator`` wrote. Local path, URL of an object store (``s3://conn_id@bucket/key``), or
        ``ObjectStoragePath``. (templated)
    :param file_format: ``ndjson``, ``csv`` or ``parquet``; by default the file's name tells. (templated)
    :param empty_cells: of CSV: ``leave`` (default) sets nothing, ``clear`` sets no value. (templated)
    :param sql: instead of rows: a query, or the path of a ``.sql`` file. Order it by a unique column. (templated)
    :param sql_conn_id: with ``sql``: Airflow connection of the database. (templated)
    :param sql_parameters: with ``sql``: values for its placeholders, in the driver's style. (templated)
    :param columns: which columns hold what, where they are not named as the attributes: a dict of attributes by column,
        ``None`` leaves a column out; or a list of the columns to take. (templated)
    :param match_by: attributes that make the key of a record. By default ``id`` for ``update`` and ``delete``; wanted
        by ``upsert``; with ``create`` it lets a retry find what was created, and lets an import be used. (templated)
    :param on_duplicate: of a ``create``, for what EspoCRM takes for a duplicate (same name or e-mail address): ``fail``
        (default) lets the row fail, ``skip`` and ``update`` leave or update the one record that agrees on
        ``match_by``, ``force`` creates all the same. (templated)
    :param route: ``auto`` (default), ``records``, ``import`` or ``mass_action``; one that cannot be gone is an error.
        (templated)
    :param chunk_size: rows that are written before the next ones are read, 500 by default.
    :param max_failures: rows that may fail: a number, a share below 1, or ``None`` for any. (templated)
    :param results_path: folder for the result files, local or in an object store; by default none are written, and what
        is finished is kept in Airflow's task state store (3.3 and later). (templated)
    :param overwrite: whether the folder may hold the results of another run, which are then removed.
    :param validate: refuse attributes that the server does not have, before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"created", "updated", "unchanged", "deleted", "skipped", "missing", "failed", "results_path",
        "route"}``: numbers of rows; ``missing`` of a ``delete`` had no record (any more). After a kill the rows of the
        chunk that was under way are counted by what the retry found: ``unchanged`` or ``missing``, maybe.
    :raises EspoShortfallError: more rows failed than may; the others were written.
    :raises EspoInputError: no rows or several sources, no key, a route that cannot be gone, other rows than in an
        earlier try, a folder with the results of another run.
    :raises EspoUnknownNameError: a column that is no attribute.
    """

    reads_files = ("path",)
    template_fields: Sequence[str] = (
        *BulkWriteTask.template_fields,
        "rows",
        "path",
        "file_format",
        "empty_cells",
        "sql",
        "sql_conn_id",
        "sql_parameters",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"rows": "json", "columns": "json", "sql": "sql", "sql_parameters": "json"}

    def __init__(
        self,
        *,
        rows: Sequence[Mapping[str, Any]] | None = None,
        path: str | ObjectStoragePath | None = None,
        file_format: Literal["ndjson", "csv", "parquet"] | None = None,
        empty_cells: Literal["leave", "clear"] = "leave",
        sql: str | None = None,
        sql_conn_id: str | None = None,
        sql_parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.path = path
        self.file_format = file_format
        self.empty_cells = empty_cells
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters

    def open_source(self) -> Source:
        """Return the rows.

        :raises EspoInputError: none or several of ``rows``, ``path`` and ``sql`` were given.
        """
        from airflow_provider_espo.operators.bulk_sources import from_list, from_path

        given = [name for name in ("rows", "path", "sql") if getattr(self, name) is not None]
        if len(given) != 1:
            raise EspoInputError(
                f"{' and '.join(given)} contradict each other" if given else "There is nothing to write from",
                hint="Give one of rows, path and sql",
            )
        if self.path is not None:
            return from_path(self.path, self.file_format, self.empty_cells)
        if self.sql is not None:
            from airflow_provider_espo.transfers.query import from_query

            return from_query(self.sql, self.sql_conn_id, self.sql_parameters)
        return from_list(self.rows)
