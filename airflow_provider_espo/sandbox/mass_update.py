"""Mass update: the same values for many records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH
from airflow_provider_espo.sandbox.record_input import accepted_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.users import CurrentUser

ADD, REMOVE = "add", "remove"


@dataclass(frozen=True, slots=True)
class MassUpdate:
    """What is set.

    :param values: values by attribute
    :param actions: attributes with several values that are not replaced: ``add`` or ``remove``
    """

    values: Mapping[str, Any]
    actions: Mapping[str, str]

    @classmethod
    def from_data(cls, data: Mapping[str, Any], entity_def: EntityDef, user: CurrentUser) -> MassUpdate:
        """Read the data of an action: ``values`` and ``actions``, or, as in old versions, the values themselves.

        Attributes that the user may not set are left out.

        :raises ApiError: 500 for data of a wrong type
        """
        values, actions = (data["values"], data.get("actions") or {}) if "values" in data else (data, {})
        if not isinstance(values, dict) or not isinstance(actions, dict):
            raise ApiError(500, body=CRASH)
        settable = accepted_values(entity_def, values, user, is_new=False)
        kept = {n: v for n, v in values.items() if n in settable or n not in entity_def.attributes}
        return cls(kept, actions)

    def for_record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Values for one record.

        :param record: the record as it is
        """
        found = {}
        for name, value in self.values.items():
            action, present = self.actions.get(name), record.get(name)
            found[name] = combined(action, present, value) if action in (ADD, REMOVE) else value
        return found

    @property
    def depends_on_record(self) -> bool:
        """Whether the values have to be worked out for each record."""
        return any(action in (ADD, REMOVE) for action in self.actions.values())


def combined(action: str | None, present: Any, value: Any) -> Any:
    """Items of a list, or keys of an object, added to those present or taken from them."""
    if isinstance(value, dict):
        present = present if isinstance(present, dict) else {}
        return {**present, **value} if action == ADD else {k: v for k, v in present.items() if k not in value}
    if not isinstance(value, list):
        return value
    present = present if isinstance(present, list) else []
    if action == ADD:
        return [*present, *(item for item in value if item not in present)]
    return [item for item in present if item not in value]
