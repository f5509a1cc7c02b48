"""Users, roles and the team that a new sandbox has, with secrets of their own, and the file that tells them."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.addresses import email_book
from airflow_provider_espo.sandbox.auth import hash_password
from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.user_rules import set_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow_provider_espo.sandbox.storage import Storage

TEAM_NAME = "Airflow team"
EVERYTHING: Mapping[str, str] = {"create": "yes", "read": "all", "edit": "all", "delete": "all", "stream": "all"}
RECORD_SCOPES = (
    "Email",
    "EmailTemplate",
    "EmailTemplateCategory",
    "Template",
    "Account",
    "Call",
    "Campaign",
    "Case",
    "Contact",
    "Document",
    "DocumentFolder",
    "KnowledgeBaseArticle",
    "KnowledgeBaseCategory",
    "Lead",
    "Meeting",
    "Opportunity",
    "TargetList",
    "TargetListCategory",
    "Task",
)
SWITCH_SCOPES = (
    "EmailAccountScope",
    "ExternalAccount",
    "GlobalStream",
    "Import",
    "OpenApi",
    "Webhook",
    "WorkingTimeCalendar",
    "Activities",
    "Calendar",
)
FULL_RIGHTS: Mapping[str, Any] = {
    **{scope: dict(EVERYTHING) for scope in RECORD_SCOPES},
    **dict.fromkeys(SWITCH_SCOPES, True),
    "Currency": {"read": "yes", "edit": "yes"},
    "Team": {"read": "all"},
    "User": {"read": "all", "edit": "own"},
}
LIMITED_RIGHTS: Mapping[str, Any] = {
    **dict.fromkeys(FULL_RIGHTS, False),
    "Lead": {"create": "no", "read": "own", "edit": "no", "delete": "no", "stream": "no"},
}
LEVEL_PERMISSIONS = (
    "assignment",
    "user",
    "message",
    "groupEmailAccount",
    "followerManagement",
    "mention",
    "userCalendar",
)
SWITCH_PERMISSIONS = ("portal", "export", "massUpdate", "dataPrivacy", "audit", "lock")
ALL_PERMISSIONS: Mapping[str, str] = {
    **dict.fromkeys(LEVEL_PERMISSIONS, "all"),
    **dict.fromkeys(SWITCH_PERMISSIONS, "yes"),
}
NO_PERMISSIONS: Mapping[str, str] = dict.fromkeys(ALL_PERMISSIONS, "no")
SALES_PERMISSIONS: Mapping[str, str] = {
    **ALL_PERMISSIONS,
    **dict.fromkeys(("portal", "export", "massUpdate", "dataPrivacy", "followerManagement", "audit"), "no"),
}


@dataclass(frozen=True)
class FixtureUser:
    """A user of a new sandbox.

    :param variable: name of the user in the credentials file
    :param role: name of the role in the credentials file; None for administrators
    """

    variable: str
    user_name: str
    type: str
    role: str | None = None
    auth_method: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None


ROLES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, str]]] = {
    "full": ("Airflow full", FULL_RIGHTS, ALL_PERMISSIONS),
    "limited": ("Airflow limited", LIMITED_RIGHTS, NO_PERMISSIONS),
    "sales": ("Sales", FULL_RIGHTS, SALES_PERMISSIONS),
}
USERS = (
    FixtureUser("admin", "admin", "admin", last_name="Admin"),
    FixtureUser("api", "airflow_key", "api", "full", "ApiKey", last_name="airflow_key"),
    FixtureUser("hmac", "airflow_hmac", "api", "full", "Hmac", last_name="airflow_hmac"),
    FixtureUser("limited", "airflow_limited", "api", "limited", "ApiKey", last_name="airflow_limited"),
    FixtureUser("sales", "sales", "regular", "sales", first_name="Sally", last_name="Sales", email="sales@example.com"),
)


def ensure_fixture(storage: Storage) -> dict[str, Any]:
    """Make users, roles and team unless the database has them.

    Secrets are made once for a database and stay: who starts a sandbox anew on the same file goes on with the
    same connection.

    :return: credentials: keys, passwords, and under ``variables`` ids and user names
    """
    with storage.transaction():
        team_id = ensure(storage, "Team", "name", TEAM_NAME, {"positionList": "[]"})
        role_ids = {}
        for variable, (name, rights, permissions) in ROLES.items():
            columns = {f"{p}Permission": level for p, level in permissions.items()}
            role_ids[variable] = ensure(storage, "Role", "name", name, {**columns, "data": json.dumps(rights)})
        credentials: dict[str, Any] = {"admin_user": "admin", "sales_user": "sales"}
        variables: dict[str, str] = {"team_id": team_id}
        variables |= {f"role_{name}_id": role_ids[name] for name in ("full", "limited")}
        for user in USERS:
            variables[f"{user.variable}_user_id"] = ensure_user(
                storage, user, team_id, role_ids, credentials, creator_id=variables.get("admin_user_id")
            )
            if user.type == "api":
                variables[f"{user.variable}_user_name"] = user.user_name
    return {**credentials, "variables": variables}


def ensure(storage: Storage, entity_type: str, column: str, value: str, values: Mapping[str, Any]) -> str:
    """Id of the record with this value; made if there is none."""
    found: str | None = storage.value(
        f'SELECT id FROM "{entity_type}" WHERE "{column}" = ? AND deleted = 0',
        [value],
    )
    if found is not None:
        return found
    now, new_id = storage.now(), storage.new_id()
    row = {"id": new_id, column: value, "createdAt": now, "modifiedAt": now, **values}
    known = {a.name for a in storage.definitions[entity_type].stored_attributes()}
    storage.insert(entity_type, {name: v for name, v in row.items() if name in known})
    return new_id


def ensure_user(
    storage: Storage,
    user: FixtureUser,
    team_id: str,
    role_ids: Mapping[str, str],
    credentials: dict[str, Any],
    *,
    creator_id: str | None,
) -> str:
    """Make a user with role and team, and give it its secrets, which are added to the credentials."""
    values = {
        "type": user.type,
        "authMethod": user.auth_method,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "isActive": 1,
        "deleteId": "0",
        "createdById": creator_id,
    }
    user_id = ensure(storage, "User", "userName", user.user_name, values)
    if user.role is not None:
        relation(storage, "User", "roles", user_id).add(role_ids[user.role])
        relation(storage, "User", "teams", user_id).add(team_id)
    if user.email is not None:
        email_book(storage).set_primary("User", user_id, user.email)
    if user.type == "api":
        key = kept_secret(storage, f"{user.user_name}.key", lambda: secrets.token_hex(16))
        storage.update("User", user_id, {"apiKey": key})
        credentials["api_key" if user.variable == "api" else f"{user.variable}_api_key"] = key
        if user.auth_method == "Hmac":
            secret_key = kept_secret(storage, f"{user.user_name}.secretKey", lambda: secrets.token_hex(16))
            credentials["hmac_secret_key"] = secret_key
            set_secret(storage, f"secretKey:{user_id}", secret_key)
    else:
        password = kept_secret(storage, f"{user.user_name}.password", lambda: secrets.token_urlsafe(12))
        credentials[f"{user.variable}_password"] = password
        set_secret(storage, f"password:{user_id}", hash_password(password))
    return user_id


def kept_secret(storage: Storage, name: str, make: Callable[[], str]) -> str:
    """A secret of the fixture: the one that the database has, else a new one, which it keeps."""
    name = f"fixture:{name}"
    found: str | None = storage.value('SELECT value FROM "Secret" WHERE name = ?', [name])
    if found is None:
        found = make()
        set_secret(storage, name, found)
    return found


def write_credentials(path: Path, credentials: Mapping[str, Any]) -> None:
    """Write the credentials as JSON, readable for the owner only.

    :raises OSError: if the folder is not there or cannot be written
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(credentials, file, indent=1)
        file.write("\n")
