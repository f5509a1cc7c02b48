"""Parquet, by pyarrow, which is an extra of this package. It is loaded when a Parquet file is written or read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.dataset.formats import Compression, Writable
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page

if TYPE_CHECKING:
    import pyarrow as pa

#: A row group is held in memory while it is written: so many records or bytes of it at most, and one page more.
ROWS_OF_A_GROUP = 20_000
BYTES_OF_A_GROUP = 16 * 1024 * 1024

_ROWS_READ_AT_ONCE = 1_000
_BUFFER = 1024 * 1024


def check_installed() -> None:
    """Look whether Parquet can be written and read here.

    :raises EspoInputError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise EspoInputError(
            "Parquet needs pyarrow, which is not installed here",
            hint="Install it where the tasks run: pip install 'airflow-provider-espo[parquet]'",
        )


class ParquetWriter:
    """Writes records as typed columns.

    :param columns: in order.
    :param compression: ``gzip``, or ``None`` for Snappy, Parquet's usual one. Either is within the file.
    """

    def __init__(self, columns: Sequence[Column], compression: Compression | None = None) -> None:
        from airflow_provider_espo.client.column_types.arrow import arrow_schema

        check_installed()
        self._columns = columns
        self._compression = compression or "snappy"
        self._schema = arrow_schema(columns)
        self._gate: _Gate | None = None
        self._writer: Any = None
        self._held: list[pa.RecordBatch] = []

    def begin(self, stream: Writable) -> None:
        """Begin a file."""
        from pyarrow.parquet import ParquetWriter as Writer

        self._held = []
        self._gate = _Gate(stream)
        self._writer = Writer(self._gate, self._schema, compression=self._compression)

    def write(self, page: Page) -> None:
        """Write the records of a page.

        :raises EspoBadAnswerError: a value does not fit its attribute's type.
        """
        from airflow_provider_espo.client.column_types.arrow import arrow_batch

        if self._writer is None:
            raise ValueError("no file was begun")
        if not len(page):
            return
        self._held.append(arrow_batch(self._columns, self._schema, page.records))
        rows = sum(batch.num_rows for batch in self._held)
        if rows >= ROWS_OF_A_GROUP or sum(batch.nbytes for batch in self._held) >= BYTES_OF_A_GROUP:
            self._write_group()

    def close(self) -> None:
        """End the file."""
        writer = self._writer
        if writer is not None:
            self._write_group()
            writer.close()
        self._writer, self._gate = None, None

    def discard(self) -> None:
        """Forget the file."""
        writer, gate, self._writer, self._gate, self._held = self._writer, self._gate, None, None, []
        if gate is not None:
            gate.shut()
        if writer is not None:
            # It would write the file's end when it is collected.
            with suppress(Exception):
                writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        held, self._held = self._held, []
        if held:
            table = pa.Table.from_batches(held, self._schema)
            self._writer.write_table(table, row_group_size=table.num_rows)


class _Gate:
    """A stream that can be shut: what comes after is dropped.

    :param stream: where the bytes go.
    """

    closed = False

    def __init__(self, stream: Writable) -> None:
        self._stream: Writable | None = stream
        self._size = 0

    def write(self, data: bytes) -> int:
        if self._stream is not None:
            self._stream.write(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """There is nothing to flush: the file is synced when it is published."""

    def shut(self) -> None:
        self._stream = None


def read_parquet(file: BinaryIO, name: str) -> Iterator[dict[str, Any]]:
    """Give the rows of a file, with values in the form that EspoCRM's JSON has.

    Moments are UTC without fractions of a second, those without a time zone are taken for UTC; decimals are text; what
    is no number (NaN), as some tools write for a missing value, is no value.

    :param file: with places to go to.
    :param name: the file's, for errors.
    :raises EspoInputError: it is no Parquet file, or a column holds what JSON has no form for.
    """
    check_installed()
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        # Read by buffers and not by whole row groups, which may be of any size in the files of others.
        opened = ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        converters = {field.name: _converter(field, name) for field in opened.schema_arrow}
        wanted = {field: convert for field, convert in converters.items() if convert is not None}
        for batch in opened.iter_batches(batch_size=_ROWS_READ_AT_ONCE):
            for row in _rows(batch, name):
                for field, convert in wanted.items():
                    if row[field] is not None:
                        row[field] = convert(row[field])
                yield row
    except pa.ArrowException as error:
        raise _damaged(name) from error
    except OSError as error:
        # Arrow raises it without a number for what is wrong within the file.
        if error.errno is not None:
            raise
        raise _damaged(name) from error


def _damaged(name: str) -> EspoInputError:
    return EspoInputError(f"{name} is no Parquet file, or is damaged or broken off")


def _rows(batch: pa.RecordBatch, name: str) -> list[dict[str, Any]]:
    """The rows of a batch; of moments the fractions of a second are cut off, which Python may not have room for."""
    import pyarrow as pa

    arrays = [
        array.cast(pa.timestamp("s", tz=array.type.tz), safe=False) if pa.types.is_timestamp(array.type) else array
        for array in batch.columns
    ]
    try:
        rows: list[dict[str, Any]] = pa.RecordBatch.from_arrays(arrays, names=batch.schema.names).to_pylist()
    except ValueError:
        # Its own words may hold the value.
        raise EspoInputError(f"{name} holds values that Python has no room for, such as nanoseconds in lists") from None
    return rows


def _converter(field: pa.Field, name: str) -> Callable[[Any], Any] | None:
    """Return what makes a field's values JSON; ``None`` if they are."""
    from pyarrow import types

    if (field.metadata or {}).get(b"content") == b"json":
        return json.loads
    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if types.is_nested(kind) or types.is_temporal(kind) or types.is_decimal(kind) or types.is_floating(kind):
        return lambda value: _plain(value, f"{name}, column {field.name}")
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind) or _is_text(kind):
        return None
    raise EspoInputError(
        f"{name}: column {field.name} is of type {field.type}, which EspoCRM has no values of", hint="Leave it out"
    )


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _plain(value: Any, where: str) -> Any:
    """Return a value of Python as EspoCRM's JSON has it."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return moment.isoformat(" ")[:19]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {str(key): _plain(item, where) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        # Arrow's maps.
        return {str(key): _plain(item, where) for key, item in value}
    if isinstance(value, list):
        return [_plain(item, where) for item in value]
    if isinstance(value, str | int | None):
        return value
    raise EspoInputError(f"{where} holds a {type(value).__name__}, which EspoCRM has no values of", hint="Leave it out")
