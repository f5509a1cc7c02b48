from __future__ import annotations

import pytest

from airflow_provider_espo.sandbox.collation import compare, like


@pytest.mark.parametrize(
    ("left", "right"), [("a", "A"), ("Müller", "MULLER"), ("Łódź", "łódź"), ("x  ", "X"), ("ß", "ss")]
)
def test_equal_but_for_case_accents_and_trailing_blanks(left: str, right: str) -> None:
    assert compare(left, right) == 0


def test_order_is_that_of_the_folded_texts() -> None:
    assert compare("Ärger", "Bach") < 0 < compare("zoo", "Éclair")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ac%", "ACME", True),
        ("%ÜL%", "Muller", True),
        ("_ther", "other", True),
        ("_ther", "ther", False),
        ("50\\%%", "50% off", True),
        ("50\\%%", "500 off", False),
        ("a.c", "abc", False),
        ("%", "", True),
        ("line%two", "line one\nline two", True),
        ("a ", "a", False),
    ],
)
def test_like(pattern: str, text: str, *, expected: bool) -> None:
    assert like(pattern, text, "\\") is expected


def test_nothing_is_like_nothing() -> None:
    assert like(None, "a") is None
    assert like("a", None) is None
