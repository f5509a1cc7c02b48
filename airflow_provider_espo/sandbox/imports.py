"""Imports: makes and updates records from the rows of a CSV file, keeps what became of each row, undoes it."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, attachments, record_input
from airflow_provider_espo.sandbox.change import Change
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.duplicates import find_duplicates
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH
from airflow_provider_espo.sandbox.import_rows import ImportParams, Row, rows_of
from airflow_provider_espo.sandbox.notes import forget
from airflow_provider_espo.sandbox.search import SearchParams, build
from airflow_provider_espo.sandbox.users import CurrentUser

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.jobs import Checkpoint

STANDBY, PENDING, IN_PROCESS, COMPLETE, FAILED = "Standby", "Pending", "In Process", "Complete", "Failed"
UPDATING = ("update", "createAndUpdate")
VALIDATION, NO_ACCESS, NOT_FOUND, BROKEN = "Validation", "No-Access", "Not-Found", "Integrity-Constraint-Violation"
#: For so long after an import its records are removed for good when it is undone.
PURGE_PERIOD = dt.timedelta(days=2)
#: Who does what background jobs do.
SYSTEM = CurrentUser(id="system", user_name="system", name="System", type="system")


@dataclass(slots=True)
class Counts:
    """What became of the rows of an import."""

    created: int = 0
    updated: int = 0


@dataclass(slots=True)
class Import:
    """An import that is being run.

    :param user: whose rights count
    :param author: who has made the records
    :param names: attributes of the columns
    """

    sandbox: Sandbox
    id: str
    entity_def: EntityDef
    names: Sequence[Any]
    params: ImportParams
    user: CurrentUser
    author: CurrentUser
    errors: int = 0
    counts: Counts = field(default_factory=Counts)

    def run(self, text: str, checkpoint: Checkpoint = lambda: None) -> Counts:
        """Import every row.

        :raises ApiError: 500 if the columns are not texts; the import then stays in process
        """
        self.set_state(IN_PROCESS)
        if self.params.header_row:
            self.errors = 1
        try:
            for index, cells in enumerate(rows_of(text, self.params.delimiter, self.params.text_qualifier)):
                if index == 0 and self.params.header_row:
                    continue
                if len(cells) == 1 and not cells[0] and len(self.names) > 1:
                    continue
                checkpoint()
                with self.sandbox.storage.transaction():
                    if self.import_row(index, cells):
                        self.sandbox.storage.update("Import", self.id, {"lastIndex": index})
        except ApiError as error:
            if error.body == CRASH:
                raise
            self.set_state(FAILED)
        else:
            self.set_state(COMPLETE)
        return self.counts

    def set_state(self, status: str) -> None:
        """State of the import record."""
        self.sandbox.storage.update("Import", self.id, {"status": status})

    def import_row(self, index: int, cells: list[str]) -> bool:
        """Import one row.

        :return: whether anything became of it
        """
        if any(not isinstance(name, str) for name in self.names):
            raise ApiError(500, body=CRASH)
        old: dict[str, Any] = {}
        if self.params.action in UPDATING:
            keys = {self.names[i]: cells[i] if i < len(cells) else None for i in self.params.update_by}
            if not keys:
                return False
            found = self.find(keys)
            if found is not None:
                storage = self.sandbox.storage
                if not acl.may_on(storage, self.user, self.entity_def, found, "edit"):
                    return self.add_error(index, cells, NO_ACCESS)
                old = self.sandbox.serializer.record(self.entity_def, found, SYSTEM) or {}
            elif self.params.action == "update":
                return self.add_error(index, cells, NOT_FOUND)
        return self.save_row(index, cells, old)

    def find(self, keys: Mapping[str, str | None]) -> str | None:
        """The record that has the values of the key columns.

        :raises ApiError: 400 for a column that is no attribute
        """
        where = [
            {"type": "isNull", "attribute": name}
            if value is None
            else {"type": "equals", "attribute": name, "value": value}
            for name, value in keys.items()
        ]
        params = SearchParams(where=tuple(where), order_by="id", order="ASC")
        storage = self.sandbox.storage
        ids = storage.column(*build(storage, self.entity_def, params, self.user).page("t.id", 1, 0))
        return ids[0] if ids else None

    def save_row(self, index: int, cells: list[str], old: dict[str, Any]) -> bool:
        """Create or update a record, unless the row breaks a rule."""
        storage, entity_def, is_new = self.sandbox.storage, self.entity_def, not old
        row = Row(entity_def, self.names, cells, self.params, old)
        row.read()
        self.find_named(row.values)
        record_id = old.get("id") or self.given_id(cells) or storage.new_id()
        tells = not self.params.silent_mode
        change = Change(entity_def, record_id, self.author, is_new, old=old, silent=True, raises_events=tells)
        hidden = acl.forbidden_fields(self.user, entity_def, "edit")
        change.values = {n: v for n, v in row.values.items() if self.is_settable(n, hidden)}
        change.given = frozenset(change.values)
        if is_new:
            change.values |= record_input.defaults(entity_def, storage.settings, change.values)
        for field_def in entity_def.fields.values():
            code = f"{field_def.name}Currency"
            if field_def.type == "currency" and field_def.name in change.values and not change.get(code):
                change.values[code] = self.params.currency or storage.settings.default_currency
        failures = [(name, "valid") for name in row.bad]
        failures += record_input.broken_rules(change, storage.settings, storage.definitions, everything=True)
        if failures:
            return self.add_error(index, cells, VALIDATION, failures)
        is_duplicate = is_new and not self.params.skip_duplicate_checking and bool(find_duplicates(storage, change))
        try:
            if is_new:
                purge(self.sandbox, entity_def, [record_id], only_deleted=True)
            self.sandbox.records.save_imported(change)
        except (ApiError, sqlite3.IntegrityError) as error:
            return self.add_error(index, cells, BROKEN if isinstance(error, sqlite3.IntegrityError) else None)
        marks = {"isImported": int(is_new), "isUpdated": int(not is_new), "isDuplicate": int(is_duplicate)}
        kept = {"importId": self.id, "entityType": entity_def.name, "entityId": record_id, **marks}
        storage.insert("ImportEntity", kept)
        self.counts.created += is_new
        self.counts.updated += not is_new
        return True

    def is_settable(self, name: str, hidden: Iterable[str]) -> bool:
        """Whether an import can set an attribute: also such as requests cannot, but not what is worked out."""
        attribute = self.entity_def.attributes.get(name)
        return (
            attribute is not None
            and attribute.source not in record_input.COMPUTED_SOURCES
            and attribute.field not in hidden
            and name not in ("deleted", "versionNumber", "modifiedAt", "modifiedById")
        )

    def given_id(self, cells: list[str]) -> str | None:
        """The id that a row wants its new record to have."""
        for name, text in zip(self.names, cells, strict=False):
            if name == "id" and text and self.params.action not in UPDATING:
                return text
        return None

    def find_named(self, values: dict[str, Any]) -> None:
        """Columns with the names of linked records: who is called so is linked."""
        storage = self.sandbox.storage
        for name in list(values):
            attribute = self.entity_def.attributes.get(name)
            if attribute is None or attribute.source != "foreign" or attribute.foreign != "name":
                continue
            link = self.entity_def.links[str(attribute.link)]
            other = storage.definitions.get(link.entity_type)
            if other is None or link.kind != "belongsTo" or link.key in values:
                continue
            where = ({"type": "equals", "attribute": "name", "value": values[name]},)
            params = SearchParams(where=where, order_by="id", order="ASC")
            ids = storage.column(*build(storage, other, params, SYSTEM, access=Everything()).page("t.id", 1, 0))
            if ids:
                values[link.key] = ids[0]

    def add_error(
        self, index: int, cells: list[str], error_type: str | None, failures: Sequence[tuple[str, str]] = ()
    ) -> bool:
        """Note that nothing became of a row."""
        found = [{"entityType": self.entity_def.name, "field": name, "type": rule} for name, rule in failures]
        row = {
            "id": self.sandbox.storage.new_id(),
            "deleted": 0,
            "importId": self.id,
            "rowIndex": index,
            "exportRowIndex": self.errors,
            "type": error_type,
            "validationFailures": json.dumps(found) if error_type == VALIDATION else None,
            "row": json.dumps(cells, ensure_ascii=False),
        }
        self.sandbox.storage.insert("ImportError", row)
        self.errors += 1
        return True


class Everything:
    """Access without bounds, for look-ups that the server makes for itself."""

    def forbidden_attributes(self, entity_type: str) -> frozenset[str]:
        """None."""
        return frozenset()

    def has_scope(self, entity_type: str) -> bool:
        """Any."""
        return True

    def can_read(self, entity_type: str, record_id: str) -> bool:
        """Every one."""
        return True


def purge(sandbox: Sandbox, entity_def: EntityDef, ids: Iterable[str], *, only_deleted: bool = False) -> None:
    """Remove records for good, with their links.

    :param only_deleted: whether to touch only those that are marked as deleted
    """
    storage = sandbox.storage
    for record_id in ids:
        deleted = storage.value(f"SELECT deleted FROM {quoted(entity_def.name)} WHERE id = ?", [record_id])
        if deleted is None or (only_deleted and not deleted):
            continue
        for link in entity_def.links.values():
            if link.kind == "manyMany":
                typed = ' AND "entityType" = ?' if link.near_type is not None else ""
                params = [record_id, *([entity_def.name] if typed else [])]
                storage.execute(f"DELETE FROM {quoted(link.middle)} WHERE {quoted(link.near_key)} = ?{typed}", params)
        for table in ("EntityEmailAddress", "EntityPhoneNumber"):
            sql = f'DELETE FROM "{table}" WHERE "entityId" = ? AND "entityType" = ?'
            storage.execute(sql, [record_id, entity_def.name])
        forget(storage, entity_def.name, [record_id])
        storage.execute(f"DELETE FROM {quoted(entity_def.name)} WHERE id = ?", [record_id])


def remove_rows(sandbox: Sandbox, record: Mapping[str, Any], mark: str, *, for_good: bool) -> None:
    """Remove the records of an import that have a mark.

    :param mark: ``isImported`` or ``isDuplicate``
    :param for_good: whether nothing is to remain, not even a deleted record
    """
    storage = sandbox.storage
    entity_def = storage.definitions[record["entityType"]]
    sql = f'SELECT "entityId" FROM "ImportEntity" WHERE "importId" = ? AND {quoted(mark)} = 1'
    with storage.transaction():
        for record_id in storage.column(sql, [record["id"]]):
            if not sandbox.exists(entity_def, record_id):
                continue
            sandbox.records.delete(entity_def, record_id, SYSTEM, authorized=True)
            if for_good:
                purge(sandbox, entity_def, [record_id])


def revert(sandbox: Sandbox, record: Mapping[str, Any]) -> None:
    """Undo an import: what it has created goes, and the import itself."""
    storage = sandbox.storage
    created = dt.datetime.strptime(f"{record['createdAt']} +0000", "%Y-%m-%d %H:%M:%S %z")
    remove_rows(sandbox, record, "isImported", for_good=storage.clock() - created < PURGE_PERIOD)
    storage.update("Import", record["id"], {"deleted": 1})


def error_file(sandbox: Sandbox, user: CurrentUser, record: Mapping[str, Any]) -> str | None:
    """The lines of a file of which nothing became, as a file.

    :return: id of its attachment; None if there are none
    """
    storage = sandbox.storage
    sql = 'SELECT "rowIndex" FROM "ImportError" WHERE "importId" = ? AND deleted = 0 ORDER BY "rowIndex"'
    indexes = storage.column(sql, [record["id"]])
    if not indexes:
        return None
    path = sandbox.files.path(record["fileId"])
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    wanted = [0, *indexes] if (record["params"] or {}).get("headerRow") else indexes
    content = b"".join(lines[index] for index in wanted if index < len(lines))
    values = {"name": "Errors_import-file.csv", "type": "text/csv", "role": "Export File"}
    return attachments.add_file(sandbox, user, values, content)
