"""Finds records that a new one may be a copy of: the same name or the same e-mail address."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.addresses import email_book
from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.storage import ROOT, Storage

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.change import Change

#: Namesakes that are looked at; rights are checked afterwards.
MOST_MATCHES = 500


def find_duplicates(storage: Storage, change: Change) -> list[str]:
    """Find records that agree in one of the type's check fields and that the user may read.

    :return: their ids, oldest first, at most five
    """
    # each check by itself, so that each can use its index
    ids: set[str] = set()
    for name in change.entity_def.duplicate_check:
        ids.update(matches(storage, change, name))
    if not ids:
        return []
    marks = ", ".join("?" * len(ids))
    where, params = f"{ROOT}.id IN ({marks})", [*ids]
    if restriction := acl.restriction(change.user, change.entity_def):
        where += f" AND {restriction[0]}"
        params += restriction[1]
    sql = (
        f"SELECT {ROOT}.id FROM {quoted(change.entity_def.name)} {ROOT}"
        f" WHERE {ROOT}.deleted = 0 AND {where} ORDER BY {ROOT}.id LIMIT ?"
    )
    return storage.column(sql, [*params, storage.settings.duplicate_max_count])


def matches(storage: Storage, change: Change, field_name: str) -> list[str]:
    """Ids of records that have the same value in one check field, whoever may read them."""
    if field_name == "emailAddress":
        addresses = given_emails(change)
        return email_book(storage).owners(change.entity_def.name, addresses) if addresses else []
    names = ["firstName", "lastName"] if field_name == "name" and change.entity_def.is_person else [field_name]
    values = [change.get(name) for name in names]
    if not all(values):
        return []
    where = " AND ".join(f"{quoted(name)} = ?" for name in names)
    sql = f"SELECT id FROM {quoted(change.entity_def.name)} WHERE {where} AND deleted = 0 ORDER BY id LIMIT ?"
    return storage.column(sql, [*values, MOST_MATCHES])


def given_emails(change: Change) -> list[str]:
    """E-mail addresses of a new record."""
    data = change.values.get("emailAddressData") or []
    found = [item.get("emailAddress") for item in data if isinstance(item, dict)]
    found.append(change.values.get("emailAddress"))
    return [address for address in found if isinstance(address, str)]
