"""What happens when an administrator saves a user: unique names, passwords, keys of API users."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.auth import hash_password
from airflow_provider_espo.sandbox.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.storage import Storage


def set_secret(storage: Storage, name: str, value: str) -> None:
    """Keep a secret of a user: ``password:<id>`` (as a digest) or ``secretKey:<id>``."""
    sql = 'INSERT INTO "Secret" (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value'
    storage.execute(sql, [name, value])


def check_user_name(change: Change, storage: Storage) -> None:
    """Two users cannot have the same name.

    :raises ApiError: 409
    """
    name = change.values.get("userName")
    sql = 'SELECT 1 FROM "User" WHERE "userName" = ? AND id <> ? AND deleted = 0'
    if name and change.is_changed("userName") and storage.value(sql, [name, change.id]):
        raise ApiError(409, "userNameExists")


def keep_secrets(change: Change, storage: Storage) -> None:
    """A password is kept as a digest and never shown; API users get their keys."""
    password = change.values.pop("password", None)
    change.values.pop("passwordConfirm", None)
    if password:
        set_secret(storage, f"password:{change.id}", hash_password(password))
    if change.get("type") == "api" and change.get("authMethod") and not change.get("apiKey"):
        change.values["apiKey"] = secrets.token_hex(16)
    if change.get("authMethod") == "Hmac" and (change.is_new or change.is_changed("authMethod")):
        change.values["secretKey"] = secrets.token_hex(16)
        set_secret(storage, f"secretKey:{change.id}", change.values["secretKey"])
