"""Bring the day's currency rates from a CSV file into EspoCRM, unless something about them looks wrong.

Banks tell what one unit of *their* currency is worth in others; EspoCRM wants what one unit of the others is worth in
*its* base currency. A rate that jumps, is missing or is old is more often a broken file than news, and would go into
every amount that the CRM converts. So such a file fails the run before anything is set: look at it, and run again with
a wider ``max_jump`` if it is right. A second run of the same file changes nothing.
"""

from __future__ import annotations

import csv
import logging
from datetime import date
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import Param, dag, get_current_context, task

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.currency import EspoSetCurrencyRatesOperator

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowFailException

log = logging.getLogger(__name__)

HERE = Path(__file__).parent


def read_rates(path: Path, until: date) -> tuple[date, dict[str, float]]:
    """Return the newest day of a file up to a day, and that day's rates by currency code.

    :param path: CSV file with the columns ``date, currency, rate``.
    :param until: days after this one do not count yet.
    :raises ValueError: the file holds something else, or nothing for these days.
    """
    days: dict[date, dict[str, float]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if missing := {"date", "currency", "rate"} - set(reader.fieldnames or ()):
            raise ValueError(f"{path.name} has no column {', '.join(sorted(missing))}")
        for row in reader:
            try:
                day, code, rate = date.fromisoformat(row["date"]), row["currency"].strip().upper(), float(row["rate"])
            except (ValueError, TypeError, AttributeError):
                raise ValueError(f"{path.name}, line {reader.line_num}: not a date, a currency and a rate") from None
            if not 0 < rate < float("inf"):
                raise ValueError(f"{path.name}, line {reader.line_num}: a rate is a number above 0")
            if day <= until:
                days.setdefault(day, {})[code] = rate
    if not days:
        raise ValueError(f"{path.name} has no rates up to {until}")
    newest = max(days)
    return newest, days[newest]


def convert(rates: dict[str, float], quoted_in: str, base: str, codes: list[str]) -> dict[str, float]:
    """Turn "one unit of ``quoted_in`` is worth so much" into "one unit of each is worth so much of the base currency".

    :param rates: the bank's rates, by currency code.
    :param quoted_in: the bank's own currency.
    :param base: the CRM's base currency.
    :param codes: currencies to return, without the base currency.
    :raises ValueError: a currency has no rate.
    """
    known = {**rates, quoted_in: 1.0}
    if missing := sorted({base, *codes} - set(known)):
        raise ValueError(f"There is no rate for {', '.join(missing)}")
    return {code: round(known[base] / known[code], 6) for code in codes}


def jumps(new: dict[str, float], old: dict[str, float], percent: float) -> list[str]:
    """Return which currencies moved by more than so many per cent; one without an old rate did not."""
    return [code for code, rate in new.items() if code in old and abs(rate / old[code] - 1) * 100 > percent]


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Two runs at once would compare with each other's rates.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "file": Param(str(HERE / "data" / "rates.csv"), type="string", title="CSV file: date, currency, rate"),
        "quoted_in": Param(
            "EUR", type="string", pattern="^[A-Z]{3}$", title="Currency of which the file tells the worth"
        ),
        "max_jump": Param(
            10, type="number", exclusiveMinimum=0, title="Most that a rate may move at once, in per cent"
        ),
        "max_age_days": Param(None, type=["null", "integer"], minimum=0, title="Oldest rates to take; empty: any age"),
    },
)
def currency_rates() -> None:
    """See the module's text."""

    @task(multiple_outputs=False)
    def check_rates() -> dict[str, float]:
        """Read the file and compare it with what the CRM has."""
        context = get_current_context()
        params: Any = context["params"]
        today = context["dag_run"].run_after.date()
        with EspoHook() as hook:
            settings = hook.settings()
            current = hook.get_currency_rates()
        base = settings["baseCurrency"]
        codes = [code for code in settings["currencyList"] if code != base]
        try:
            day, quoted = read_rates(Path(params["file"]), until=today)
            rates = convert(quoted, params["quoted_in"], base, codes)
        except ValueError as error:
            # Trying again would not mend the file. One that is not there yet (OSError) is tried for again.
            raise AirflowFailException(str(error)) from None
        age, oldest = (today - day).days, params["max_age_days"]
        if oldest is not None and age > oldest:
            raise AirflowFailException(f"The newest rates are {age} days old, and max_age_days is {oldest}")
        # EspoCRM gives a currency that was just added the rate 1, which nobody has set.
        set_before = {code: rate for code, rate in current.items() if rate > 0 and rate != 1}
        if moved := jumps(rates, set_before, params["max_jump"]):
            raise AirflowFailException(f"More than {params['max_jump']} % off what it was: {', '.join(moved)}")
        log.info("Rates of %s in %s: %s", day, base, ", ".join(codes))
        return rates

    EspoSetCurrencyRatesOperator(task_id="set_rates", rates=check_rates())


currency_rates()
