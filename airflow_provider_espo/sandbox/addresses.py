"""E-mail addresses and phone numbers of records. They live in tables of their own; records share them."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import phone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_espo.sandbox.storage import Storage


class AddressBook:
    """One kind of address: e-mail addresses or phone numbers.

    :param table: table of the addresses themselves
    :param key: column of the link table that points to them
    :param value: key of an item in ``...Data`` that holds the address
    """

    def __init__(self, storage: Storage, table: str, key: str, value: str) -> None:
        self._storage = storage
        self._table = table
        self._links = f"Entity{table}"
        self._key = key
        self._value = value
        self._is_phone = table == "PhoneNumber"

    def load(self, entity_type: str, record_id: str) -> list[dict[str, Any]]:
        """The ``...Data`` list of a record, the primary first."""
        extra = "a.type" if self._is_phone else "a.lower"
        rows = self._storage.rows(
            f'SELECT a.name, {extra} AS extra, l."primary", a."optOut", a.invalid FROM "{self._links}" l'
            f' JOIN "{self._table}" a ON a.id = l."{self._key}" AND a.deleted = 0'
            ' WHERE l."entityId" = ? AND l."entityType" = ? AND l.deleted = 0 ORDER BY l."primary" DESC, a.id',
            [record_id, entity_type],
        )
        return [
            {
                self._value: row["name"],
                "type" if self._is_phone else "lower": row["extra"],
                "primary": bool(row["primary"]),
                "optOut": bool(row["optOut"]),
                "invalid": bool(row["invalid"]),
            }
            for row in rows
        ]

    def owners(self, entity_type: str, addresses: Sequence[str]) -> list[str]:
        """Ids of the records of a type that have one of the addresses."""
        column = "numeric" if self._is_phone else "lower"
        wanted = [phone.digits_of(a) if self._is_phone else a.lower() for a in addresses]
        marks = ", ".join("?" * len(wanted))
        return self._storage.column(
            f'SELECT DISTINCT l."entityId" FROM "{self._links}" l JOIN "{self._table}" a ON a.id = l."{self._key}"'
            f' WHERE a.{column} IN ({marks}) AND a.deleted = 0 AND l."entityType" = ? AND l.deleted = 0',
            [*wanted, entity_type],
        )

    def replace(
        self, entity_type: str, record_id: str, data: Sequence[Mapping[str, Any]], default_type: str = ""
    ) -> None:
        """Give a record exactly these addresses; flags are those of the address and so of every record that has it."""
        items = [item for item in data if item.get(self._value)]
        primary = next((i for i, item in enumerate(items) if item.get("primary")), 0)
        self._unlink(entity_type, record_id)
        for index, item in enumerate(items):
            flags = {name: int(bool(item[name])) for name in ("optOut", "invalid") if name in item}
            if self._is_phone and item.get("type"):
                flags["type"] = item["type"]
            address_id = self._find_or_create(str(item[self._value]), default_type, flags)
            self._link(entity_type, record_id, address_id, primary=index == primary)

    def set_primary(self, entity_type: str, record_id: str, address: str | None, default_type: str = "") -> None:
        """Put an address in the place of the primary one; None removes it, and the next becomes primary."""
        kept = [item for item in self.load(entity_type, record_id) if not item["primary"]]
        items = [{self._value: address, "primary": True}] if address else []
        known = {address.lower()} if address else set()
        items += [item for item in kept if str(item[self._value]).lower() not in known]
        self.replace(entity_type, record_id, items, default_type)

    def set_flags(self, entity_type: str, record_id: str, flags: Mapping[str, bool]) -> None:
        """Set ``optOut`` or ``invalid`` of the primary address."""
        for name, value in flags.items():
            self._storage.execute(
                f'UPDATE "{self._table}" SET "{name}" = ? WHERE id IN (SELECT "{self._key}" FROM "{self._links}"'
                ' WHERE "entityId" = ? AND "entityType" = ? AND "primary" = 1 AND deleted = 0)',
                [int(bool(value)), record_id, entity_type],
            )

    def _unlink(self, entity_type: str, record_id: str) -> None:
        self._storage.execute(
            f'DELETE FROM "{self._links}" WHERE "entityId" = ? AND "entityType" = ?',
            [record_id, entity_type],
        )

    def _link(self, entity_type: str, record_id: str, address_id: str, *, primary: bool) -> None:
        self._storage.execute(
            f'INSERT OR REPLACE INTO "{self._links}" ("entityId", "entityType", "{self._key}", "primary", deleted)'
            " VALUES (?, ?, ?, ?, 0)",
            [record_id, entity_type, address_id, int(primary)],
        )

    def id_of(self, address: str) -> str:
        """Id of an address, which is made if it is new."""
        return self._find_or_create(address, "", {})

    def _find_or_create(self, address: str, default_type: str, values: Mapping[str, Any]) -> str:
        address = phone.canonical(address) if self._is_phone else address.strip()
        column, wanted = ("name", address) if self._is_phone else ("lower", address.lower())
        found: str | None = self._storage.value(
            f'SELECT id FROM "{self._table}" WHERE {column} = ? AND deleted = 0',
            [wanted],
        )
        if found is not None:
            self._storage.update(self._table, found, values)
            return found
        new_id = self._storage.new_id()
        own = (
            {"numeric": phone.digits_of(address), "type": default_type}
            if self._is_phone
            else {"lower": address.lower()}
        )
        self._storage.insert(self._table, {"id": new_id, "name": address, **own, **values})
        return new_id


def email_book(storage: Storage) -> AddressBook:
    """E-mail addresses."""
    return AddressBook(storage, "EmailAddress", "emailAddressId", "emailAddress")


def phone_book(storage: Storage) -> AddressBook:
    """Phone numbers."""
    return AddressBook(storage, "PhoneNumber", "phoneNumberId", "phoneNumber")
