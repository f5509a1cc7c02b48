from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql
from sqlalchemy.engine import default
from sqlalchemy.schema import CreateTable

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.transfers.sql_types import binder, family, has_zone, misfit, sql_type

COLUMNS = [
    Column("id", "id", nullable=False),
    Column("name", "string", max_length=249),
    Column("short", "string", max_length=100),
    Column("notes", "text"),
    Column("status", "enum", options=("New",)),
    Column("count", "int"),
    Column("rate", "float"),
    Column("amount", "decimal", scale=4),
    Column("open", "bool"),
    Column("day", "date"),
    Column("at", "datetime"),
    Column("teamsIds", "ids", items="id"),
    Column("teamsNames", "names"),
    Column("shown", "any"),
]


def ddl(dialect: sa.Dialect) -> dict[str, str]:
    """The types as the database is given them."""
    table = sa.Table("t", sa.MetaData(), *(sa.Column(it.name, sql_type(it, dialect.name)) for it in COLUMNS))
    lines = str(CreateTable(table).compile(dialect=dialect)).splitlines()
    pairs = [line.strip(" \t,").split(" ", 1) for line in lines if line.startswith("\t")]
    return {name.strip('"`['): of for name, of in pairs}


def test_the_types_of_a_new_table_in_postgresql() -> None:
    assert ddl(postgresql.dialect()) == {  # type: ignore[no-untyped-call]
        "id": "VARCHAR(64)",
        "name": "TEXT",
        "short": "TEXT",
        "notes": "TEXT",
        "status": "TEXT",
        "count": "BIGINT",
        "rate": "FLOAT(53)",
        "amount": "NUMERIC(38, 4)",
        "open": "BOOLEAN",
        "day": "DATE",
        "at": "TIMESTAMP WITH TIME ZONE",
        "teamsIds": "JSONB",
        "teamsNames": "JSONB",
        "shown": "TEXT",
    }


def test_the_types_of_a_new_table_in_mysql() -> None:
    found = ddl(mysql.dialect())
    assert found == {
        "id": "VARCHAR(64)",
        "name": "VARCHAR(249)",
        "short": "VARCHAR(100)",
        # Its TEXT ends at 64 KB.
        "notes": "LONGTEXT",
        "status": "VARCHAR(255)",
        "count": "BIGINT",
        "rate": "FLOAT(53)",
        "amount": "NUMERIC(38, 4)",
        "open": "BOOL",
        "day": "DATE",
        "at": "DATETIME",
        "teamsIds": "JSON",
        "teamsNames": "JSON",
        "shown": "LONGTEXT",
    }


def test_a_database_without_json_gets_text() -> None:
    class Other(default.DefaultDialect):
        name = "other"

    found = ddl(Other())
    assert (found["teamsIds"], found["name"], found["notes"]) == ("TEXT", "VARCHAR(249)", "TEXT")


def test_sql_server_gets_columns_for_every_character() -> None:
    found = ddl(mssql.dialect())  # type: ignore[no-untyped-call]
    assert (found["name"], found["notes"], found["at"]) == (
        "NVARCHAR(249) NULL",
        "NVARCHAR(max) NULL",
        "DATETIMEOFFSET NULL",
    )


def test_sqlite_keeps_decimals_as_text_since_it_has_none() -> None:
    column = Column("amount", "decimal", scale=4)
    of = sql_type(column, "sqlite")
    assert family(of) == "text"
    assert binder(column, of)("12345678901234567890.1234") == "12345678901234567890.1234"


