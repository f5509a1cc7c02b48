"""Arrow's types for the columns of an extraction, and records as Arrow's batches. Needs pyarrow, loaded when called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.values import (
    MOST_DIGITS,
    ValueType,
    converter,
    misfit,
    value_type,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: Python's types of values that Arrow takes as they come. It is no judge of others: it cuts off fractions for an
#: integer and takes a text apart for a list.
_TAKEN_AS_THEY_COME: Mapping[ValueType, frozenset[type]] = {
    "text": frozenset({str, type(None)}),
    "integer": frozenset({int, type(None)}),
    "number": frozenset({int, float, type(None)}),
    "boolean": frozenset({bool, type(None)}),
    "date": frozenset({str, type(None)}),
    "datetime": frozenset({str, type(None)}),
}

#: Characters of EspoCRM's form of a date and a moment, which Arrow reads by itself, faster by much than one by one.
_LENGTHS: Mapping[ValueType, int] = {"date": 10, "datetime": 19}


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of an extraction.

    Moments are timestamps in UTC, decimals have 38 digits, lists of texts are lists; maps and lists of anything are
    text with JSON in it, which the field's metadata says (``content``: ``json``).

    :param columns: of the extraction.
    """
    import pyarrow as pa

    types: Mapping[ValueType, Callable[[], pa.DataType]] = {
        "text": pa.string,
        "integer": pa.int64,
        "number": pa.float64,
        "boolean": pa.bool_,
        "date": pa.date32,
        "datetime": lambda: pa.timestamp("us", tz="UTC"),
        "texts": lambda: pa.list_(pa.string()),
        "integers": lambda: pa.list_(pa.int64()),
        "json": pa.string,
    }

    def field(column: Column) -> pa.Field:
        found = value_type(column)
        of = pa.decimal128(MOST_DIGITS, column.scale or 0) if found == "decimal" else types[found]()
        metadata = {"kind": column.kind, **({"content": "json"} if found == "json" and column.kind != "any" else {})}
        return pa.field(column.name, of, nullable=column.nullable, metadata=metadata)

    return pa.schema([field(column) for column in columns])


def arrow_batch(columns: Sequence[Column], schema: pa.Schema, records: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Return records as one batch.

    :param columns: of the extraction.
    :param schema: what :func:`arrow_schema` returned for them.
    :param records: as EspoCRM gave them; an attribute that one lacks is no value.
    :raises EspoBadAnswerError: a value does not fit its attribute's type.
    """
    import pyarrow as pa

    arrays = [_array(column, field.type, records) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: Column, arrow_type: pa.DataType, records: Sequence[Mapping[str, Any]]) -> pa.Array:
    values = [record.get(column.name) for record in records]
    if not column.nullable and None in values:
        raise misfit(column, records[values.index(None)], "no value")
    found = _at_once(column, arrow_type, values)
    return found if found is not None else _one_by_one(column, arrow_type, values, records)


def _at_once(column: Column, arrow_type: pa.DataType, values: list[Any]) -> pa.Array | None:
    """Return the array, or ``None`` where the values have to be looked at one by one."""
    import pyarrow as pa

    found = value_type(column)
    if not set(map(type, values)) <= _TAKEN_AS_THEY_COME.get(found, frozenset()):
        return None
    try:
        if (length := _LENGTHS.get(found)) is None:
            return pa.array(values, arrow_type)
        if all(value is None or len(value) == length for value in values):
            naive = pa.date32() if found == "date" else pa.timestamp("s")
            return pa.array(values, pa.string()).cast(naive).cast(arrow_type)
    except (pa.ArrowException, OverflowError):
        # Its own words may hold the value. Who is to blame is found one by one.
        return None
    return None


def _one_by_one(
    column: Column, arrow_type: pa.DataType, values: list[Any], records: Sequence[Mapping[str, Any]]
) -> pa.Array:
    import pyarrow as pa

    convert = converter(column)
    found = []
    for value, record in zip(values, records, strict=True):
        try:
            found.append(convert(value))
        except ValueError as error:
            raise misfit(column, record, str(error)) from None
    return pa.array(found, arrow_type)
