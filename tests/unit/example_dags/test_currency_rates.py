"""What is read from a file of rates, and what of it is believed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import currency_rates
import pytest

TODAY = date(2026, 3, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rates.csv"


def test_the_newest_day_counts_that_has_come(file: Path) -> None:
    file.write_text(
        "date,currency,rate\n2026-03-03,USD,9\n2026-03-01,USD,1.1\n2026-03-01,gbp ,0.9\n2026-02-28,PLN,4.2\n"
    )
    assert currency_rates.read_rates(file, TODAY) == (date(2026, 3, 1), {"USD": 1.1, "GBP": 0.9})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no column currency, date, rate"),
        ("date,currency\n", "has no column rate"),
        ("date,currency,rate\n", "has no rates up to 2026-03-02"),
        ("date,currency,rate\n2026-03-03,USD,1.1\n", "has no rates up to 2026-03-02"),
        ("date,currency,rate\n2026-03-02,USD,1.1\n2026-03-02,GBP,n/a\n", "line 3: not a date"),
        ("date,currency,rate\n02.03.2026,USD,1.1\n", "line 2: not a date"),
        ("date,currency,rate\n2026-03-02,USD\n", "line 2: not a date"),
        ("date,currency,rate\n2026-03-02,USD,0\n", "line 2: a rate is a number above 0"),
        ("date,currency,rate\n2026-03-02,USD,nan\n", "line 2: a rate is a number above 0"),
        ("date,currency,rate\n2026-03-02,USD,inf\n", "line 2: a rate is a number above 0"),
    ],
)
def test_a_file_of_something_else_is_refused_with_the_line(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        currency_rates.read_rates(file, TODAY)


def test_rates_are_turned_into_worth_in_the_base_currency() -> None:
    # A euro is 1.12 dollars and 0.8 pounds, so a pound is 1.4 dollars.
    quoted = {"USD": 1.12, "GBP": 0.8, "PLN": 4.2}
    assert currency_rates.convert(quoted, "EUR", "USD", ["EUR", "GBP"]) == {"EUR": 1.12, "GBP": 1.4}
    assert currency_rates.convert(quoted, "EUR", "EUR", ["GBP"]) == {"GBP": 1.25}


def test_a_currency_without_a_rate_is_an_error_and_not_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="no rate for CHF, SEK"):
        currency_rates.convert({"USD": 1.12}, "EUR", "USD", ["EUR", "SEK", "CHF"])
    with pytest.raises(ValueError, match="no rate for USD"):
        currency_rates.convert({"GBP": 0.8}, "EUR", "USD", ["GBP"])


def test_a_jump_is_one_up_or_down_and_a_new_currency_is_none() -> None:
    old = {"EUR": 1.0, "GBP": 2.0, "PLN": 0.2}
    assert currency_rates.jumps({"EUR": 1.11, "GBP": 1.79, "PLN": 0.21, "SEK": 5.0}, old, 10) == ["EUR", "GBP"]
