"""A table is made, widened or refused before any data moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, oracle, postgresql

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError, EspoStorageError
from airflow_provider_espo.transfers.sql_names import TableName, column_names, snake_case
from airflow_provider_espo.transfers.sql_table import TableOptions, Target, is_empty, prepare
from airflow_provider_espo.transfers.sql_writing import TableWriter, upsert
from tests.unit.transfers.databases import Database, databases

COLUMNS = [Column("id", "id", nullable=False), Column("lastName", "string", max_length=100), Column("count", "int")]
LEADS = TableName("leads")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    yield from databases(tmp_path)


def prepared(database: Database, columns: list[Column] = COLUMNS, **options: Any) -> Target:
    return prepare(database.engine, LEADS, columns, TableOptions(**options))


# --- making and widening


def test_a_table_that_is_not_there_is_made_with_the_id_as_key(database: Database) -> None:
    target = prepared(database)
    assert (target.created, target.id_column, list(target.attributes)) == (True, "id", ["id", "lastName", "count"])
    assert sa.inspect(database.engine).get_pk_constraint("leads")["constrained_columns"] == ["id"]
    assert not prepared(database).created


def test_a_table_that_another_task_made_at_the_same_moment_is_taken(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(database)
    from airflow_provider_espo.transfers import sql_table

    looked = []
    look = sql_table._columns_there

    def not_there_at_first(engine: Any, name: TableName) -> Any:
        looked.append(name)
        return None if len(looked) == 1 else look(engine, name)

    monkeypatch.setattr(sql_table, "_columns_there", not_there_at_first)
    assert list(prepared(database).attributes) == ["id", "lastName", "count"]


def test_lacking_columns_are_added_where_that_is_allowed(database: Database) -> None:
    prepared(database)
    more = [*COLUMNS, Column("order", "int"), Column("cGrade", "enum")]
    target = prepared(database, more, add_columns=True)
    assert target.added == ("order", "cGrade")
    assert list(database.columns()) == ["id", "lastName", "count", "order", "cGrade"]
    TableWriter(database.engine, target).write([{"id": "1", "lastName": "A", "count": 1, "order": 2, "cGrade": "x"}])
    assert database.rows() == [("1", "A", 1, 2, "x")]


def test_lacking_columns_are_an_error_or_left_out(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    prepared(database)
    more = [*COLUMNS, Column("cGrade", "enum")]
    with pytest.raises(EspoInputError, match="leads does not fit the records: no column for cGrade"):
        prepared(database, more)
    target = prepared(database, more, on_drift="warn")
    assert (target.left_out, list(target.attributes)) == (("cGrade",), ["id", "lastName", "count"])
    assert "which go without: no column for cGrade" in caplog.text


def test_other_types_are_an_error_or_left_out(database: Database) -> None:
    database('CREATE TABLE leads (id VARCHAR(40) PRIMARY KEY, "lastName" INTEGER, count VARCHAR(20))')
    with pytest.raises(EspoInputError, match=r"other types of lastName \(text, in a column for integer\)"):
        prepared(database, add_columns=True)
    target = prepared(database, on_drift="warn")
    assert (target.left_out, list(target.attributes)) == (("lastName",), ["id", "count"])


def test_nothing_is_added_to_a_table_that_does_not_fit(database: Database) -> None:
    database('CREATE TABLE leads (id VARCHAR(40) PRIMARY KEY, "lastName" INTEGER)')
    with pytest.raises(EspoInputError, match="other types of lastName"):
        prepared(database, add_columns=True)
    assert list(database.columns()) == ["id", "lastName"]


def test_columns_of_its_own_do_not_matter(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    database(
        "CREATE TABLE leads (own VARCHAR(9), loaded VARCHAR(9) DEFAULT 'x' NOT NULL, id VARCHAR(40) UNIQUE, "
        '"lastName" VARCHAR(100), count INTEGER)'
    )
    target = prepared(database)
    TableWriter(database.engine, target).write([{"id": "1", "lastName": "A", "count": 1}])
    database("UPDATE leads SET own = 'kept'")
    TableWriter(database.engine, target).write([{"id": "1", "lastName": "B", "count": 1}])
    assert database.rows() == [("kept", "x", "1", "B", 1)]
    assert "Columns of leads that stay as they are: own, loaded" in caplog.text


def test_columns_in_other_capitals_are_found(database: Database) -> None:
    database("CREATE TABLE leads (id VARCHAR(40) PRIMARY KEY, lastname VARCHAR(100), count INTEGER)")
    assert list(prepared(database).attributes) == ["id", "lastname", "count"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ('CREATE TABLE leads (id VARCHAR(40), "lastName" TEXT, count INTEGER)', "no column id that is its key"),
        ('CREATE TABLE leads (key INTEGER PRIMARY KEY, "lastName" TEXT)', "no column id that is its key"),
        ("CREATE TABLE leads (id VARCHAR(40), count INTEGER, PRIMARY KEY (id, count))", "no column id that is its key"),
        (
            'CREATE TABLE leads (id VARCHAR(40) PRIMARY KEY, "lastName" TEXT, count INTEGER, batch INTEGER NOT NULL)',
            "need a value and are no attributes: batch",
        ),
        ("CREATE TABLE leads (id INTEGER PRIMARY KEY)", "other types of id"),
    ],
)
def test_a_table_that_cannot_take_records_by_id_is_refused(database: Database, sql: str, message: str) -> None:
    database(sql)
    with pytest.raises(EspoInputError, match=message):
        prepared(database, add_columns=True, on_drift="warn")


def test_a_unique_index_over_some_rows_is_no_key(database: Database) -> None:
    database("CREATE TABLE leads (id VARCHAR(40), count INTEGER)")
    database("CREATE UNIQUE INDEX partly ON leads (id) WHERE count > 1")
    with pytest.raises(EspoInputError, match="no column id that is its key"):
        prepared(database, on_drift="warn")
    database("CREATE UNIQUE INDEX wholly ON leads (id)")
    assert list(prepared(database, on_drift="warn").attributes) == ["id", "count"]


def test_a_table_that_may_not_be_made_is_asked_for(database: Database) -> None:
    with pytest.raises(EspoInputError, match="There is no table leads"):
        prepared(database, create=False)


def test_marks_need_a_column(database: Database) -> None:
    prepared(database)
    with pytest.raises(EspoInputError, match="no column espoDeletedAt"):
        prepared(database, mark=True, on_drift="warn")
    assert prepared(database, mark=True, add_columns=True).mark == "espoDeletedAt"
    assert prepared(database, mark=True).mark == "espoDeletedAt"
    with pytest.raises(EspoInputError, match="An attribute has the name espoDeletedAt"):
        prepared(database, [*COLUMNS, Column("espoDeletedAt", "datetime")], mark=True)


def test_a_table_is_empty_until_something_is_in_it(database: Database) -> None:
    assert is_empty(database.engine, LEADS)
    target = prepared(database)
    assert is_empty(database.engine, LEADS)
    TableWriter(database.engine, target).write([{"id": "1", "lastName": "A", "count": 1}])
    assert not is_empty(database.engine, LEADS)


# --- writing


@pytest.mark.parametrize("dialect", ["own", "own, returning", "any other"])
def test_a_row_takes_the_place_of_the_one_with_its_id(database: Database, dialect: str) -> None:
    target = prepared(database)
    name = "other" if dialect == "any other" else database.engine.dialect.name
    write = upsert(name, target.table, "id", returning=dialect == "own, returning")
    for value in ("A", "B"):
        with database.engine.begin() as connection:
            write(connection, [{"id": one, "lastName": value, "count": 1} for one in ("1", "2")])
    assert database.rows() == [("1", "B", 1), ("2", "B", 1)]


def test_a_text_that_the_driver_refuses_is_told_by_attribute_and_record(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_connection: Any, rows: list[dict[str, Any]]) -> None:
        raise ValueError(f"cannot take {rows}")

    target = prepared(database)
    writer = TableWriter(database.engine, target)
    monkeypatch.setattr(writer, "_upsert", refuse)
    rows = [{"id": "1", "lastName": "A", "count": 1}, {"id": "2", "lastName": "se\0cret", "count": 1}]
    with pytest.raises(EspoBadAnswerError, match="lastName of record 2 does not fit its type, text: a NUL") as caught:
        writer.write(rows)
    assert "cret" not in str(caught.value)
    with pytest.raises(EspoStorageError, match="the driver refuses a value"):
        writer.write(rows[:1])


def test_mysql_is_asked_in_its_own_words() -> None:
    table = sa.Table(
        "leads", sa.MetaData(), sa.Column("id", sa.String(64), primary_key=True), sa.Column("name", sa.Text)
    )

    class Connection:
        said = ""

        def execute(self, statement: Any, rows: list[Any]) -> None:
            self.said = str(statement.compile(dialect=mysql.dialect()))

    connection = Connection()
    upsert("mysql", table, "id")(connection, [{"id": "1", "name": "A"}])  # type: ignore[arg-type]
    assert connection.said.endswith("ON DUPLICATE KEY UPDATE name = VALUES(name)")


# --- names


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("id", "id"),
        ("emailAddressIsOptedOut", "email_address_is_opted_out"),
        ("cURLOfSite", "c_url_of_site"),
        ("sicCode2", "sic_code2"),
        ("already_snake", "already_snake"),
        ("CThing", "c_thing"),
    ],
)
def test_snake_case(attribute: str, name: str) -> None:
    assert snake_case(attribute) == name


def test_attributes_that_would_share_a_column_are_refused(database: Database) -> None:
    columns = [Column("id", "id"), Column("cGrade", "enum"), Column("cgrade", "enum")]
    with pytest.raises(EspoInputError, match="cGrade, cgrade would share a column"):
        column_names(columns, "attributes", database.engine.dialect)
    columns[2] = Column("c_grade", "enum")
    with pytest.raises(EspoInputError, match="cGrade, c_grade would share a column"):
        column_names(columns, "snake", database.engine.dialect)


@pytest.mark.parametrize(("dialect", "longest"), [(postgresql, 63), (mysql, 64), (oracle, 128)])
def test_a_name_that_would_be_cut_off_is_refused(dialect: Any, longest: int) -> None:
    column_names([Column("c" * longest, "int")], "attributes", dialect.dialect())
    with pytest.raises(EspoInputError, match=f"takes {longest} bytes"):
        column_names([Column("c" * (longest + 1), "int")], "attributes", dialect.dialect())


def test_a_table_may_be_named_with_its_schema() -> None:
    assert TableName.of("crm.leads") == TableName.of("leads", "crm") == TableName("leads", "crm")
    assert str(TableName.of("crm.leads")) == "crm.leads"
    assert TableName.of("order") == TableName("order")


@pytest.mark.parametrize(
    ("table", "schema"), [(None, None), (" leads", None), ("a.b", "c"), ("a.b.c", None), (5, None)]
)
def test_what_is_no_name_is_refused(table: Any, schema: Any) -> None:
    with pytest.raises(EspoInputError):
        TableName.of(table, schema)
