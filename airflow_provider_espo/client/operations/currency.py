"""Currency rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from airflow_provider_espo.client.errors import EspoInputError, EspoNothingDoneError
from airflow_provider_espo.client.operations.system import settings
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_json, expect_object

_PATH = "CurrencyRate"

#: How far, in parts of the rate, two rates may be apart that are the same.
_SAME = 1e-9

#: EspoCRM rounds what has more digits than its column.
_ROUNDED = 1e-6


def get_currency_rates(state: ClientState) -> Operation[dict[str, float]]:
    """Return the currency rates: what one unit of a currency is worth in the base currency.

    :return: rates by currency code, such as ``{"USD": 1, "EUR": 1.12}``.
    :raises EspoForbiddenError: the user's role has no access to *Currency*.
    """
    outgoing = build_request("GET", _PATH)
    answer = expect_object(outgoing, (yield outgoing))
    return {str(code): float(rate) for code, rate in answer.items()}


def set_currency_rates(state: ClientState, rates: Mapping[str, Any]) -> Operation[Record]:
    """Set currency rates. May be tried again; nothing is sent where nothing differs.

    EspoCRM ignores the base currency and currencies that it does not have; that is an error here.

    :param rates: what one unit is worth in the base currency, by currency code; other currencies stay.
    :return: ``{"changed", "rates"}``: codes whose rate was set, and all rates now.
    :raises EspoInputError: a rate that is no number above 0, the base currency, or an unknown one; nothing was set.
    """
    wanted = _checked(rates)
    known = yield from settings(state)
    base, codes = known.get("baseCurrency"), known.get("currencyList") or []
    if base in wanted:
        raise EspoInputError(f"{base} is the base currency, whose rate is always 1")
    if unknown := sorted(set(wanted) - set(codes)):
        raise EspoInputError(
            f"EspoCRM has no currency {', '.join(unknown)}",
            hint=f"It has {', '.join(map(str, codes))}; an administrator adds others in Administration > Currency",
        )
    current = yield from get_currency_rates(state)
    changed = {
        code: rate for code, rate in wanted.items() if not math.isclose(current.get(code, 0.0), rate, rel_tol=_SAME)
    }
    if not changed:
        return {"changed": [], "rates": current}
    outgoing = build_request("PUT", _PATH, json=changed)
    expect_json(outgoing, (yield outgoing))
    now = yield from get_currency_rates(state)
    if lost := sorted(code for code, rate in changed.items() if not _is_taken(rate, current.get(code), now.get(code))):
        raise EspoNothingDoneError(f"EspoCRM did not take the rate of {', '.join(lost)}", method="PUT", path=_PATH)
    return {"changed": sorted(changed), "rates": now}


def _is_taken(rate: float, before: float | None, now: float | None) -> bool:
    if now is None:
        return False
    return now != before or math.isclose(now, rate, rel_tol=_ROUNDED, abs_tol=_ROUNDED)


def _checked(rates: object) -> dict[str, float]:
    if not isinstance(rates, Mapping) or not rates:
        raise EspoInputError("rates is not a dict of rates by currency code")
    checked = {}
    for code, rate in rates.items():
        if not isinstance(code, str) or not code.isalpha() or len(code) != 3:
            raise EspoInputError(f"{code!r} is not a currency code", hint="Give three letters, such as EUR")
        number = _number(rate)
        if number is None or not 0 < number < math.inf:
            raise EspoInputError(f"The rate of {code} is not a number above 0")
        checked[code.upper()] = number
    return checked


def _number(rate: object) -> float | None:
    # From a file or a template a rate comes as text.
    if isinstance(rate, bool) or not isinstance(rate, int | float | Decimal | str):
        return None
    try:
        return float(rate)
    except (ValueError, OverflowError):
        return None
