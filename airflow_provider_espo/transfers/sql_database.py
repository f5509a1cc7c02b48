"""An Airflow connection to a database, and what its errors may say.

A database's error texts quote values of the row that it refused, and SQLAlchemy's the statement with its parameters.
So errors are told by their class and code; nothing of them goes into logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoInputError, EspoStorageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Attributes under which database drivers give an error's code.
_CODES = ("sqlstate", "pgcode", "sqlite_errorname", "errno")

#: Parts of an error that PostgreSQL's drivers give, and that are names.
_NAMES = ("column_name", "constraint_name")


def engine_of(conn_id: object) -> Engine:
    """Return an engine for an Airflow connection.

    :param conn_id: id of a connection to any database whose provider has a hook of Airflow's common SQL provider.
    :raises EspoInputError: there is no such connection, it is to no database, or the driver is not installed.
    """
    if not isinstance(conn_id, str) or not conn_id.strip():
        raise EspoInputError("sql_conn_id is empty", hint="Give the id of an Airflow connection to a database")
    try:
        import sqlalchemy
    except ImportError:
        raise EspoInputError("SQLAlchemy is not installed here", hint="pip install sqlalchemy") from None
    hook = _hook_of(conn_id)
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise EspoInputError(
            f"The connection {conn_id!r} is to no database",
            hint="Give a connection such as Postgres, MySQL or Sqlite, whose Airflow provider is installed",
        )
    try:
        engine: Engine = hook.get_sqlalchemy_engine({"hide_parameters": True})
    except (ImportError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise EspoInputError(
            f"There is no SQLAlchemy dialect or driver for the connection {conn_id!r} ({type(error).__name__})",
            hint="Install the database's Airflow provider with its driver",
        ) from None
    return engine


def _hook_of(conn_id: str) -> Any:
    from airflow.sdk import BaseHook

    from airflow_provider_espo import compat

    exceptions = compat.airflow_exceptions()
    connection = BaseHook.get_connection(conn_id)
    try:
        return connection.get_hook()
    except (ImportError, exceptions.AirflowException):
        raise EspoInputError(
            f"The connection {conn_id!r} is of type {connection.conn_type!r}, for which no provider is installed",
            hint="Install the database's Airflow provider, such as apache-airflow-providers-postgres",
        ) from None


@contextmanager
def sql_errors(doing: str) -> Iterator[None]:
    """Raise what goes wrong in a database without the values in it.

    :param doing: what failed then, for the message: "Writing to the table lead".
    :raises EspoStorageError: in place of SQLAlchemy's errors.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise EspoStorageError(f"{doing} failed: {told(error)}", hint="The database's own log may tell more") from None


def told(error: Exception) -> str:
    """Return what of a database's error may be shown: its class, its code, names of columns and constraints.

    :param error: SQLAlchemy's.
    """
    own: Any = getattr(error, "orig", None)
    if own is None:
        return type(error).__name__
    codes = [str(code) for name in _CODES if (code := getattr(own, name, None))]
    with suppress(AttributeError, IndexError, TypeError):
        # MySQL's drivers give the number first.
        codes += [str(own.args[0])] if isinstance(own.args[0], int) else []
    parts = [type(own).__name__, *dict.fromkeys(codes)]
    names = [str(name) for part in _NAMES if (name := getattr(getattr(own, "diag", None), part, None))]
    return " ".join([*parts, *(f"({name})" for name in names)])
