"""What a search needs to know besides its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.search.dates import find_zone
from airflow_provider_espo.sandbox.storage import ROOT

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime, tzinfo

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser


class Access(Protocol):
    """What the caller may see; asked while a filter is checked."""

    def forbidden_attributes(self, entity_type: str) -> Collection[str]:
        """Attributes that the caller may not filter or sort by."""

    def has_scope(self, entity_type: str) -> bool:
        """Whether the caller may see anything of an entity type."""

    def can_read(self, entity_type: str, record_id: str) -> bool:
        """Whether the caller may read a record, which is there."""


class UserAccess:
    """Access as the user's roles grant it.

    :param storage: where the records are
    :param user: who asks
    """

    def __init__(self, storage: Storage, user: CurrentUser) -> None:
        self._storage = storage
        self._user = user

    def forbidden_attributes(self, entity_type: str) -> Collection[str]:
        """Attributes of the fields that no role lets the user read."""
        entity_def = self._storage.definitions[entity_type]
        fields = acl.forbidden_fields(self._user, entity_def, "read")
        # The parts of an amount are fields of their own, but nobody has a right to one of them alone.
        hidden = {name + part for name in fields for part in ("", "Currency", "Converted")}
        return frozenset(a.name for a in entity_def.attributes.values() if a.field in hidden)

    def has_scope(self, entity_type: str) -> bool:
        """Whether any action on the entity type is granted."""
        return any(acl.may(self._user, entity_type, action) for action in acl.ACTIONS)

    def can_read(self, entity_type: str, record_id: str) -> bool:
        """Whether the record is among those that the user may read."""
        entity_def = self._storage.definitions[entity_type]
        return acl.may_on(self._storage, self._user, entity_def, record_id, "read")


@dataclass(frozen=True, slots=True)
class SearchContext:
    """The surroundings of one search.

    :param storage: database, definitions, settings and clock
    :param entity_def: type that is searched
    :param user: who asks
    :param access: what they may see
    :param now: the present, the same for all parts of the search
    """

    storage: Storage
    entity_def: EntityDef
    user: CurrentUser
    access: Access
    now: datetime

    @property
    def root(self) -> str:
        """Alias of the searched type's table."""
        return ROOT

    @property
    def root_id(self) -> str:
        """The id column of the searched type."""
        return f"{ROOT}.id"

    @property
    def zone(self) -> tzinfo:
        """The server's time zone."""
        return find_zone(self.storage.settings.time_zone)

    @property
    def fiscal_shift(self) -> int:
        """Months by which a fiscal year begins after January."""
        return self.storage.settings.fiscal_year_shift

    def today(self, zone: tzinfo | None = None) -> date:
        """Today's date in a time zone (the server's if none is given)."""
        return self.now.astimezone(zone or self.zone).date()
