"""Query strings are read as PHP reads them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.sandbox import php

NESTED: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=8).filter(lambda text: "�" not in text),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4),
        st.dictionaries(
            st.text(alphabet="abcXYZ_-. äñ", min_size=1, max_size=5).filter(lambda key: key.strip()),
            inner,
            min_size=1,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
NAMES = st.text(alphabet="abcdefgXYZ_", min_size=1, max_size=6)


def encode(name: str, value: Any) -> list[str]:
    """Pairs for a value, as PHP's http_build_query makes them."""
    if isinstance(value, list | dict):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        return [pair for key, item in inner for pair in encode(f"{name}[{key}]", item)]
    return [f"{quote_plus(name)}={quote_plus(value)}"]


@given(st.dictionaries(NAMES, NESTED, max_size=4))
def test_what_was_encoded_comes_back(variables: dict[str, Any]) -> None:
    query = "&".join(pair for name, value in variables.items() for pair in encode(name, value))
    assert php.parse_query(query) == variables


@given(st.text())
def test_any_text_can_be_read(query: str) -> None:
    for name, value in php.parse_query(query).items():
        assert name
        assert isinstance(value, str | list | dict)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("", {}),
        ("a", {"a": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1+2%2B3", {"a": "1 2+3"}),
        ("a%5B0%5D=x", {"a": ["x"]}),
        ("=x&[a]=y", {}),
        (" a=1", {"a": "1"}),
        ("a.b c=1", {"a_b_c": "1"}),
        ("a[b.c d]=1", {"a": {"b.c d": "1"}}),
        ("a%00b=1", {"a": "1"}),
    ],
)
def test_plain_names(query: str, variables: dict[str, Any]) -> None:
    assert php.parse_query(query) == variables


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("a[]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[3]=x&a[]=y", {"a": {3: "x", 4: "y"}}),
        ("a[1]=x&a[0]=y", {"a": {1: "x", 0: "y"}}),
        ("a[0][type]=equals&a[0][value][]=1", {"a": [{"type": "equals", "value": ["1"]}]}),
        ("a[01]=x&a[-1]=y", {"a": {"01": "x", -1: "y"}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a[b]=1&a[b][c]=2", {"a": {"b": {"c": "2"}}}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b]c[d]=1", {"a": {"b": "1"}}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b.c=1", {"a_b_c": "1"}),
    ],
)
def test_brackets(query: str, variables: dict[str, Any]) -> None:
    assert php.parse_query(query) == variables


def test_pairs_beyond_the_limit_are_dropped() -> None:
    query = "&".join(f"a[]={i}" for i in range(php.MAX_INPUT_VARS + 5))
    assert len(php.parse_query(query)["a"]) == php.MAX_INPUT_VARS


def test_a_name_with_too_many_brackets_is_dropped() -> None:
    deepest = "a" + "[x]" * php.MAX_NESTING
    assert php.parse_query(f"{deepest}=1&b=2").keys() == {"a", "b"}
    assert php.parse_query(f"{deepest}[x]=1&b=2").keys() == {"b"}


@pytest.mark.parametrize("value", [None, "", "0", 0, 0.0, False, [], {}])
def test_what_is_empty(value: Any) -> None:
    assert php.is_empty(value)


@pytest.mark.parametrize("value", ["00", " ", "0.0", 1, True, [0], {"a": None}])
def test_what_is_not_empty(value: Any) -> None:
    assert not php.is_empty(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12", 12),
        (" 12abc", 12),
        ("-3", -3),
        ("1.9", 1),
        ("1e3", 1000),
        ("x", 0),
        ("", 0),
        (None, 0),
        (2.7, 2),
        (True, 1),
        ([], 0),
        ([5], 1),
    ],
)
def test_integers(value: Any, number: int) -> None:
    assert php.to_int(value) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (False, ""), (True, "1"), (3, "3"), (2.0, "2"), (2.5, "2.5"), (["a"], "Array"), ("x", "x")],
)
def test_texts(value: Any, text: str) -> None:
    assert php.to_string(value) == text


@pytest.mark.parametrize(("text", "numeric"), [("1", True), (" 1.5 ", True), ("1e5", True), ("1x", False), ("", False)])
def test_numeric_texts(text: str, numeric: bool) -> None:
    assert php.is_numeric(text) is numeric


def test_the_number_a_text_begins_with() -> None:
    assert php.leading_number("2.5 apples") == 2.5
    assert php.leading_number("apples") == 0


def test_values_of_lists_and_maps() -> None:
    assert php.values(["a", "b"]) == php.values({3: "a", 7: "b"}) == ["a", "b"]
    assert php.is_list(["a"])
    assert not php.is_list({3: "a"})
