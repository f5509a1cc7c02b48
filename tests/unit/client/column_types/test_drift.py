from __future__ import annotations

import pytest

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.drift import Drift, compare

BEFORE = [
    Column("id", "id", nullable=False),
    Column("name", "string", max_length=100),
    Column("status", "enum", options=("New",)),
    Column("amount", "decimal", scale=2),
    Column("levels", "list", items="string"),
]


def replaced(column: Column) -> list[Column]:
    return [column if it.name == column.name else it for it in BEFORE]


def test_equal_columns_have_not_drifted_whatever_their_order() -> None:
    assert not compare(BEFORE, BEFORE[::-1])
    assert compare(BEFORE, BEFORE) == Drift()


@pytest.mark.parametrize(
    "column",
    [
        Column("name", "string", max_length=255),
        Column("name", "string", max_length=50),
        Column("name", "text"),
        Column("status", "enum", options=("New", "Dead")),
        Column("status", "string"),
        Column("amount", "decimal", scale=1),
        Column("levels", "list", options=("a",), items="string"),
        Column("levels", "ids", items="id"),
    ],
)
def test_what_holds_values_of_the_same_type_fits(column: Column) -> None:
    assert not compare(BEFORE, replaced(column))


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column("name", "int"), "name (text before, integer now)"),
        (Column("amount", "float"), "amount (decimal with 2 digits behind the point before, number now)"),
        (
            Column("amount", "decimal", scale=4),
            "amount (decimal with 2 digits behind the point before, decimal with 4 digits behind the point now)",
        ),
        (Column("levels", "list"), "levels (list of texts before, JSON now)"),
        (Column("levels", "list", items="int"), "levels (list of texts before, list of integers now)"),
    ],
)
def test_another_type_is_told_in_words(column: Column, text: str) -> None:
    found = compare(BEFORE, replaced(column))
    assert found
    assert str(found) == f"of another type {text}"


def test_new_and_gone_columns_are_told_by_name() -> None:
    found = compare(BEFORE, [*BEFORE[:-1], Column("cLevel", "int"), Column("cGrade", "enum")])
    assert [column.name for column in found.added] == ["cLevel", "cGrade"]
    assert found.removed == ("levels",)
    assert str(found) == "new cLevel, cGrade; gone levels"
