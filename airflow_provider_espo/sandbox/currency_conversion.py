"""Converts the amounts of records into another currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.records import Records
    from airflow_provider_espo.sandbox.settings import Settings
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Digits after the point of a converted amount.
DIGITS = 2


@dataclass(frozen=True, slots=True)
class Conversion:
    """Into which currency amounts are converted, and at which rates.

    :param rates: worth of one unit in the base currency
    """

    target: str
    rates: Mapping[str, float]

    @classmethod
    def from_data(cls, data: Mapping[str, Any], settings: Settings) -> Conversion:
        """Read the data of an action: ``targetCurrency``, and ``rates`` in place of those that are set.

        :raises ApiError: 400 without a target or without a rate for it
        """
        target, base = data.get("targetCurrency"), settings.base_currency
        if not target:
            raise ApiError(400, "No target currency.")
        rates = data.get("rates")
        if rates is None:
            rates = settings.currency_rates
        elif not isinstance(rates, dict) or not all(is_number(rate) for rate in rates.values()):
            raise ApiError(500, body=CRASH)
        if target != base and target not in rates:
            raise ApiError(400, "Target currency rate is not specified.")
        return cls(str(target), {**rates, base: 1.0})

    def changes(self, entity_def: EntityDef, record: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes of a record that the conversion sets.

        :raises ApiError: 500 if there is no rate for a currency of the record
        """
        found: dict[str, Any] = {}
        for name in currency_fields(entity_def):
            amount, code = record.get(name), record.get(f"{name}Currency")
            if amount is None or code is None or code == self.target:
                continue
            if code not in self.rates or not self.rates[self.target]:
                raise ApiError(500)
            converted = round(amount * self.rates[code] / self.rates[self.target] + 1e-9, DIGITS)
            found |= {name: converted, f"{name}Currency": self.target}
        return found

    def apply(self, records: Records, entity_def: EntityDef, record_id: str, user: CurrentUser) -> None:
        """Convert the amounts of one record."""
        found = records.stored(entity_def, record_id, user)
        records.set_values(entity_def, record_id, self.changes(entity_def, found), user)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def currency_fields(entity_def: EntityDef) -> list[str]:
    """Fields of a type that hold amounts with a currency."""
    return [f.name for f in entity_def.fields.values() if f.type == "currency" and not f.not_storable]
