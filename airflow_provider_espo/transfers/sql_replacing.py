"""A table replaced as a whole: its new rows are loaded into one beside it, and change places in one transaction.

Rows move and not names: what else hangs on the table, rights, views and indexes, stays as it is, and every database
with transactions can do it. Readers see all old rows or all new ones.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from airflow_provider_espo.transfers.sql_database import sql_errors
from airflow_provider_espo.transfers.sql_names import BESIDE

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

    from airflow_provider_espo.transfers.sql_table import Target

log = logging.getLogger(__name__)

#: Bytes of the target's name that go into the other one's, so that it is not too long for any database.
_NAME_LENGTH = 24


class Beside:
    """The table that a run loads into, beside the one that it is for.

    :param engine: of the database.
    :param target: the table that is replaced.
    :param task: what tells the task from others; tables that its earlier runs left are removed.
    :param run: what tells the run from others, the same for all its tries.
    """

    def __init__(self, engine: Engine, target: Target, *, task: str, run: str) -> None:
        import sqlalchemy as sa

        self._engine = engine
        self._target = target
        short = target.name.name.encode()[:_NAME_LENGTH].decode(errors="ignore")
        self._prefix = f"{short}{BESIDE}{_digest(task + str(target.name))}_"
        self.table: Table = sa.Table(
            self._prefix + _digest(run),
            sa.MetaData(),
            *(sa.Column(column.name, column.type, primary_key=column.primary_key) for column in target.table.columns),
            schema=target.name.schema,
        )

    def exists(self) -> bool:
        """Whether an earlier try has begun to load it."""
        import sqlalchemy as sa

        with sql_errors(f"Looking for {self.table.name}"):
            return bool(sa.inspect(self._engine).has_table(self.table.name, schema=self.table.schema))

    def make(self) -> None:
        """Make it, empty; what earlier runs of the task left behind is removed."""
        with sql_errors(f"Making {self.table.name}"):
            self._remove_all()
            with self._engine.begin() as connection:
                self.table.create(connection)

    def take_its_place(self) -> None:
        """Put its rows in the place of the target's.

        :raises EspoStorageError: the database refused it; the target is as it was.
        """
        target, names = self._target.table, [column.name for column in self._target.table.columns]
        with sql_errors(f"Replacing the rows of {self._target.name}"), self._engine.begin() as connection:
            connection.execute(target.delete())
            connection.execute(target.insert().from_select(names, self.table.select()))

    def remove(self) -> None:
        """Remove it."""
        with sql_errors(f"Removing {self.table.name}"), self._engine.begin() as connection:
            self.table.drop(connection, checkfirst=True)

    def _remove_all(self) -> None:
        import sqlalchemy as sa

        names = sa.inspect(self._engine).get_table_names(schema=self.table.schema)
        for name in names:
            if name.startswith(self._prefix):
                log.info("Removing %s, which another run left behind", name)
                with self._engine.begin() as connection:
                    sa.Table(name, sa.MetaData(), schema=self.table.schema).drop(connection, checkfirst=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
