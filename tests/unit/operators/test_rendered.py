"""What a template may have made of an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.exceptions import EspoInputError
from airflow_provider_espo.operators.rendered import rows_to_ask_for, whole_number


@given(st.integers())
def test_a_number_and_its_text_are_the_same(number: int) -> None:
    assert whole_number("limit", number) == whole_number("limit", str(number)) == number


@given(st.text() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_anything_else_is_refused_by_name_and_not_repeated(value: object) -> None:
    try:
        expected = int(value) if isinstance(value, str) else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(EspoInputError, match=r"^limit is not a whole number\.$"):
            whole_number("limit", value)
    else:
        assert whole_number("limit", value) == expected


@given(st.none() | st.integers(0, 5000), st.integers(1, 2000))
def test_never_more_is_read_than_is_needed_to_know_that_it_is_too_much(limit: int | None, most: int) -> None:
    asked = rows_to_ask_for(limit, most)
    assert asked <= most + 1
    assert limit is None or asked <= limit
    assert asked == most + 1 or asked == limit


@pytest.mark.parametrize("most", [0, -1, "1000", None])
def test_a_bound_that_nothing_could_pass_is_refused(most: object) -> None:
    with pytest.raises(EspoInputError, match=r"^max_xcom_rows is not a whole number of 1 or more\.$"):
        rows_to_ask_for(None, most)  # type: ignore[arg-type]
