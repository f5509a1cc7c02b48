"""What became of the records that a mass action was meant for, by looking at them.

EspoCRM's answer has a count and, of actions by ids, the ids; of a background job only a count. What it skipped it
does not say, and an answer may get lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_espo.client.comparing import changed
from airflow_provider_espo.client.operations.lost import LIST_TEXT_LIMIT
from airflow_provider_espo.client.operations.mass_targets import existing, records_by_id
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation


@dataclass(frozen=True)
class Effect:
    """What a mass action leaves behind in a record: gone, or with certain values.

    :param entity_type: such as ``Lead``.
    :param gone: whether it deletes.
    :param values: values that it sets, as they are sent.
    :param schema: the entity type's schema, where known.
    """

    entity_type: str
    gone: bool = False
    values: Mapping[str, Any] | None = None
    schema: EntitySchema | None = None

    @property
    def can_be_seen(self) -> bool:
        """Whether records tell if the action was done to them."""
        return self.gone or (bool(self.values) and all(map(self._is_listed, self.values or {})))

    def left_over(self, state: ClientState, ids: Sequence[str]) -> Operation[list[str]]:
        """Return the ids of records that the action was not done to; only if :attr:`can_be_seen`.

        A record that is not there (any more) counts as left over by an update and as done by a deletion.
        """
        if self.gone:
            return (yield from existing(state, self.entity_type, ids))
        wanted = dict(self.values or {})
        found = yield from records_by_id(state, self.entity_type, ids, ["id", *wanted])
        return [one for one in ids if one not in found or changed(self.schema, wanted, found[one])]

    def _is_listed(self, name: str) -> bool:
        """Whether a list shows the whole of the attribute, if the record has this value."""
        attribute = None if self.schema is None else self.schema.attribute(name)
        value = (self.values or {})[name]
        cut = isinstance(value, str) and len(value) >= LIST_TEXT_LIMIT
        return attribute is not None and attribute.listed and not cut
