"""Makes the tables (see ``storage.py`` for what they are) and adds columns to those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.collation import COLLATION
from airflow_provider_espo.sandbox.definitions import AttributeDef, Definitions, EntityDef, LinkDef, quoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

TYPES = {
    "id": "TEXT",
    "foreignId": "TEXT",
    "foreignType": "TEXT",
    "varchar": f"TEXT COLLATE {COLLATION}",
    "text": f"TEXT COLLATE {COLLATION}",
    "int": "INTEGER",
    "float": "REAL",
    "bool": "INTEGER",
    "date": "TEXT",
    "datetime": "TEXT",
    "jsonArray": "TEXT",
    "jsonObject": "TEXT",
}
#: Keys by which nobody looks a record up are not worth an index that every write pays for.
KEYS_WITHOUT_INDEX = frozenset({"createdById", "modifiedById"})
FLAGS = '"optOut" INTEGER DEFAULT 0, invalid INTEGER DEFAULT 0, deleted INTEGER DEFAULT 0'
SERVICE_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS "EmailAddress" (
        id TEXT PRIMARY KEY, name TEXT COLLATE {COLLATION}, lower TEXT, {FLAGS})""",
    """CREATE TABLE IF NOT EXISTS "EntityEmailAddress" (
        "entityId" TEXT, "entityType" TEXT, "emailAddressId" TEXT, "primary" INTEGER DEFAULT 0,
        deleted INTEGER DEFAULT 0, PRIMARY KEY ("entityId", "entityType", "emailAddressId")) WITHOUT ROWID""",
    f"""CREATE TABLE IF NOT EXISTS "PhoneNumber" (
        id TEXT PRIMARY KEY, name TEXT COLLATE {COLLATION}, numeric TEXT, type TEXT, {FLAGS})""",
    """CREATE TABLE IF NOT EXISTS "EntityPhoneNumber" (
        "entityId" TEXT, "entityType" TEXT, "phoneNumberId" TEXT, "primary" INTEGER DEFAULT 0,
        deleted INTEGER DEFAULT 0, PRIMARY KEY ("entityId", "entityType", "phoneNumberId")) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS "Subscription" (
        "entityId" TEXT, "entityType" TEXT, "userId" TEXT,
        PRIMARY KEY ("entityId", "entityType", "userId")) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS "StarSubscription" (
        "entityId" TEXT, "entityType" TEXT, "userId" TEXT,
        PRIMARY KEY ("entityId", "entityType", "userId")) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS "NoteReaction" (
        "noteId" TEXT, "userId" TEXT, type TEXT, PRIMARY KEY ("noteId", "userId", type)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS "ImportEntity" (
        "importId" TEXT, "entityType" TEXT, "entityId" TEXT, "isImported" INTEGER, "isUpdated" INTEGER,
        "isDuplicate" INTEGER)""",
    """CREATE TABLE IF NOT EXISTS "AuthToken" (
        token TEXT PRIMARY KEY, "userId" TEXT, secret TEXT, "isActive" INTEGER, "createdAt" TEXT)""",
    """CREATE TABLE IF NOT EXISTS "CustomField" (
        "entityType" TEXT, name TEXT, spec TEXT, PRIMARY KEY ("entityType", name))""",
    """CREATE TABLE IF NOT EXISTS "Job" (
        id TEXT PRIMARY KEY, kind TEXT, "userId" TEXT, status TEXT, begun INTEGER, "startAt" REAL, "workAt" REAL,
        data TEXT, result TEXT)""",
    """CREATE TABLE IF NOT EXISTS "WebhookEventQueueItem" (
        number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT, "targetId" TEXT, "userId" TEXT, data TEXT)""",
    """CREATE TABLE IF NOT EXISTS "WebhookQueueItem" (
        number INTEGER PRIMARY KEY AUTOINCREMENT, "webhookId" TEXT, "targetId" TEXT, data TEXT, status TEXT,
        attempts INTEGER, "processAt" REAL)""",
    'CREATE TABLE IF NOT EXISTS "Secret" (name TEXT PRIMARY KEY, value TEXT)',
    'CREATE TABLE IF NOT EXISTS "NextNumber" (name TEXT PRIMARY KEY, value INTEGER)',
)
#: Table and columns of indexes that are not stated in the data files.
SERVICE_INDEXES = (
    ("EmailAddress", ("lower",)),
    ("EntityEmailAddress", ("emailAddressId", "entityType")),
    ("PhoneNumber", ("name",)),
    ("PhoneNumber", ("numeric",)),
    ("EntityPhoneNumber", ("phoneNumberId", "entityType")),
    ("ImportEntity", ("importId",)),
    ("Job", ("status",)),
    ("WebhookQueueItem", ("status", "webhookId")),
)


