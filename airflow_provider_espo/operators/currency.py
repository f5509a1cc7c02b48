"""Currency rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.base import EspoOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class EspoGetCurrencyRatesOperator(EspoOperator):
    """Return the currency rates: what one unit of a currency is worth in the base currency.

    :param espo_conn_id: Airflow connection. (templated)
    :return: rates by currency code, such as ``{"USD": 1.0, "EUR": 1.12}``.
    :raises EspoForbiddenError: the user's role has no access to *Currency*.
    """

    reads = ("CurrencyRate",)
    template_fields: Sequence[str] = ("espo_conn_id",)

    def execute(self, context: Context) -> dict[str, float]:
        """Read the rates."""
        with self.hook as hook:
            return hook.get_currency_rates()


class EspoSetCurrencyRatesOperator(EspoOperator):
    """Set currency rates. Nothing is sent where nothing differs, and it may be retried.

    EspoCRM ignores the base currency and currencies that it does not have; that is an error here.

    :param rates: what one unit is worth in the base currency, by currency code; other currencies stay. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"changed", "rates"}``: codes whose rate was set, and all rates now.
    :raises EspoInputError: a rate that is no number above 0, the base currency, or an unknown one; nothing was set.
    """

    writes = ("CurrencyRate",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "rates")
    template_fields_renderers = {"rates": "json"}

    def __init__(self, *, rates: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rates = rates

    def execute(self, context: Context) -> dict[str, Any]:
        """Set the rates."""
        with self.hook as hook:
            result = hook.set_currency_rates(self.rates)
        self.log.info("Rates set: %s", ", ".join(result["changed"]) or "none, all were so already")
        return result
