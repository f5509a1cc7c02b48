"""The user that a request acts for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """A user with what rights depend on.

    :param type: ``admin``, ``regular`` or ``api``
    :param team_ids: teams that the user is a member of
    :param rights: scope -> level by action, or True/False; merged over the user's roles
    :param permissions: name without ``Permission`` -> level, e.g. ``assignment``: ``all``
    """

    id: str
    user_name: str
    name: str
    type: str
    team_ids: tuple[str, ...] = ()
    rights: Mapping[str, Any] = field(default_factory=dict)
    field_rights: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    permissions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether nothing is forbidden."""
        return self.type in ("admin", "super-admin")

    @property
    def is_api(self) -> bool:
        """Whether it is a program and not a person."""
        return self.type == "api"
