"""A record that is being created or updated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.users import CurrentUser


@dataclass
class Change:
    """What is known of a record while it is saved.

    :param id: id of the record, also of a new one
    :param old: attributes as stored; empty for a new record
    :param values: attributes that are set now: by the client, by defaults, by behaviours
    :param given: names of the attributes that the client set
    :param silent: whether it leaves no notes in streams
    :param raises_events: whether webhooks are told of it
    """

    entity_def: EntityDef
    id: str
    user: CurrentUser
    is_new: bool
    old: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    silent: bool = False
    raises_events: bool = True

    def get(self, name: str) -> Any:
        """The value as it will be."""
        return self.values[name] if name in self.values else self.old.get(name)

    def is_changed(self, name: str) -> bool:
        """Whether an attribute is set to something else than what is stored."""
        return name in self.values and (self.is_new or self.values[name] != self.old.get(name))

    def merged(self) -> dict[str, Any]:
        """The record as it will be."""
        return {**self.old, **self.values}
