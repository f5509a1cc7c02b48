from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_espo.client.attributes import Kind
from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.values import converter, from_cell, misfit
from airflow_provider_espo.client.errors import EspoInputError


@pytest.mark.parametrize(
    ("column", "value", "typed"),
    [
        (Column("a", "string"), "Ada", "Ada"),
        (Column("a", "enum"), 7, "7"),
        (Column("a", "int"), 5, 5),
        (Column("a", "int"), 5.0, 5),
        (Column("a", "int"), "12", 12),
        (Column("a", "float"), 1, 1.0),
        (Column("a", "float"), "1.5", 1.5),
        (Column("a", "decimal", scale=4), "12345678901234.5678", Decimal("12345678901234.5678")),
        (Column("a", "decimal", scale=2), 0.1, Decimal("0.10")),
        (Column("a", "bool"), False, False),
        (Column("a", "bool"), 1, True),
        (Column("a", "date"), "2026-03-01", date(2026, 3, 1)),
        (Column("a", "datetime"), "2026-03-01 06:00:07", datetime(2026, 3, 1, 6, 0, 7, tzinfo=UTC)),
        (Column("a", "datetime"), "2026-03-01T08:00:07+02:00", datetime(2026, 3, 1, 6, 0, 7, tzinfo=UTC)),
        (Column("a", "ids", items="id"), ["1", "2"], ["1", "2"]),
        (Column("a", "list", items="string"), ["x", 1, None], ["x", "1", None]),
        # PHP's empty map for an empty list.
        (Column("a", "list", items="string"), {}, []),
        (Column("a", "list", items="int"), [1, "2"], [1, 2]),
        (Column("a", "list"), [{"seconds": 60}], '[{"seconds":60}]'),
        (Column("a", "names"), {"1": "Zoë"}, '{"1":"Zoë"}'),
        (Column("a", "email_data"), [], "[]"),
        # The shown attribute's type is not known: a text stays the text that it is.
        (Column("a", "any"), "Customer", "Customer"),
        (Column("a", "any"), 1, "1"),
        (Column("a", "any"), ["x"], '["x"]'),
    ],
)
def test_a_value_becomes_what_a_typed_column_holds(column: Column, value: Any, typed: Any) -> None:
    found = converter(column)(value)
    assert (found, type(found)) == (typed, type(typed))


@pytest.mark.parametrize("kind", ["string", "int", "float", "decimal", "bool", "date", "datetime", "ids", "object"])
def test_no_value_stays_no_value(kind: Kind) -> None:
    assert converter(Column("a", kind))(None) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("a", "string"), ["x"]),
        (Column("a", "string"), True),
        (Column("a", "int"), 1.5),
        (Column("a", "int"), True),
        (Column("a", "int"), "x"),
        (Column("a", "int"), 2**63),
        (Column("a", "int"), "1e999999999"),
        (Column("a", "float"), "x"),
        (Column("a", "float"), "1e999"),
        (Column("a", "decimal", scale=2), "1.005"),
        (Column("a", "decimal", scale=4), "1e40"),
        (Column("a", "decimal", scale=4), "x"),
        (Column("a", "bool"), "yes"),
        (Column("a", "bool"), 2),
        (Column("a", "date"), "2026-02-30"),
        (Column("a", "date"), "2026-03-01 06:00:00"),
        (Column("a", "datetime"), "0000-00-00 00:00:00"),
        (Column("a", "datetime"), "2026-03-01"),
        (Column("a", "datetime"), 5),
        (Column("a", "ids", items="id"), "x"),
        (Column("a", "list", items="string"), [["x"]]),
    ],
)
def test_a_value_that_does_not_fit_is_never_bent(column: Column, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^(a |too|more)") as caught:
        converter(column)(value)
    assert repr(value) not in str(caught.value)


def test_the_error_names_attribute_and_record_and_never_the_value() -> None:
    column = Column("bornOn", "date")
    with pytest.raises(ValueError, match="no date") as caught:
        converter(column)("secret day")
    told = str(misfit(column, {"id": "7a", "bornOn": "secret day"}, str(caught.value)))
    assert "bornOn of record 7a does not fit its type, date: a text that is no date" in told
    assert "secret" not in told


def test_cells_hold_lists_and_maps_as_json_and_all_else_as_text() -> None:
    assert from_cell(Column("a", "ids", items="id"), '["1","2"]') == ["1", "2"]
    assert from_cell(Column("a", "object"), '{"x":1}') == {"x": 1}
    assert from_cell(Column("a", "string"), "[1]") == "[1]"
    assert from_cell(Column("a", "int"), "12") == "12"
    assert from_cell(Column("a", "list"), "") is None


@pytest.mark.parametrize("cell", ["a, b", '"a"', "5", "[1"])
def test_a_cell_that_holds_no_list_is_refused_without_being_shown(cell: str) -> None:
    with pytest.raises(EspoInputError, match="teamsIds: the cell holds no list") as caught:
        from_cell(Column("teamsIds", "ids", items="id"), cell)
    assert f" {cell} " not in str(caught.value)
