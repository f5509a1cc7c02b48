"""A small CRM in memory and a shorthand for searching it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

from airflow_provider_espo.sandbox.definition_files import load_definitions
from airflow_provider_espo.sandbox.definitions import Definitions
from airflow_provider_espo.sandbox.search import Access, Collection, SearchParams, find
from airflow_provider_espo.sandbox.settings import Settings
from airflow_provider_espo.sandbox.storage import Storage
from airflow_provider_espo.sandbox.users import CurrentUser

Refused = Callable[..., tuple[int, str | None]]
NOW = datetime(2026, 5, 20, 10, 30, 0, tzinfo=UTC)


@cache
def _definitions() -> Definitions:
    return load_definitions()


class Crm:
    """Records, and searches that answer with what a record is called (its key in ``add``)."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.now = NOW
        self.storage = Storage(":memory:", Definitions(_definitions()), settings, clock=lambda: self.now)
        self.user = CurrentUser("me", "me", "Me", "admin")
        self.access: Access | None = None
        self._numbers = count(1)
        self._ids = {"me": "me"}

    def id(self, key: str) -> str:
        """Id of a record."""
        return self._ids[key]

    def add(self, entity_type: str, key: str, **values: Any) -> str:
        """Insert a record; values as the database holds them. E-mail addresses and phone numbers are lists."""
        record_id = f"{next(self._numbers):017x}"
        self._ids[key] = record_id
        emails, phones = values.pop("emails", ()), values.pop("phones", ())
        stored = {a.name for a in self.storage.definitions[entity_type].stored_attributes()}
        values.setdefault("createdAt", "2026-05-01 00:00:00")
        row = {name: value for name, value in values.items() if name in stored}
        assert row.keys() >= values.keys() - {"createdAt"}
        self.storage.insert(entity_type, {"id": record_id, "deleted": 0} | row)
        for i, address in enumerate(emails):
            self._attach(entity_type, record_id, "Email", address, primary=i == 0)
        for i, number in enumerate(phones):
            self._attach(entity_type, record_id, "Phone", number, primary=i == 0)
        return record_id

    def _attach(self, entity_type: str, record_id: str, kind: str, text: str, *, primary: bool) -> None:
        table, key = ("EmailAddress", "emailAddressId") if kind == "Email" else ("PhoneNumber", "phoneNumberId")
        row_id = f"{next(self._numbers):017x}"
        plain = text.lower() if kind == "Email" else "".join(c for c in text if c.isdigit())
        column = "lower" if kind == "Email" else "numeric"
        self.storage.insert(table, {"id": row_id, "name": text, column: plain, "deleted": 0})
        self.storage.insert(
            f"Entity{table}",
            {"entityId": record_id, "entityType": entity_type, key: row_id, "primary": int(primary), "deleted": 0},
        )

    def link(self, entity_type: str, key: str, link: str, *keys: str, **columns: Any) -> None:
        """Link a record with others by a many-to-many link."""
        definition = self.storage.definitions[entity_type].links[link]
        for other in keys:
            row = {definition.near_key: self._ids[key], definition.distant_key: self._ids[other], "deleted": 0}
            if definition.near_type is not None:
                row["entityType"] = definition.near_type
            self.storage.insert(definition.middle, {**row, **definition.conditions, **columns})

    def find(
        self, entity_type: str, params: SearchParams | None = None, *, no_total: bool | None = None, **raw: Any
    ) -> Collection:
        """Search, with parameters as in ``searchParams``."""
        if params is None:
            params = SearchParams.from_raw(raw)
        return find(
            self.storage,
            self.storage.definitions[entity_type],
            params,
            self.user,
            access=self.access,
            no_total=no_total,
        )

    def keys(self, entity_type: str, **raw: Any) -> list[str]:
        """What the records found are called, in order."""
        names = {record_id: key for key, record_id in self._ids.items()}
        return [names[row["id"]] for row in self.find(entity_type, **raw).rows]

    def where(self, entity_type: str, *items: Any) -> str:
        """What the records are called that match where items, in the order in which they were added, with blanks."""
        return " ".join(self.keys(entity_type, where=list(items), orderBy="id"))


def item(type_: str, attribute: str | None = None, value: Any = None, **more: Any) -> dict[str, Any]:
    """A where item."""
    raw: dict[str, Any] = {"type": type_, **more}
    if attribute is not None:
        raw["attribute"] = attribute
    if value is not None:
        raw["value"] = value
    return raw
