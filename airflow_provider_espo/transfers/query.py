"""Rows of a query, fetched as they are needed, from any database that Airflow has a connection to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.bulk_sources import Source
from airflow_provider_espo.transfers.sql_database import engine_of, sql_errors

#: Rows that a database hands over at a time.
_FETCHED: Final = 1000


def from_query(sql: object, sql_conn_id: object, parameters: Any) -> Source:
    """Return the rows of a query.

    :param sql: one statement.
    :param sql_conn_id: Airflow connection of a database.
    :param parameters: values for the statement's placeholders, in the driver's style.
    :raises EspoInputError: there is no statement or no such connection.
    """
    if not isinstance(sql, str) or not sql.strip():
        raise EspoInputError("sql is not a statement")
    return Source(_rows(engine_of(sql_conn_id), sql, parameters))


def _rows(engine: Any, sql: str, parameters: Any) -> Iterator[dict[str, Any]]:
    given = tuple(parameters) if isinstance(parameters, list) else parameters
    try:
        with sql_errors("The query"), engine.connect() as connection:
            # Not all at once: the driver's own cursor would hold the whole result.
            streamed = connection.execution_options(stream_results=True, max_row_buffer=_FETCHED)
            with closing(streamed.exec_driver_sql(sql, given)) as result:
                names = _names(list(result.keys()) if result.returns_rows else [])
                for row in result:
                    yield dict(zip(names, row, strict=True))
    finally:
        engine.dispose()


def _names(names: Sequence[str]) -> Sequence[str]:
    if not names:
        raise EspoInputError("The statement returns no rows", hint="Give a SELECT")
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise EspoInputError(f"The query has more than one column {', '.join(twice)}", hint="Rename them with AS")
    return names
