"""Where the sandbox keeps its records: SQLite, laid out so that search conditions can be written against it directly.

Tables (names and columns are quoted identifiers, spelled as EspoCRM spells them):

* one for each entity type, named as the type; a column for each *stored* attribute, named as the attribute;
  ``id`` is the primary key (binary order; tables are ``WITHOUT ROWID``, so that paging by id reads a
  contiguous run at any depth); ``deleted`` is 0 or 1;
* middle tables of many-to-many links: near key, distant key, (``entityType`` if shared), role columns, ``deleted``;
* ``EmailAddress`` (id, name, lower, optOut, invalid, deleted), ``EntityEmailAddress`` (entityId,
  entityType, emailAddressId, primary, deleted), ``PhoneNumber`` (id, name, numeric, type, optOut, invalid,
  deleted), ``EntityPhoneNumber``;
* ``Subscription`` (followers: entityId, entityType, userId), ``StarSubscription`` (the same),
  ``AuthToken``, ``CustomField``.

Values: bool 0/1; lists and objects JSON text; date ``YYYY-MM-DD``; datetime ``YYYY-MM-DD HH:MM:SS`` in UTC;
currency REAL. Text columns have the collation ``ESPO`` (see ``collation.py``), id and key columns are
binary, enum columns ``NOCASE``. The SQL operator ``LIKE`` is replaced by one with the same idea of equality
(``ESCAPE`` works); ``espo_rate(code)`` is the rate of a currency (NULL if unknown).

**Seam to the search** (``sandbox/search``). Its entry is::

    find(storage, entity_def, params, user, *, attributes, conditions=()) -> Collection

``params`` are the parsed search parameters, ``attributes`` the names to fetch (each has an SQL expression;
which ones a ``select`` means is decided by the caller), ``conditions`` further ``(sql, params)`` pairs that
hold (rights, the link of a list of related records), in which the root table has the alias :data:`ROOT`.
``Collection`` has ``total`` and ``rows``: dicts of attribute name to *database* value, as
:meth:`Storage.rows` gives them (``SELECT <attribute.sql("t")> AS "<name>" ... FROM "<EntityType>" t WHERE
t.deleted = 0 ...``). ``serialize.py`` turns them into records.

Threads: reading needs no lock with a database file (WAL, a connection for each thread); an in-memory
database has one connection, used by one thread at a time. Writes go through :meth:`Storage.transaction`,
one at a time in the process.
"""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import datetime as dt
import json
import math
import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from airflow_provider_espo.sandbox import collation, schema
from airflow_provider_espo.sandbox.definitions import AttributeDef, Definitions, EntityDef, quoted
from airflow_provider_espo.sandbox.settings import Settings

#: Alias of the entity type's own table in every search.
ROOT = "t"

Condition = tuple[str, Sequence[Any]]


def utc_now() -> dt.datetime:
    """The present."""
    return dt.datetime.now(dt.UTC)


class StorageError(Exception):
    """The database cannot be opened or is not a sandbox's."""


