from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_espo.client.column_types.columns import Column, columns_of
from airflow_provider_espo.client.errors import EspoInputError, EspoUnknownNameError
from airflow_provider_espo.client.schema import EntitySchema

DEFS = {
    "fields": {
        "name": {"type": "varchar", "maxLength": 249},
        "amount": {"type": "currency", "decimal": True, "scale": 6},
        "levels": {"type": "multiEnum", "options": ["a", "b"], "maxLength": 10},
        "account": {"type": "link"},
        "numbers": {"type": "arrayInt"},
        "anything": {"type": "jsonArray"},
        "teams": {"type": "linkMultiple"},
    },
    "links": {},
}
SCHEMA = EntitySchema.from_entity_defs("Deal", DEFS)


def test_columns_follow_the_names_in_order_and_hold_what_the_metadata_says() -> None:
    assert columns_of(SCHEMA, ["amount", "id", "name", "levels", "amount"]) == (
        Column("amount", "decimal", scale=6),
        Column("id", "id", nullable=False),
        Column("name", "string", max_length=249),
        # Of a list the limit is one of its items: the column has none.
        Column("levels", "list", options=("a", "b"), items="string"),
    )


def test_lists_tell_what_their_items_are_where_that_is_sure() -> None:
    found = columns_of(SCHEMA, ["levels", "numbers", "teamsIds", "anything", "teamsNames"])
    assert [column.items for column in found] == ["string", "int", "id", None, None]


def test_a_name_that_is_no_attribute_is_refused_by_name() -> None:
    with pytest.raises(EspoUnknownNameError, match="Deal does not have the attributes account, nope"):
        columns_of(SCHEMA, ["id", "account", "nope"])


@pytest.mark.parametrize("column", columns_of(SCHEMA, ["id", "name", "amount", "levels", "accountId", "teamsIds"]))
def test_a_column_comes_back_from_json_as_it_was(column: Column) -> None:
    assert Column.from_dict(json.loads(json.dumps(column.to_dict()))) == column


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "", "kind": "int"},
        {"name": "a", "kind": "polygon"},
        {"name": "a", "kind": "int", "nullable": "no"},
        {"name": "a", "kind": "string", "max_length": "9"},
        {"name": "a", "kind": "decimal", "scale": -1},
        {"name": "a", "kind": "enum", "options": "New"},
        {"name": "a", "kind": "list", "items": "polygon"},
    ],
)
def test_what_is_no_column_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError, match="no column"):
        Column.from_dict(given)
