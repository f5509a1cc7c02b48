"""Records of EspoCRM into a table of a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.transfers import publishing
from airflow_provider_espo.transfers.extraction import ExtractionOperator
from airflow_provider_espo.transfers.object_storage import run_of
from airflow_provider_espo.transfers.publishing import DriftMode
from airflow_provider_espo.transfers.sql_names import ColumnNames, TableName

if TYPE_CHECKING:
    from airflow.sdk import Context
    from sqlalchemy import Engine

    from airflow_provider_espo.client.column_types.columns import Column
    from airflow_provider_espo.client.extraction import Part, Question
    from airflow_provider_espo.client.incremental import Window
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.transfers.sql_deletions import DeletedRows
    from airflow_provider_espo.transfers.sql_progress import LoadProgress
    from airflow_provider_espo.transfers.sql_replacing import Beside
    from airflow_provider_espo.transfers.sql_table import Target
    from airflow_provider_espo.transfers.watermarks import WatermarkStore

LoadMode = Literal["upsert", "replace"]

BATCH_ROWS = 1_000
MAX_DELETED_SHARE = 0.5

_DELETED = ("ignore", "mark", "remove")


class EspoToSqlOperator(ExtractionOperator):
    """Load records into a table of any database that Airflow has a connection to.

    The records are read by id, several ranges side by side, and written in batches: the memory needed does not grow
    with their number. ``upsert`` writes each record in place of the row with its id, other rows stay. ``replace`` loads
    all records beside the table and puts them in the place of its rows in one transaction: readers see all old rows or
    all new ones.

    A table that is not there is made, with columns by EspoCRM's metadata and the id as key. One that is there is
    checked before any data moves. Moments are in UTC, lists and maps in columns for JSON, or for text where the
    database has none.

    With ``incremental_by`` each run loads what is new since the last one; the watermark is moved after the last commit
    and kept as :class:`EspoToObjectStorageOperator` keeps it. An empty table is loaded from the beginning. With
    ``start`` or ``end``, for backfills, none is used.

    With ``partition`` it is one of several mapped tasks, see :class:`EspoPlanPartitionsOperator`; they write to one
    table, and no last task is needed. Then ``replace``, ``deleted`` and a watermark are not possible.

    Safe to retry: what was written is written again with the same result. With Airflow's task state store (3.3) a retry
    goes on where the last commit was noted.

    :param entity_type: such as ``Lead``. (templated)
    :param sql_conn_id: Airflow connection to the database. (templated)
    :param table: name of the table, with its schema before a dot or in ``schema``. (templated)
    :param schema: schema of the table; the connection's by default. (templated)
    :param mode: ``upsert`` (default) or ``replace``.
    :param create_table: make the table if it is not there.
    :param add_columns: add columns for attributes that the table has none for.
    :param column_names: ``attributes`` names columns as EspoCRM does (``emailAddress``), ``snake`` as databases like it
        (``email_address``).
    :param schema_drift: what to do about attributes without a column, or with one of a type that does not hold them:
        ``fail`` (default), or ``warn`` and leave them out.
    :param batch_rows: rows in one transaction, to the next full page.
    :param deleted: what to do, after the records, about rows whose records are no longer there or no longer match the
        filter: ``ignore`` (default), ``remove`` them, or ``mark`` them with the moment in a column ``espoDeletedAt``
        (``espo_deleted_at``). EspoCRM is asked for all ids of the table.
    :param max_deleted_share: share of the table's rows that may be gone at once; if more are, and more than a hundred,
        the task fails and touches none, as then rather a filter or a role has changed.
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param select: attributes, ``id`` comes along. By default all that the entity type itself holds: no names of linked
        records, no lists of ids, no stars. Attributes that only a single record shows (``emailAddressData``) may be
        named, at the cost of a request for each record. (templated)
    :param incremental_by: only what is new by this attribute since the last run: ``modifiedAt``, ``createdAt``, or
        ``number`` where that is an autoincrement.
    :param lag: how far a run looks back behind the end of the last one, for changes that were stored late and clocks
        that differ: seconds or a ``timedelta``, five minutes by default; for ``number`` how many numbers, 100 by
        default.
    :param start: with ``incremental_by``: only values from this on, such as ``{{ data_interval_start }}``. (templated)
    :param end: with ``incremental_by``: only values before this. (templated)
    :param watermark_key: name of the watermark; by default made of DAG, task, entity type and filter, so that another
        question begins anew. (templated)
    :param page_size: records a request, the connection's by default. (templated)
    :param parts: ranges of ids that are read side by side, by default two for each of the connection's ``max_workers``,
        fewer where there are few records. (templated)
    :param partition: one of the dicts that :class:`EspoPlanPartitionsOperator` returned; the window is the plan's.
        (templated)
    :param espo_conn_id: Airflow connection to EspoCRM. (templated)
    :return: ``{"table", "records", "deleted", "added_columns", "left_out", "watermark", "action"}``: ``records`` that
        were written, ``deleted`` rows that were removed or marked, names of columns that were added and of attributes
        that were left out, ``action`` ``upserted`` or ``replaced``.
    :raises EspoInputError: before anything is written: a connection to no database, a reserved name, a table that is
        not there, has no key or does not fit, an attribute in ``incremental_by`` that does not do.
    :raises EspoUnknownNameError: the server does not have the entity type or a name in ``select``.
    :raises EspoBadAnswerError: a value does not fit its attribute's type; it names attribute and record.
    :raises EspoStorageError: the database refused something; what was committed before stays.
    :raises EspoError: too many rows are without a record.
    """

    result_has_parts = True
    template_fields: Sequence[str] = (*ExtractionOperator.template_fields, "sql_conn_id", "table", "schema")

    def __init__(
        self,
        *,
        sql_conn_id: str,
        table: str,
        schema: str | None = None,
        mode: LoadMode = "upsert",
        create_table: bool = True,
        add_columns: bool = False,
        column_names: ColumnNames = "attributes",
        schema_drift: DriftMode = "fail",
        batch_rows: int = BATCH_ROWS,
        deleted: DeletedRows = "ignore",
        max_deleted_share: float = MAX_DELETED_SHARE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.schema = schema
        self.mode = mode
        self.create_table = create_table
        self.add_columns = add_columns
        self.column_names = column_names
        self.schema_drift = schema_drift
        self.batch_rows = batch_rows
        self.deleted = deleted
        self.max_deleted_share = max_deleted_share

    def execute(self, context: Context) -> dict[str, Any]:
        """Load."""
        from airflow_provider_espo.client.column_types.columns import columns_of
        from airflow_provider_espo.operators.lineage import table_dataset
        from airflow_provider_espo.transfers.sql_database import engine_of

        name = self._checked()
        engine = engine_of(self.sql_conn_id)
        try:
            with self.hook as hook:
                question, schema = self.ask(hook, self.select)
                within, window = self._partition(question)
                if window is not None:
                    question = question.with_attribute(window.by)
                columns = columns_of(schema, question.columns)
                result = _Load(self, context, hook, engine, question).run(name, columns, within, window)
                self.tables_written = [table_dataset(engine, name.name, name.schema)]
                return result
        finally:
            engine.dispose()

    def _checked(self) -> TableName:
        """Check what needs neither server."""
        for argument, allowed in (
            ("mode", get_args(LoadMode)),
            ("column_names", get_args(ColumnNames)),
            ("schema_drift", get_args(DriftMode)),
            ("deleted", _DELETED),
        ):
            publishing.one_of(argument, getattr(self, argument), allowed)
        number, share = self.batch_rows, self.max_deleted_share
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise EspoInputError("batch_rows is not a whole number from 1 up")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise EspoInputError("max_deleted_share is not a number from 0 to 1")
        if self.mode == "replace" and (self.incremental_by is not None or self.deleted != "ignore"):
            raise EspoInputError(
                "mode='replace' loads all records, and leaves no row of one that is gone",
                hint="Leave out incremental_by and deleted, or give mode='upsert'",
            )
        if self.partition is not None and (self.mode == "replace" or self.deleted != "ignore"):
            raise EspoInputError(
                "A mapped task knows a part of the records alone, and cannot replace or remove others",
                hint="Upsert in the mapped tasks, and let a task without partition look for deleted records",
            )
        return TableName.of(self.table, self.schema)

    def _partition(self, question: Question) -> tuple[Part | None, Window | None]:
        """Return the range and the window of a mapped task."""
        if self.partition is None:
            return None, None
        from airflow_provider_espo.transfers.mapped import Partition
        from airflow_provider_espo.transfers.watermarks import filter_fingerprint

        partition = Partition.from_dict(self.partition)
        # It looks at what all extractions have.
        partition.check(self, filter_fingerprint(question))  # type: ignore[arg-type]
        if partition.watermark_key is not None:
            raise EspoInputError(
                "The plan goes on from a watermark, which no task would move for a table",
                hint="Give start and end to the plan, such as the data interval, or load in one task",
            )
        return partition.part, partition.window


class _Load:
    """One try of a load.

    :param task: what is wanted.
    :param context: Airflow's context.
    :param hook: hook over the connection.
    :param engine: of the database.
    :param question: what is extracted, without its window.
    """

    def __init__(
        self, task: EspoToSqlOperator, context: Context, hook: EspoHook, engine: Engine, question: Question
    ) -> None:
        self._task = task
        self._context = context
        self._hook = hook
        self._engine = engine
        self._question = question

    def run(
        self, name: TableName, columns: Sequence[Column], within: Part | None, window: Window | None
    ) -> dict[str, Any]:
        """Load, and return the task's result.

        :param name: of the table.
        :param columns: of the extraction.
        :param within: range of a mapped task.
        :param window: window of a mapped task.
        """
        from airflow_provider_espo.transfers.sql_progress import LoadProgress
        from airflow_provider_espo.transfers.sql_table import TableOptions, prepare

        task = self._task
        store = self._watermark_store()
        progress = LoadProgress(self._context, *self._facts(name, columns))
        # Asked before the table is touched: it shows whether the server takes the filter, and orders by the attribute.
        window = window or self._window(progress, store, name)
        options = TableOptions(
            create=task.create_table,
            add_columns=task.add_columns,
            on_drift=task.schema_drift,
            column_names=task.column_names,
            mark=task.deleted == "mark",
        )
        asked = self._question if window is None else self._question.narrowed(*window.where())
        planned = [] if progress.parts else task.plan(self._hook, asked, within=within)
        target = prepare(self._engine, name, columns, options)
        if target.added and store is not None and window is not None and window.known is not None:
            task.log.warning(
                "Rows of records that did not change since the last run have no value in the new columns %s: delete "
                "the watermark %s to load all records again",
                ", ".join(target.added),
                store.key,
            )
        beside = self._beside(target, progress) if task.mode == "replace" else None
        if not progress.parts:
            planned = planned or task.plan(self._hook, asked, within=within)
            progress.plan(planned, window=None if window is None else window.as_dict())
            if beside is not None:
                beside.make()
        self._read(asked, target, progress, beside)
        if beside is not None:
            self._replace(beside, progress)
        deleted = self._deal_with_gone(target)
        watermark = self._move_watermark(store, window, name)
        task.log.info("%d records in %s, %d rows without a record", progress.records, name, deleted)
        return {
            "table": str(name),
            "records": progress.records,
            "deleted": deleted,
            "added_columns": list(target.added),
            "left_out": list(target.left_out),
            "watermark": watermark,
            "action": "replaced" if beside is not None else "upserted",
        }

    def _facts(self, name: TableName, columns: Sequence[Column]) -> list[object]:
        """Everything that makes this load what it is."""
        task = self._task
        return [
            self._question.fingerprint(),
            [column.to_dict() for column in columns],
            [task.sql_conn_id, str(name), task.mode, task.column_names, task.deleted],
            [task.incremental_by, str(task.lag), str(task.start), str(task.end), task.parts, task.page_size],
            dict(task.partition) if task.partition is not None else None,
        ]

    def _watermark_store(self) -> WatermarkStore | None:
        from airflow_provider_espo.transfers.watermarks import WatermarkStore, watermark_key

        task = self._task
        if not task.keeps_watermark:
            return None
        key = task.watermark_key or watermark_key(self._context, self._question, str(task.incremental_by))
        return WatermarkStore(self._context, key)

    def _window(self, progress: LoadProgress, store: WatermarkStore | None, name: TableName) -> Window | None:
        """Return the window that all tries of this run share."""
        from airflow_provider_espo.client.incremental import Window
        from airflow_provider_espo.transfers.sql_table import is_empty

        if progress.records and self._task.mode == "upsert" and is_empty(self._engine, name):
            # Somebody emptied or removed the table between two tries.
            progress.plan([])
        if progress.parts:
            self._task.log.info("Going on where an earlier try ended: %d records are written", progress.records)
            known = progress.notes.get("window")
            return None if known is None else Window.from_dict(known)
        last = None if store is None else store.read(str(self._task.incremental_by))
        if last is not None and (last.dataset not in (None, self._place(name)) or is_empty(self._engine, name)):
            self._task.log.info("The table %s is empty, or another than before: all records are loaded", name)
            last = None
        return self._task.window(self._hook, self._question, None if last is None else last.value)

    def _place(self, name: TableName) -> str:
        return f"sql:{self._task.sql_conn_id}:{name}"

    def _beside(self, target: Target, progress: LoadProgress) -> Beside:
        from airflow_provider_espo.transfers.sql_replacing import Beside

        ti = self._context["ti"]
        beside = Beside(
            self._engine,
            target,
            task=f"{ti.dag_id} {self._task.task_id}",
            run=run_of(self._context),
        )
        if progress.parts and not progress.notes.get("replaced") and not beside.exists():
            # Somebody cleaned up between two tries.
            progress.plan([])
        return beside

    def _read(self, asked: Question, target: Target, progress: LoadProgress, beside: Beside | None) -> None:
        from airflow_provider_espo.transfers.sql_writing import TableSink, TableWriter

        task, parts = self._task, progress.parts_left
        writer = TableWriter(self._engine, target, None if beside is None else beside.table)
        task.log.info("%d of %d parts are left to be read", len(parts), len(progress.parts))
        task.run_parts(
            self._hook, asked, parts, lambda part: TableSink(writer, part, progress, task.batch_rows), progress.after
        )

    def _replace(self, beside: Beside, progress: LoadProgress) -> None:
        if not progress.notes.get("replaced"):
            beside.take_its_place()
            progress.note(replaced=True)
        beside.remove()

    def _deal_with_gone(self, target: Target) -> int:
        from airflow_provider_espo.transfers.sql_deletions import find_gone, mark_gone, remove_gone

        task = self._task
        if task.deleted == "ignore":
            return 0
        gone = find_gone(self._hook, self._engine, target, self._question, task.max_deleted_share)
        if task.deleted == "remove":
            remove_gone(self._engine, target, gone)
        else:
            mark_gone(self._engine, target, gone, datetime.now(UTC).replace(microsecond=0))
        return len(gone.ids)

    def _move_watermark(self, store: WatermarkStore | None, window: Window | None, name: TableName) -> str | int | None:
        """Move the watermark, as all is committed."""
        from airflow_provider_espo.client.incremental import Watermark

        if store is None or window is None or window.watermark is None:
            return None
        store.move(Watermark(value=window.watermark, dataset=self._place(name)), window.by)
        return window.watermark
