"""What the connection's user may do, as EspoCRM itself sums it up from roles and teams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_espo.client.wire import Operation, build_request, expect_object

_NO = (None, False, "no")
_ADMINISTRATORS = frozenset({"admin", "super-admin"})


@dataclass(frozen=True)
class Rights:
    """Rights of the connection's user.

    :param user: the user's record.
    :param table: by scope a level for each right, or one word for all.
    """

    user: Mapping[str, Any]
    table: Mapping[str, Any]

    @property
    def is_admin(self) -> bool:
        """Whether the user is an administrator, who may do everything."""
        return self.user.get("type") in _ADMINISTRATORS

    def may(self, right: str, entity_type: str) -> bool:
        """Whether the user has a right to some records of an entity type at least."""
        granted = self.table.get(entity_type)
        level = granted.get(right) if isinstance(granted, Mapping) else granted
        return self.is_admin or level not in _NO

    def has(self, scope: str) -> bool:
        """Whether the user's role allows a scope that has no levels, such as ``Import``."""
        return self.is_admin or self.table.get(scope) not in _NO


def my_rights() -> Operation[Rights]:
    """Ask for the rights of the connection's user."""
    asking = build_request("GET", "App/user")
    answer = expect_object(asking, (yield asking))
    user, acl = answer.get("user"), answer.get("acl")
    table = acl.get("table") if isinstance(acl, Mapping) else None
    return Rights(user if isinstance(user, Mapping) else {}, table if isinstance(table, Mapping) else {})
