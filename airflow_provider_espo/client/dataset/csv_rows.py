"""CSV as RFC 4180 has it, in UTF-8: a header, lists and maps as JSON text, an empty cell where there is no value."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.values import from_cell, json_text
from airflow_provider_espo.client.csv_files import allow_long_cells
from airflow_provider_espo.client.dataset.formats import Compression
from airflow_provider_espo.client.dataset.text_files import TextWriter
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page

#: Kinds of which a cell holds what JSON has, beside lists and maps. All others are text as it stands.
_JSON_KINDS = frozenset({"int", "float", "bool"})


class CsvWriter(TextWriter):
    """Writes a row for each record.

    :param columns: in order.
    :param compression: ``gzip`` or ``None``.
    """

    def __init__(self, columns: Sequence[Column], compression: Compression | None = None) -> None:
        super().__init__(compression)
        self._names = [column.name for column in columns]

    def header(self) -> bytes:
        """Return the row of names."""
        return _encoded([self._names])

    def lines_of(self, page: Page) -> bytes:
        """Return a row for each record."""
        names = self._names
        # Most values are text; a call for each of them would double the time.
        return _encoded(
            [
                [value if type(value := record.get(name)) is str else cell(value) for name in names]
                for record in page.records
            ]
        )


def cell(value: Any) -> str:
    """Return a value as the text of a cell.

    :param value: as it came from EspoCRM.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    # The rest as JSON has it: numbers to the last digit.
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else json_text(value)


def _encoded(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def as_json(columns: Sequence[Column], row: dict[str, str | None]) -> dict[str, Any]:
    """Return a row with the values that its cells were written from, as far as the columns' kinds tell.

    :param columns: what is known of the columns; cells of others stay text.
    :param row: cells by name; ``None`` for no value.
    :raises EspoInputError: a cell is not of its column's kind.
    """
    found: dict[str, Any] = dict(row)
    for column in columns:
        text = row.get(column.name)
        if text is None:
            continue
        if column.is_nested:
            found[column.name] = from_cell(column, text)
        elif column.kind in _JSON_KINDS:
            try:
                found[column.name] = json.loads(text)
            except ValueError:
                raise EspoInputError(f"{column.name}: a cell is not of the kind {column.kind}") from None
    return found


def read_csv(stream: BinaryIO, name: str, *, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Give the rows of a file by the names of its header; cells are text, empty lines are left out.

    :param stream: not compressed.
    :param name: the file's, for errors.
    :param delimiter: what stands between cells.
    :raises EspoInputError: it is no CSV in UTF-8, a row is longer or shorter than the header, or the header is unfit;
        with the number of the line.
    """
    allow_long_cells()
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = _header(cells, name)
            elif len(cells) != len(header):
                raise EspoInputError(
                    f"{name}, line {reader.line_num}: the row has {len(cells)} cells, the header {len(header)}"
                )
            else:
                yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise EspoInputError(f"{name} is no CSV at line {reader.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise EspoInputError(f"{name} is not UTF-8 after line {reader.line_num}", hint="Convert it to UTF-8") from None
    finally:
        # The stream is its owner's to close.
        if not text.closed:
            text.detach()


def _header(cells: list[str], name: str) -> list[str]:
    header = [it.strip() for it in cells]
    if "" in header:
        raise EspoInputError(f"{name}: a column of the header has no name")
    if len(set(header)) != len(header):
        raise EspoInputError(f"{name}: the header names a column twice")
    return header