def create(connection: sqlite3.Connection, definitions: Definitions) -> None:
    """Make every table that is missing and add every column that is missing."""
    for statement in SERVICE_TABLES:
        connection.execute(statement)
    for table, columns in SERVICE_INDEXES:
        create_index(connection, table, columns)
    for entity_def in definitions.values():
        create_entity_table(connection, entity_def)
    for entity_def in definitions.values():
        for link in entity_def.links.values():
            if link.kind == "manyMany":
                create_middle_table(connection, link)


def create_entity_table(connection: sqlite3.Connection, entity_def: EntityDef) -> None:
    """The table of an entity type, or the columns that it lacks."""
    table = entity_def.name
    present = columns_of(connection, table)
    if not present:
        columns = ["id TEXT PRIMARY KEY", "deleted INTEGER NOT NULL DEFAULT 0"]
        columns += [column(a, entity_def) for a in entity_def.stored_attributes() if a.name not in ("id", "deleted")]
        connection.execute(f"CREATE TABLE {quoted(table)} ({', '.join(columns)}) WITHOUT ROWID")
    else:
        for attribute in entity_def.stored_attributes():
            if attribute.name not in present:
                connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {column(attribute, entity_def)}")
    keys = [link.key for link in entity_def.links.values() if link.kind in ("belongsTo", "belongsToParent")]
    indexes = [*entity_def.indexes, *((key,) for key in keys if key not in KEYS_WITHOUT_INDEX)]
    stored = {a.name for a in entity_def.stored_attributes()}
    for index in indexes:
        if stored.issuperset(index):
            create_index(connection, table, index)


def create_middle_table(connection: sqlite3.Connection, link: LinkDef) -> None:
    """The middle table of a many-to-many link; both sides state it, the first to come makes it."""
    keys = [link.near_key, link.distant_key]
    if link.near_type is not None:
        keys.append("entityType")
    keys += [name for name in link.conditions if name not in keys]
    present = columns_of(connection, link.middle)
    if not present:
        columns = [f"{quoted(key)} TEXT NOT NULL" for key in keys] + ["deleted INTEGER NOT NULL DEFAULT 0"]
        primary = ", ".join(quoted(key) for key in keys)
        connection.execute(
            f"CREATE TABLE {quoted(link.middle)} ({', '.join(columns)}, PRIMARY KEY ({primary})) WITHOUT ROWID"
        )
        present = {*keys, "deleted"}
    for name, kind in link.columns.items():
        if name not in present:
            sql_type = "INTEGER" if kind == "bool" else f"TEXT COLLATE {COLLATION}"
            connection.execute(f"ALTER TABLE {quoted(link.middle)} ADD COLUMN {quoted(name)} {sql_type}")
    create_index(connection, link.middle, (link.distant_key, link.near_key))


def create_index(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    """An index, unless it is there."""
    name = quoted(f"{table}.{'.'.join(columns)}")
    connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {quoted(table)} ({', '.join(map(quoted, columns))})")


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """Names of a table's columns; empty if there is no such table."""
    return {row["name"] for row in connection.execute(f"PRAGMA table_info({quoted(table)})")}


def column(attribute: AttributeDef, entity_def: EntityDef) -> str:
    """A column as it is declared."""
    sql_type = TYPES[attribute.kind]
    field_def = entity_def.fields.get(attribute.field)
    if field_def is not None and field_def.type == "enum":
        sql_type = "TEXT COLLATE NOCASE"
    return f"{quoted(attribute.name)} {sql_type}"
