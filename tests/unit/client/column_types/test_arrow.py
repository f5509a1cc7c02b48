from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.column_types.arrow import arrow_batch, arrow_schema
from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.values import converter
from airflow_provider_espo.client.errors import EspoBadAnswerError

COLUMNS = [
    Column("id", "id", nullable=False),
    Column("name", "string", max_length=100),
    Column("count", "int"),
    Column("rate", "float"),
    Column("amount", "decimal", scale=4),
    Column("open", "bool"),
    Column("day", "date"),
    Column("at", "datetime"),
    Column("teamsIds", "ids", items="id"),
    Column("numbers", "list", items="int"),
    Column("reminders", "list"),
    Column("teamsNames", "names"),
    Column("shown", "any"),
]


def batch(records: list[dict[str, Any]], columns: list[Column] = COLUMNS) -> pa.RecordBatch:
    return arrow_batch(columns, arrow_schema(columns), records)


def test_the_schema_has_types_and_tells_where_text_is_json() -> None:
    schema = arrow_schema(COLUMNS)
    assert {field.name: str(field.type) for field in schema} == {
        "id": "string",
        "name": "string",
        "count": "int64",
        "rate": "double",
        "amount": "decimal128(38, 4)",
        "open": "bool",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "teamsIds": "list<item: string>",
        "numbers": "list<item: int64>",
        "reminders": "string",
        "teamsNames": "string",
        "shown": "string",
    }
    assert [field.name for field in schema if (field.metadata or {}).get(b"content") == b"json"] == [
        "reminders",
        "teamsNames",
    ]
    assert [field.name for field in schema if not field.nullable] == ["id"]


def test_a_record_keeps_its_values() -> None:
    found = batch(
        [
            {
                "id": "1",
                "name": "Zoë",
                "count": 3,
                "rate": 1,
                "amount": "10.5",
                "open": True,
                "day": "2026-03-01",
                "at": "2026-03-01 06:00:07",
                "teamsIds": ["a"],
                "numbers": [1, 2],
                "reminders": [{"seconds": 60}],
                "teamsNames": {"a": "Sales"},
                "shown": "Customer",
                "assignedUserId": "not asked for",
            }
        ]
    ).to_pylist()
    assert found == [
        {
            "id": "1",
            "name": "Zoë",
            "count": 3,
            "rate": 1.0,
            "amount": Decimal("10.5000"),
            "open": True,
            "day": date(2026, 3, 1),
            "at": datetime(2026, 3, 1, 6, 0, 7, tzinfo=UTC),
            "teamsIds": ["a"],
            "numbers": [1, 2],
            "reminders": '[{"seconds":60}]',
            "teamsNames": '{"a":"Sales"}',
            "shown": "Customer",
        }
    ]


def test_attributes_that_a_record_lacks_are_null() -> None:
    (found,) = batch([{"id": "1"}]).to_pylist()
    assert {name for name, value in found.items() if value is not None} == {"id"}


def test_no_records_are_a_batch_without_rows() -> None:
    assert batch([]).num_rows == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("a", "int"), 1.5),
        (Column("a", "string"), ["x"]),
        (Column("a", "list", items="string"), "abc"),
        (Column("a", "datetime"), "0000-00-00 00:00:00"),
        (Column("a", "date"), "soon"),
        (Column("a", "bool"), "yes"),
        (Column("a", "decimal", scale=1), "1.25"),
        (Column("a", "float"), "much"),
        (Column("a", "string", nullable=False), None),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_attribute_and_record(column: Column, value: Any) -> None:
    good = {"int": 1, "string": "x", "datetime": "2026-03-01 06:00:00", "date": "2026-03-01", "bool": True}
    columns = [Column("id", "id"), column]
    with pytest.raises(EspoBadAnswerError, match="a of record 2 does not fit") as caught:
        batch(
            [
                {"id": "1", "a": good.get(column.kind)} | ({"a": "x"} if not column.nullable else {}),
                {"id": "2", "a": value},
            ],
            columns,
        )
    assert repr(value) not in str(caught.value)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.text(st.characters(exclude_categories=["Cs"])),
    "count": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9).map(float) | st.integers(0, 9).map(str),
    "rate": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    "amount": st.decimals(-(10**20), 10**20, places=4).map(str) | st.integers(0, 9),
    "open": st.booleans() | st.sampled_from([0, 1]),
    "day": st.dates().map(str),
    "at": st.builds("{} {}".format, st.dates(), st.times().map(lambda it: it.replace(microsecond=0))),
    "teamsIds": st.lists(st.text("abc"), max_size=3) | st.just({}),
    "numbers": st.lists(st.integers(0, 9), max_size=3),
    "reminders": st.lists(st.dictionaries(st.text("ab"), st.integers()), max_size=2),
    "teamsNames": st.dictionaries(st.text("ab"), st.text()) | st.just([]),
    "shown": st.text("ab") | st.integers() | st.booleans(),
}
RECORDS = st.lists(
    st.fixed_dictionaries({}, optional={name: it | st.none() for name, it in VALUES.items()}), max_size=8
)


@given(RECORDS)
def test_a_batch_holds_the_same_as_rows_converted_one_by_one(records: list[dict[str, Any]]) -> None:
    given_records = [{**json.loads(json.dumps(record)), "id": str(number)} for number, record in enumerate(records)]
    converters = {column.name: converter(column) for column in COLUMNS}
    rows = [{name: convert(record.get(name)) for name, convert in converters.items()} for record in given_records]
    assert batch(given_records).to_pylist() == rows
