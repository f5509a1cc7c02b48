"""Where the rows of a bulk write come from: a list, a file or dataset, a query. Read as they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.paths import file_at

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_espo.client.dataset.reading import EmptyCells

#: Rows that a database hands over at a time.
_FETCHED: Final = 1000

#: What becomes of an empty cell of CSV, in our words and in those of the reader.
_EMPTY_CELLS: Final[Mapping[str, EmptyCells]] = {"leave": "omit", "clear": "none"}


@dataclass(frozen=True)
class Source:
    """Rows, and whether their values are texts.

    :param rows: read one after the other.
    :param texts: whether they come from CSV, which has nothing but texts.
    """

    rows: Iterable[Any]
    texts: bool = False


def from_list(rows: object) -> Source:
    """Return rows that were given.

    :raises EspoInputError: they are no list.
    """
    from airflow_provider_espo.client.wording import a_kind

    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise EspoInputError(
            f"rows is {a_kind(rows)} and not a list of dicts",
            hint="With a template that gives a list, set render_template_as_native_obj=True in the DAG or pass XCom's "
            "output directly",
        )
    return Source(rows)


def from_path(path: str | ObjectStoragePath, file_format: str | None, empty_cells: str) -> Source:
    """Return the rows of a file, of a folder's files, or of a dataset.

    :param path: where it is.
    :param file_format: ``ndjson``, ``csv`` or ``parquet``; by default the name tells.
    :param empty_cells: ``leave`` or ``clear``.
    :raises EspoInputError: there is no such file, or it is of no known format.
    """
    from pathlib import Path

    from airflow_provider_espo.client.dataset.folder import Folder, is_folder
    from airflow_provider_espo.client.dataset.formats import FileFormat
    from airflow_provider_espo.client.dataset.reading import Dataset, open_dataset, rows_of

    if empty_cells not in _EMPTY_CELLS:
        raise EspoInputError("empty_cells is neither leave nor clear")
    if file_format is not None:
        FileFormat.of(file_format)
    given = file_at("path", path)
    where = Path(given) if isinstance(given, str) else given
    source: Dataset | Any = where
    known = [file_format]
    if is_folder(where):
        source = open_dataset(Folder(where))
        known = [None if (one := FileFormat.of_file(name)) is None else one.name for name in source.names]
    elif file_format is None:
        known = [None if (one := FileFormat.of_file(str(where))) is None else one.name]
    rows = rows_of(source, file_format, empty_cells=_EMPTY_CELLS[empty_cells])
    return Source(rows, texts="csv" in known)


def from_query(sql: object, sql_conn_id: object, parameters: Any) -> Source:
    """Return the rows of a query.

    :param sql: one statement.
    :param sql_conn_id: Airflow connection of a database.
    :param parameters: values for the statement's placeholders, in the driver's style.
    :raises EspoInputError: there is no statement or no such connection.
    """
    if not isinstance(sql, str) or not sql.strip():
        raise EspoInputError("sql is not a statement")
    if not isinstance(sql_conn_id, str) or not sql_conn_id:
        raise EspoInputError("sql goes with sql_conn_id, the connection of a database")
    hook = database(sql_conn_id)
    return Source(_rows_of_query(hook, sql, parameters))


def database(sql_conn_id: str) -> Any:
    """Return the hook of a database connection.

    :raises EspoInputError: the connection is of another kind.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk import BaseHook

    hook = BaseHook.get_connection(sql_conn_id).get_hook()
    if not isinstance(hook, DbApiHook):
        raise EspoInputError(
            f"The connection {sql_conn_id!r} is no database", hint="Its provider has to be one with a DbApiHook"
        )
    return hook


def _rows_of_query(hook: Any, sql: str, parameters: Any) -> Iterator[dict[str, Any]]:
    with _database_errors():
        engine = _engine(hook)
        if engine is None:
            yield from _rows_of_cursor(hook, sql, parameters)
            return
        # Not all at once: the driver's own cursor would hold the whole result.
        with engine.connect().execution_options(stream_results=True, max_row_buffer=_FETCHED) as connection:
            result = connection.exec_driver_sql(sql, parameters)
            names = _names(list(result.keys()) if result.returns_rows else [])
            for row in result:
                yield dict(zip(names, row, strict=True))


def _engine(hook: Any) -> Any:
    """Return SQLAlchemy's engine; ``None`` for a database it does not know."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return hook.get_sqlalchemy_engine()
    except (NotImplementedError, ImportError, SQLAlchemyError):
        return None


def _rows_of_cursor(hook: Any, sql: str, parameters: Any) -> Iterator[dict[str, Any]]:
    with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql, *([] if parameters is None else [parameters]))
        names = _names([column[0] for column in cursor.description or ()])
        while fetched := cursor.fetchmany(_FETCHED):
            for row in fetched:
                yield dict(zip(names, row, strict=True))


def _names(names: Sequence[str]) -> Sequence[str]:
    if not names:
        raise EspoInputError("The statement returns no rows", hint="Give a SELECT")
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise EspoInputError(f"The query has more than one column {', '.join(twice)}", hint="Rename them with AS")
    return names


@contextmanager
def _database_errors() -> Iterator[None]:
    """Raise what a database refuses without the query's parameters, which hold data."""
    from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

    try:
        yield
    except DBAPIError as error:
        # Of these two the driver says which table or column it was; others may quote values.
        said = str(error.orig).splitlines() if isinstance(error, OperationalError | ProgrammingError) else []
        raise EspoInputError(
            f"The query failed ({type(error.orig).__name__}){': ' + said[0][:300] if said else ''}"
        ) from None
