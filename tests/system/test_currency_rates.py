"""Rates from a file, and what keeps wrong ones out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Crm

Run = Callable[..., Any]


@pytest.fixture
def rates(crm: Crm) -> Iterator[dict[str, float]]:
    """What the CRM has before; a real one gets them back."""
    base = crm.hook.settings()["baseCurrency"]
    before = crm.hook.get_currency_rates()
    yield before
    crm.hook.set_currency_rates({code: rate for code, rate in before.items() if code != base})


@pytest.fixture
def file_of(crm: Crm, rates: dict[str, float], tmp_path: Path) -> Callable[..., str]:
    """A file, quoted in the base currency, by which each rate of the CRM moves by a factor."""

    def write(factor: float, *, day: datetime | None = None) -> str:
        base = crm.hook.settings()["baseCurrency"]
        file = tmp_path / "rates.csv"
        lines = [f"{day or _today():%Y-%m-%d},{code},{1 / (old * factor)}" for code, old in rates.items()]
        # Tomorrow's do not count yet.
        lines += [f"{_today() + timedelta(days=1):%Y-%m-%d},{code},1000" for code in rates]
        file.write_text("\n".join(["date,currency,rate", *(line for line in lines if f",{base}," not in line)]))
        return str(file)

    return write


def test_the_days_rates_get_into_the_crm_and_a_second_run_sets_none(
    crm: Crm, run_dag: Run, result_of: Callable[[Any, str], Any], rates: dict[str, float], file_of: Callable[..., str]
) -> None:
    base = crm.hook.settings()["baseCurrency"]
    others = sorted(code for code in rates if code != base)
    given = {"file": file_of(1.05), "quoted_in": base, "max_age_days": 0}
    first = run_dag("currency_rates", **given)
    assert str(first.state) == "success"
    assert result_of(first, "set_rates")["changed"] == others
    now = crm.hook.get_currency_rates()
    assert {code: now[code] for code in others} == {
        code: pytest.approx(rates[code] * 1.05, abs=1e-5) for code in others
    }

    second = run_dag("currency_rates", **given)

    assert result_of(second, "set_rates")["changed"] == []


def test_the_file_that_comes_along_is_turned_from_euros_into_the_base_currency(
    crm: Crm, run_dag: Run, rates: dict[str, float]
) -> None:
    dag_run = run_dag("currency_rates", max_jump=1e9)
    now = crm.hook.get_currency_rates()
    if set(rates) <= {"EUR", "USD", "GBP", "SEK", "PLN"}:
        assert str(dag_run.state) == "success"
        worth_of_a_euro = {"USD": 1.1204, "GBP": 0.8711, "EUR": 1}
        for code in set(rates) & set(worth_of_a_euro):
            assert now["EUR"] / now[code] == pytest.approx(worth_of_a_euro[code], rel=1e-4)
    else:
        # The file lacks a currency of this server.
        assert str(dag_run.state) == "failed"
        assert now == rates


@pytest.mark.parametrize(
    ("factor", "days_ago", "params"),
    [(1.2, 0, {}), (1.05, 0, {"max_jump": 2}), (1.05, 4, {"max_age_days": 3}), (1.05, 0, {"quoted_in": "XAU"})],
    ids=["a jump", "a jump over one's own limit", "an old file", "a base currency without a rate"],
)
def test_rates_that_look_wrong_are_not_set(
    crm: Crm,
    run_dag: Run,
    rates: dict[str, float],
    file_of: Callable[..., str],
    factor: float,
    days_ago: int,
    params: dict[str, Any],
) -> None:
    file = file_of(factor, day=_today() - timedelta(days=days_ago))
    given = {"file": file, "quoted_in": crm.hook.settings()["baseCurrency"], **params}
    assert str(run_dag("currency_rates", **given).state) == "failed"
    assert crm.hook.get_currency_rates() == rates


def _today() -> datetime:
    return datetime.now(UTC)
