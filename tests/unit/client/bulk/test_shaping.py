from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.bulk.shaping import Shaping, unwrapped
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.schema import EntitySchema
from tests.unit.client.fake_definitions import DEFINITIONS

SCHEMA = EntitySchema.from_entity_defs("Lead", DEFINITIONS["Lead"])


def test_columns_are_renamed_left_out_or_kept() -> None:
    shaping = Shaping({"mail": "emailAddress", "id": None})
    row = {"mail": "a@example.com", "id": 5, "lastName": "Lee"}
    assert shaping.shaped(row, SCHEMA) == {"emailAddress": "a@example.com", "lastName": "Lee"}


def test_a_list_of_columns_takes_these_only() -> None:
    shaping = Shaping(["id", "status"])
    assert shaping.shaped({"id": "a", "status": "New", "createdAt": "x"}, SCHEMA) == {"id": "a", "status": "New"}


@pytest.mark.parametrize("columns", [{"mial": "emailAddress"}, ["lastName", "mial"]])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(columns: Any) -> None:
    with pytest.raises(EspoInputError, match=r"mial.*mail"):
        Shaping(columns).check(["mail", "lastName"])


@pytest.mark.parametrize(
    "columns", ["emailAddress", {"a": "x", "b": "x"}, {"a": 5}, {5: "a"}, {"a": ""}, ["a", None], 5, {""}]
)
def test_columns_that_are_none_are_refused(columns: Any) -> None:
    with pytest.raises(EspoInputError, match="columns"):
        Shaping(columns)


def test_two_columns_for_one_attribute_are_that_rows_mistake() -> None:
    with pytest.raises(EspoInputError, match="emailAddress"):
        Shaping({"mail": "emailAddress"}).shaped({"mail": "s3cret", "emailAddress": "other"}, SCHEMA)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("opportunityAmount", " 10.5 ", 10.5),
        ("employees", "12", "12"),
        ("teamsIds", '["a", "b"]', ["a", "b"]),
        ("lastName", "12", "12"),
        ("unknown", "12", "12"),
        ("doNotCall", "true", "true"),
    ],
)
def test_texts_of_csv_become_values(name: str, text: str, value: Any) -> None:
    assert Shaping(texts=True).shaped({name: text}, SCHEMA) == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "texts"),
    [("opportunityAmount", "s3cret", True), ("employees", "12 s3cret", False), ("teamsIds", "s3cret", True)],
)
def test_a_text_that_is_no_value_is_refused_without_it(name: str, text: str, texts: bool) -> None:
    with pytest.raises(EspoInputError, match=name) as caught:
        Shaping(texts=texts).shaped({name: text}, SCHEMA)
    assert "s3cret" not in str(caught.value)


def test_values_that_are_no_texts_stay() -> None:
    row = {"opportunityAmount": 10, "teamsIds": ["a"], "employees": None, "lastName": None}
    assert Shaping(texts=True).shaped(row, SCHEMA) == row


@pytest.mark.parametrize("row", ["text", None, ["a"], 5])
def test_what_is_no_row_is_refused(row: Any) -> None:
    with pytest.raises(EspoInputError, match="not a dict"):
        Shaping().shaped(row, SCHEMA)


def test_a_line_of_a_file_with_failed_rows_gives_its_row() -> None:
    assert unwrapped({"index": 5, "error": "wrong", "row": {"a": 1}}) == {"a": 1}
    for row in ({"row": {"a": 1}}, {"index": 5, "error": "wrong", "row": "text"}, {"a": 1}, None):
        assert unwrapped(row) is row
