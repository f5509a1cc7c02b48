"""Users with their rights, worked out from roles and kept until a user, role or team changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.acl import merge_fields, merge_rights, strongest
from airflow_provider_espo.sandbox.users import CurrentUser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.storage import Storage

PERMISSIONS = (
    "assignment",
    "user",
    "message",
    "portal",
    "groupEmailAccount",
    "export",
    "massUpdate",
    "dataPrivacy",
    "followerManagement",
    "audit",
    "mention",
    "userCalendar",
    "lock",
)
#: Changes of these types change what users may do.
ENTITY_TYPES = frozenset({"User", "Role", "Team"})


class UserDirectory:
    """Looks users up."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._users: dict[str, CurrentUser] = {}

    def forget(self) -> None:
        """Read everything anew with the next request."""
        self._users = {}

    def get(self, user_id: str) -> CurrentUser:
        """A user by id.

        :raises KeyError: if there is no such user
        """
        users = self._users
        if user_id not in users:
            users[user_id] = self._load(user_id)
        return users[user_id]

    def by_name(self, user_name: str) -> CurrentUser | None:
        """A user by user name, or None."""
        found = self._storage.value('SELECT id FROM "User" WHERE "userName" = ? AND deleted = 0', [user_name])
        return None if found is None else self.get(found)

    def _load(self, user_id: str) -> CurrentUser:
        entity_def = self._storage.definitions["User"]
        names = [entity_def.attributes[name] for name in ("id", "userName", "name", "type")]
        user = self._storage.load(entity_def, user_id, names)
        if user is None:
            raise KeyError(user_id)
        teams = self._storage.column('SELECT "teamId" FROM "TeamUser" WHERE "userId" = ? AND deleted = 0', [user_id])
        roles = self._storage.rows(
            'SELECT r.* FROM "Role" r WHERE r.deleted = 0 AND (r.id IN (SELECT "roleId" FROM "RoleUser"'
            ' WHERE "userId" = ? AND deleted = 0) OR r.id IN (SELECT rt."roleId" FROM "RoleTeam" rt JOIN "TeamUser" tu'
            ' ON tu."teamId" = rt."teamId" AND tu.deleted = 0 WHERE tu."userId" = ? AND rt.deleted = 0))',
            [user_id, user_id],
        )
        return CurrentUser(
            id=user["id"],
            user_name=user["userName"],
            name=user["name"] or user["userName"],
            type=user["type"],
            team_ids=tuple(teams),
            rights=merge_rights([_json(role["data"]) for role in roles]),
            field_rights=merge_fields([_json(role["fieldData"]) for role in roles]),
            permissions={name: strongest([role[f"{name}Permission"] for role in roles]) for name in PERMISSIONS},
        )


def _json(text: str | None) -> Mapping[str, Any]:
    value = json.loads(text) if text else None
    return value if isinstance(value, dict) else {}
