"""Records into a table: each batch in a transaction of its own, a row that is there replaced by its id."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.column_types.values import misfit
from airflow_provider_espo.client.errors import EspoError, EspoStorageError
from airflow_provider_espo.transfers.sql_database import sql_errors

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

    from airflow_provider_espo.client.extraction import Page, Part
    from airflow_provider_espo.transfers.sql_progress import LoadProgress
    from airflow_provider_espo.transfers.sql_table import Target

Row = dict[str, Any]

#: Ids in one statement; some databases take no more than a thousand.
IDS_AT_ONCE = 500


class TableWriter:
    """Writes rows; may be used by several threads.

    :param engine: of the database.
    :param target: the table, and how its columns are filled.
    :param table: another table with the same columns to write to.
    """

    def __init__(self, engine: Engine, target: Target, table: Table | None = None) -> None:
        self._engine = engine
        self._target = target
        self._table = target.table if table is None else table
        self._upsert = upsert(
            engine.dialect.name,
            self._table,
            target.id_column,
            # Otherwise this driver sends each row by itself and waits, which over a network takes for ever.
            returning=engine.dialect.driver == "psycopg2" and getattr(engine.dialect, "use_insertmanyvalues", False),
        )
        # SQLite has one writer at a time, and others fail when they have waited a while.
        self._one_by_one: AbstractContextManager[Any] = (
            threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    def rows_of(self, records: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return records as rows.

        :param records: as EspoCRM gave them; an attribute that one lacks is no value.
        :raises EspoBadAnswerError: a value does not fit its attribute's type.
        """
        attributes, mark = self._target.attributes, self._target.mark
        # A record that came is there again.
        unmarked = {} if mark is None or mark not in self._table.c else {mark: None}
        rows = []
        for record in records:
            row: Row = {**unmarked}
            for name, bind in self._target.binders.items():
                column = attributes[name]
                try:
                    row[name] = bind(record.get(column.name))
                except ValueError as error:
                    raise misfit(column, record, str(error)) from None
            rows.append(row)
        return rows

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows in one transaction.

        :raises EspoStorageError: the database refused them. None of them is there then.
        :raises EspoBadAnswerError: a text holds what the database cannot.
        """
        ids = [str(row[self._target.id_column]) for row in rows]
        doing = f"Writing the records {ids[0]} to {ids[-1]} to the table {self._target.name}"
        try:
            with sql_errors(doing), self._one_by_one, self._engine.begin() as connection:
                self._upsert(connection, rows)
        except (ValueError, EspoStorageError) as error:
            # A driver's own words may hold the value.
            raise self._with_nul(rows) or (
                error
                if isinstance(error, EspoStorageError)
                else EspoStorageError(f"{doing} failed: the driver refuses a value")
            ) from None

    def _with_nul(self, rows: Sequence[Row]) -> EspoError | None:
        """Look for what some databases cannot hold, and no error of theirs names."""
        for row in rows:
            for name, column in self._target.attributes.items():
                if isinstance(row[name], str) and "\0" in row[name]:
                    record = {"id": row[self._target.id_column]}
                    return misfit(column, record, "a NUL character, which the database does not take")
        return None


class TableSink:
    """Loads the records of one part.

    :param writer: into the table.
    :param part: range of ids.
    :param progress: is told what is committed.
    :param batch_rows: rows that a transaction has at least; the pages of an extraction are not split.
    """

    def __init__(self, writer: TableWriter, part: Part, progress: LoadProgress, batch_rows: int) -> None:
        self._writer = writer
        self._part = part
        self._progress = progress
        self._batch_rows = batch_rows
        self._rows: list[Row] = []
        self._last_id = ""

    def write(self, page: Page) -> None:
        """Take a page."""
        self._rows += self._writer.rows_of(page.records)
        self._last_id = page.last_id
        if len(self._rows) >= self._batch_rows:
            self._commit()

    def finish(self) -> None:
        """Load what is left."""
        self._commit()
        self._progress.finish(self._part.number)

    def _commit(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._writer.write(rows)
            self._progress.loaded(self._part.number, self._last_id, len(rows))


def upsert(
    dialect: str, table: Table, id_column: str, *, returning: bool = False
) -> Callable[[Connection, Sequence[Row]], object]:
    """Return what writes rows, in place of those with the same ids.

    :param dialect: SQLAlchemy's name of the database.
    :param table: the table.
    :param id_column: name of its key.
    :param returning: have the ids returned, which makes SQLAlchemy send many rows in one statement.
    """
    others = [column.name for column in table.columns if column.name != id_column]
    if dialect in {"postgresql", "sqlite"}:
        from sqlalchemy.dialects import postgresql, sqlite

        insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
        statement: Any = (
            insert.on_conflict_do_update(
                index_elements=[id_column], set_={name: insert.excluded[name] for name in others}
            )
            if others
            else insert.on_conflict_do_nothing(index_elements=[id_column])
        )
        if returning:
            statement = statement.returning(table.c[id_column])
        return lambda connection, rows: connection.execute(statement, list(rows)).close()
    if dialect in {"mysql", "mariadb"}:
        from sqlalchemy.dialects import mysql

        of_mysql = mysql.insert(table)
        changed = {name: of_mysql.inserted[name] for name in others or [id_column]}
        on_key = of_mysql.on_duplicate_key_update(changed)
        return lambda connection, rows: connection.execute(on_key, list(rows))
    return lambda connection, rows: _anew(connection, table, id_column, rows)


def _anew(connection: Connection, table: Table, id_column: str, rows: Sequence[Row]) -> None:
    """Remove and insert, within the transaction."""
    remove(connection, table, id_column, [row[id_column] for row in rows])
    connection.execute(table.insert(), list(rows))


def remove(connection: Connection, table: Table, id_column: str, ids: Sequence[str]) -> None:
    """Remove rows.

    :param connection: in a transaction.
    :param table: the table.
    :param id_column: name of its key.
    :param ids: of the rows.
    """
    for start in range(0, len(ids), IDS_AT_ONCE):
        connection.execute(table.delete().where(table.c[id_column].in_(ids[start : start + IDS_AT_ONCE])))
