"""Currency rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, php
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Context, Router


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/CurrencyRate", rates)
    router.add("PUT", "/CurrencyRate", set_rates)


def rates(context: Context) -> dict[str, Any]:
    """Worth of one unit of each currency in the base currency."""
    if not acl.may(context.user, "Currency", "read"):
        raise ApiError(403, "")
    return dict(context.sandbox.storage.settings.currency_rates)


def set_rates(context: Context) -> bool:
    """Set rates; the base currency and unknown codes are ignored."""
    if not acl.may(context.user, "Currency", "edit"):
        raise ApiError(403, "")
    settings = context.sandbox.storage.settings
    given: dict[str, float] = {}
    for code, rate in context.body.items():
        if code not in settings.currency_list or code == settings.base_currency:
            continue
        if isinstance(rate, str) and php.is_numeric(rate):
            rate = float(rate)  # noqa: PLW2901 - PHP takes a number in quotes for a number
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise ApiError(500, body=CRASH)
        if rate < 0:
            raise ApiError(400, "Bad value.")
        given[code] = rate
    context.sandbox.storage.change_rates({**settings.currency_rates, **given})
    return True