AT = datetime(2026, 3, 1, 6, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "of", "value", "bound"),
    [
        (Column("a", "datetime"), sa.DateTime(timezone=True), "2026-03-01 06:00:07", AT),
        (Column("a", "datetime"), sa.DateTime(), "2026-03-01 06:00:07", AT.replace(tzinfo=None)),
        (Column("a", "datetime"), sa.String(30), "2026-03-01 06:00:07", "2026-03-01 06:00:07"),
        (Column("a", "date"), sa.Date(), "2026-03-01", date(2026, 3, 1)),
        (Column("a", "date"), sa.DateTime(), "2026-03-01", datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)),
        (Column("a", "date"), sa.Text(), "2026-03-01", "2026-03-01"),
        (Column("a", "bool"), sa.Boolean(), True, True),
        (Column("a", "bool"), sa.SmallInteger(), True, 1),
        (Column("a", "bool"), sa.Text(), False, "false"),
        (Column("a", "int"), sa.Integer(), "7", 7),
        (Column("a", "int"), sa.Float(), 7, 7.0),
        (Column("a", "int"), sa.Text(), 7, "7"),
        (Column("a", "float"), sa.Float(), 1, 1.0),
        (Column("a", "decimal", scale=2), sa.Numeric(10, 2), "1.5", Decimal("1.50")),
        (Column("a", "decimal", scale=2), sa.Text(), "1.5", "1.5"),
        (Column("a", "ids", items="id"), sa.JSON(), ["x"], ["x"]),
        (Column("a", "ids", items="id"), sa.Text(), ["x"], '["x"]'),
        (Column("a", "list", items="string"), postgresql.JSONB(), {}, []),
        (Column("a", "names"), sa.JSON(), {"1": "Zoë"}, {"1": "Zoë"}),
        (Column("a", "names"), sa.Text(), {"1": "Zoë"}, '{"1":"Zoë"}'),
        (Column("a", "any"), sa.Text(), "Customer", "Customer"),
        (Column("a", "any"), sa.JSON(), ["x"], ["x"]),
    ],
)
def test_a_value_is_what_the_column_takes(column: Column, of: Any, value: Any, bound: Any) -> None:
    found = binder(column, of)(value)
    assert (found, type(found)) == (bound, type(bound))


@pytest.mark.parametrize("of", [sa.Text(), sa.JSON(), sa.DateTime(), sa.Integer(), sa.Float(), sa.types.NullType()])
def test_no_value_is_no_value_in_every_column(of: Any) -> None:
    assert [binder(column, of)(None) for column in COLUMNS] == [None] * len(COLUMNS)


@pytest.mark.parametrize(
    ("column", "of", "why"),
    [
        (Column("a", "string"), sa.Integer(), "a (text, in a column for integer)"),
        (Column("a", "string", max_length=100), sa.String(50), "a (up to 100 characters, in a column for 50)"),
        (Column("a", "id"), sa.String(10), "a (up to 17 characters, in a column for 10)"),
        (Column("a", "decimal", scale=4), sa.Numeric(10, 2), "a (4 digits behind the point, in a column for 2)"),
        (Column("a", "decimal", scale=4), sa.Float(), "a (decimal, in a column for number)"),
        (Column("a", "float"), sa.Integer(), "a (number, in a column for integer)"),
        (Column("a", "datetime"), sa.Date(), "a (datetime, in a column for date)"),
        (Column("a", "ids", items="id"), sa.Integer(), "a (texts, in a column for integer)"),
    ],
)
def test_a_column_that_would_lose_something_does_not_fit(column: Column, of: Any, why: str) -> None:
    assert misfit(column, of) == why


@pytest.mark.parametrize(
    ("column", "of"),
    [
        (Column("a", "string", max_length=100), sa.String(100)),
        (Column("a", "string", max_length=100), sa.Text()),
        (Column("a", "id"), sa.String(17)),
        (Column("a", "int"), sa.Numeric(20, 0)),
        (Column("a", "bool"), mysql.TINYINT(1)),
        (Column("a", "decimal", scale=4), sa.Numeric(20, 6)),
        (Column("a", "date"), sa.DateTime()),
        (Column("a", "ids", items="id"), sa.Text()),
        # Not known to SQLAlchemy: the author knows.
        (Column("a", "string"), sa.types.NullType()),
    ],
)
def test_a_column_that_holds_the_values_fits(column: Column, of: Any) -> None:
    assert misfit(column, of) is None


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "sqlite", "mssql", "oracle"])
def test_what_is_made_fits(dialect: str) -> None:
    assert [why for column in COLUMNS if (why := misfit(column, sql_type(column, dialect)))] == []


def test_only_types_with_a_zone_take_aware_moments() -> None:
    assert has_zone(sa.DateTime(timezone=True))
    assert not has_zone(mysql.DATETIME())
    assert not has_zone(sa.DateTime())
