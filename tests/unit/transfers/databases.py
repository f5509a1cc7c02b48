"""A database for the tests: SQLite in a file, or the one whose address ``ESPO_TEST_DATABASE`` has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

CONN_ID = "warehouse"


class Database:
    """Looks into the database that a task works on, as somebody else does.

    :param folder: for the file.
    """

    def __init__(self, folder: Path) -> None:
        self.uri = os.environ.get("ESPO_TEST_DATABASE") or f"sqlite:///{folder / 'warehouse.db'}"
        #: As Airflow writes it, with its own names of connection types.
        kind, _, rest = self.uri.partition("://")
        kind = {"postgresql": "postgres"}.get(kind.partition("+")[0], kind.partition("+")[0])
        self.airflow_uri = f"{kind}://{rest.removeprefix('/') if self.uri.startswith('sqlite') else rest}"
        self.engine = sa.create_engine(self.uri)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    def __call__(self, sql: str) -> list[dict[str, Any]]:
        """Carry out a statement and return its rows."""
        with self.engine.begin() as connection:
            result = connection.exec_driver_sql(sql)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    def rows(self, table: str = "leads", *columns: str) -> list[tuple[Any, ...]]:
        """Return the rows of a table, ordered by the first column."""
        names = ", ".join(f'"{column}"' for column in columns) or "*"
        return [tuple(row.values()) for row in self(f"SELECT {names} FROM {table} ORDER BY 1")]

    def ids(self, table: str = "leads") -> list[str]:
        """Return the ids in a table, in Python's order."""
        return sorted(row[0] for row in self.rows(table, "id"))

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        return sorted(sa.inspect(self.engine).get_table_names())

    def columns(self, table: str = "leads") -> dict[str, str]:
        """Return the types of a table's columns."""
        return {column["name"]: str(column["type"]) for column in sa.inspect(self.engine).get_columns(table)}

    def clear(self) -> None:
        """Remove all tables."""
        for table in self.tables():
            self(f'DROP TABLE "{table}"')


def databases(folder: Path) -> Iterator[Database]:
    """Give an empty database, for a fixture."""
    database = Database(folder)
    database.clear()
    yield database
    database.clear()
    database.engine.dispose()
