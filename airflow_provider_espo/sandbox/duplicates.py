"""Finds records that a new one may be a copy of: the same name or the same e-mail address."""

from __future__ import annotations

from typing import Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.addresses import email_book
from airflow_provider_espo.sandbox.change import Change
from airflow_provider_espo.sandbox.storage import ROOT, Storage


def find_duplicates(storage: Storage, change: Change) -> list[str]:
    """Ids of records that agree in one of the type's check fields and that the user may read, oldest first, at most five."""
    parts: list[str] = []
    params: list[Any] = []
    for name in change.entity_def.duplicate_check:
        if name == "emailAddress":
            ids = email_book(storage).owners(change.entity_def.name, given_emails(change))
            parts.append(f"{ROOT}.id IN ({', '.join('?' * len(ids))})")
            params += ids
        elif name == "name" and change.entity_def.is_person:
            if change.get("firstName") and change.get("lastName"):
                parts.append(f'({ROOT}."firstName" = ? AND {ROOT}."lastName" = ?)')
                params += [change.get("firstName"), change.get("lastName")]
        elif change.get(name):
            parts.append(f'{ROOT}."{name}" = ?')
            params.append(change.get(name))
    if not parts:
        return []
    where = f"({' OR '.join(parts)})"
    restriction = acl.restriction(change.user, change.entity_def)
    if restriction is not None:
        where += f" AND {restriction[0]}"
        params += restriction[1]
    sql = f'SELECT {ROOT}.id FROM "{change.entity_def.name}" {ROOT} WHERE {ROOT}.deleted = 0 AND {where} ORDER BY {ROOT}.id LIMIT ?'  # noqa: S608
    return storage.column(sql, [*params, storage.settings.duplicate_max_count])


def given_emails(change: Change) -> list[str]:
    """E-mail addresses of a new record."""
    data = change.values.get("emailAddressData") or []
    found = [item.get("emailAddress") for item in data if isinstance(item, dict)]
    found.append(change.values.get("emailAddress"))
    return [address for address in found if isinstance(address, str)]