class IdGenerator:
    """Record ids as EspoCRM makes them: 17 hex digits, the first 13 from the time in microseconds, the rest random.

    Strictly increasing within the process, also when more than one is made in a microsecond.

    :param clock: gives the time
    """

    def __init__(self, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """A new id."""
        with self._lock:
            self._last = max(self._last + 1, int(self._clock().timestamp() * 1_000_000))
            seconds, microseconds = divmod(self._last, 1_000_000)
        return f"{seconds:08x}{microseconds:05x}{random.getrandbits(16):04x}"


class Storage:
    """The database of a sandbox.

    :param path: file, or ``:memory:``
    :param definitions: entity types; tables and columns are made for them
    :param settings: rates for ``espo_rate``
    :param clock: gives the time, for ids and time stamps
    :raises StorageError: if the file cannot be used
    """

    def __init__(
        self,
        path: str,
        definitions: Definitions,
        settings: Settings | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.path = path
        self.definitions = definitions
        self.settings = settings or Settings()
        self.clock = clock
        self.new_id = IdGenerator(clock)
        self._write_lock = threading.RLock()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._idle: list[sqlite3.Connection] = []
        self._memory = self._connect() if path == ":memory:" else None
        try:
            with self.transaction() as connection:
                schema.create(connection, definitions)
        except sqlite3.Error as error:
            self.close()
            raise StorageError(f"cannot use database {path}: {error}") from None

    # --- connections ---

    def _connect(self) -> sqlite3.Connection:
        if self.path != ":memory:":
            # Keys are in it: for the owner only. What stands in the way is said by the database below.
            with suppress(OSError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=30)
            connection.row_factory = sqlite3.Row
            connection.create_collation(collation.COLLATION, collation.compare)
            connection.create_function("like", 2, collation.like, deterministic=True)
            connection.create_function("like", 3, collation.like, deterministic=True)
            connection.create_function("espo_rate", 1, self._rate)
            connection.execute("PRAGMA foreign_keys = OFF")
            if self.path != ":memory:":
                if not self._connections and not is_ours(connection):
                    connection.close()
                    raise StorageError(f"cannot use database {self.path}: it belongs to another program")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise StorageError(f"cannot use database {self.path}: {error}") from None
        self._connections.append(connection)
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for this thread alone; within a transaction that of the transaction."""
        if self._memory is not None:
            with self._write_lock:
                yield self._memory
            return
        current: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if current is not None:
            yield current
            return
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all or nothing, one at a time. An inner transaction is part of the outer one."""
        with self._write_lock, self._connection() as connection:
            if connection.in_transaction:
                yield connection
                return
            self._local.connection = connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            else:
                connection.execute("COMMIT")
            finally:
                self._local.connection = None

    def close(self) -> None:
        """Close every connection."""
        with self._write_lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._idle.clear()

    def _rate(self, code: str | None) -> float | None:
        return self.settings.currency_rates.get(code) if code else None

    # --- reading ---

    def rows(self, sql: str, params: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a query as dicts of column name to database value."""
        with self._connection() as connection:
            cursor = connection.execute(sql, bound(params))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, params: Iterable[Any] = ()) -> dict[str, Any] | None:
        """The first row, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def column(self, sql: str, params: Iterable[Any] = ()) -> list[Any]:
        """The first value of each row."""
        with self._connection() as connection:
            return [row[0] for row in connection.execute(sql, bound(params))]

    def value(self, sql: str, params: Iterable[Any] = ()) -> Any:
        """The first value of the first row, or None."""
        found = self.column(sql, params)
        return found[0] if found else None

    def load(self, entity_def: EntityDef, record_id: str, attributes: Iterable[AttributeDef]) -> dict[str, Any] | None:
        """Attributes of one record, deleted or not, as JSON values; None if there is no such row."""
        chosen = [a for a in attributes if a.expression is not None]
        selected = ", ".join(f"{a.sql(ROOT)} AS {quoted(a.name)}" for a in chosen)
        found = self.row(f"SELECT {selected} FROM {quoted(entity_def.name)} {ROOT} WHERE {ROOT}.id = ?", [record_id])
        return None if found is None else {a.name: from_database(a, found[a.name]) for a in chosen}

    # --- writing ---

    def insert(self, table: str, values: Mapping[str, Any]) -> None:
        """Insert one row of database values."""
        columns = ", ".join(quoted(name) for name in values)
        marks = ", ".join("?" * len(values))
        with self.transaction() as connection:
            connection.execute(f"INSERT INTO {quoted(table)} ({columns}) VALUES ({marks})", tuple(values.values()))

    def update(self, table: str, record_id: str, values: Mapping[str, Any]) -> None:
        """Change columns of the row with this id."""
        if not values:
            return
        assignments = ", ".join(f"{quoted(name)} = ?" for name in values)
        with self.transaction() as connection:
            connection.execute(f"UPDATE {quoted(table)} SET {assignments} WHERE id = ?", (*values.values(), record_id))

    def execute(self, sql: str, params: Iterable[Any] = ()) -> int:
        """Run one writing statement.

        :return: number of rows changed
        """
        with self.transaction() as connection:
            return connection.execute(sql, tuple(params)).rowcount

    def next_number(self, name: str) -> int:
        """The next value of a counter, from 1."""
        with self.transaction() as connection:
            sql = (
                'INSERT INTO "NextNumber" (name, value) VALUES (?, 1)'
                " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
            )
            return int(connection.execute(sql, (name,)).fetchone()[0])

    def change_definition(self, entity_def: EntityDef) -> None:
        """Take a changed entity type into use; new columns are added to its table."""
        with self.transaction() as connection:
            schema.create_entity_table(connection, entity_def)
            self.definitions.replace(entity_def)

    def change_rates(self, rates: Mapping[str, float]) -> None:
        """Take other currency rates into use."""
        self.settings = replace(self.settings, currency_rates=dict(rates))

    def now(self) -> str:
        """The time as it is stored."""
        return self.clock().astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def bound(params: Iterable[Any]) -> tuple[Any, ...]:
    """Parameters as SQLite takes them: a number beyond its integers is compared as a float."""
    return tuple(as_float(p) if isinstance(p, int) and not -(2**63) <= p < 2**63 else p for p in params)


def as_float(value: int) -> float:
    """The nearest float, infinite for what is beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether a database is new or a sandbox's: tables are not to be added to what others keep their data in."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return not names or {"Secret", "EntityEmailAddress"} <= names


def to_database(attribute: AttributeDef, value: Any) -> Any:
    """A JSON value as it is stored."""
    if value is None:
        return None
    if attribute.kind == "bool":
        return int(bool(value))
    if attribute.kind in ("jsonArray", "jsonObject"):
        return json.dumps(value, ensure_ascii=False)
    if attribute.kind == "float":
        return float(value)
    return value


def from_database(attribute: AttributeDef, value: Any) -> Any:
    """A stored value as JSON shows it: whole floats as integers (PHP does so), text of JSON columns parsed."""
    if value is None:
        return None
    if attribute.kind == "bool":
        return bool(value)
    if attribute.kind in ("jsonArray", "jsonObject"):
        return json.loads(value)
    if attribute.kind == "float":
        return int(value) if value == int(value) else value
    return value
