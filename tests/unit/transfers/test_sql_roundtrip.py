"""Whatever EspoCRM gives for an attribute is in the table afterwards, value for value."""

from __future__ import annotations

import json
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.values import converter
from airflow_provider_espo.transfers.sql_names import TableName
from airflow_provider_espo.transfers.sql_table import TableOptions, prepare
from airflow_provider_espo.transfers.sql_writing import TableWriter
from tests.unit.transfers.databases import Database, databases

#: PostgreSQL holds no NUL, and no half of a pair anywhere.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(st.none() | st.booleans() | st.integers(0, 2**53) | TEXT, lambda it: st.lists(it, max_size=3))

COLUMNS: dict[Column, st.SearchStrategy[Any]] = {
    Column("name", "string", max_length=100): TEXT,
    Column("notes", "text"): TEXT,
    Column("count", "int"): st.integers(-(2**63), 2**63 - 1),
    Column("rate", "float"): st.floats(-1e300, 1e300, allow_subnormal=False) | st.integers(-(2**50), 2**50),
    Column("amount", "decimal", scale=4): st.decimals(-(10**20), 10**20, places=4).map(str),
    Column("open", "bool"): st.booleans(),
    Column("day", "date"): st.dates().map(str),
    Column("at", "datetime"): st.builds(
        "{} {}".format, st.dates(), st.times().map(lambda it: it.replace(microsecond=0))
    ),
    Column("teamsIds", "ids", items="id"): st.lists(TEXT, max_size=3),
    Column("numbers", "list", items="int"): st.lists(st.integers(0, 9), max_size=3),
    Column("anything", "list"): st.lists(JSON, max_size=3),
    Column("teamsNames", "names"): st.dictionaries(TEXT, TEXT, max_size=3),
}
RECORD = st.fixed_dictionaries({}, optional={column.name: it | st.none() for column, it in COLUMNS.items()})


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("database")
    yield from databases(folder)


@given(st.lists(RECORD, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_table_holds_what_the_records_have(database: Database, given_records: list[dict[str, Any]]) -> None:
    columns = [Column("id", "id", nullable=False), *COLUMNS]
    records = [{**json.loads(json.dumps(record)), "id": str(number)} for number, record in enumerate(given_records)]
    target = prepare(database.engine, TableName("records"), columns, TableOptions())
    writer = TableWriter(database.engine, target)
    database("DELETE FROM records")
    writer.write(writer.rows_of(records))
    table = sa.Table("records", sa.MetaData(), autoload_with=database.engine)
    with database.engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings()]
    converters = {column.name: converter(column) for column in columns}
    expected = [{name: convert(record.get(name)) for name, convert in converters.items()} for record in records]
    assert [plain(row) for row in found] == [plain(row) for row in expected]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Values in the form in which they compare: databases differ in what they give back for the same."""
    found = dict(row)
    if found["amount"] is not None:
        found["amount"] = Decimal(found["amount"])
    if found["at"] is not None:
        found["at"] = found["at"].astimezone(UTC) if found["at"].tzinfo else found["at"].replace(tzinfo=UTC)
    for name in ("anything", "teamsNames"):
        if isinstance(found[name], str):
            found[name] = json.loads(found[name])
    return found
