"""CSV files for EspoCRM's import: looked through before they are sent, and made of rows."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from airflow_provider_espo.client.bodies import BLOCK_SIZE
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.files import Source

#: Characters of a line at most: what is longer is no table, and would fill the memory.
_LONGEST_LINE = 16 * 1024 * 1024
_WITH_SECONDS = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d")


#: Bytes of a cell at most. Python's own limit of 128 KB is less than a long text of EspoCRM.
LONGEST_CELL = 64 * 1024 * 1024


def allow_long_cells() -> None:
    """Let this process read long cells. It is a setting of the process: whoever raised it further keeps that."""
    csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))


@dataclass(frozen=True)
class CsvFacts:
    """What a CSV file holds.

    :param header: values of its first row; empty where there is none.
    :param rows: rows with values, without the header.
    :param most_values: values of the longest row.
    :param longest_line: line in which the first row of that length ends.
    :param size: bytes.
    :param sha256: checksum in hex digits.
    """

    header: tuple[str, ...]
    rows: int
    most_values: int
    longest_line: int
    size: int
    sha256: str


def examine(source: Source, *, delimiter: str, text_qualifier: str, header_row: bool) -> CsvFacts:
    """Look through a file once, from its beginning to its end.

    :param source: the file.
    :param delimiter: what stands between values.
    :param text_qualifier: what stands around values that hold it.
    :param header_row: whether the first row names the columns.
    :raises EspoInputError: it is not UTF-8, or no CSV; with the line.
    """
    size = source.open()
    allow_long_cells()
    reader = csv.reader(_lines(source), delimiter=delimiter, quotechar=text_qualifier or None, strict=False)
    header: tuple[str, ...] = ()
    rows = most_values = longest_line = 0
    try:
        for row in reader:
            # EspoCRM leaves empty lines out.
            if not row or row == [""]:
                continue
            if header_row and not header:
                header = tuple(row)
                continue
            rows += 1
            if len(row) > most_values:
                most_values, longest_line = len(row), reader.line_num
    except csv.Error as error:
        raise EspoInputError(f"The file is no CSV at line {reader.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise EspoInputError(
            f"The file is not UTF-8 after line {reader.line_num}", hint="EspoCRM reads nothing else: convert it"
        ) from None
    return CsvFacts(header, rows, most_values, longest_line, size, source.sha256)


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> CsvFacts:
    """Write rows to a file.

    :param path: where to.
    :param columns: names of the columns.
    :param rows: values by column, as they are sent to EspoCRM; a missing one is left empty.
    :return: what the file holds.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        write_table(file, columns, rows)
    with path.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        size = written.tell()
    return CsvFacts(tuple(columns), len(rows), len(columns), len(rows) + 1, size, sha256)


def write_table(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a header and rows.

    :param file: where to; its line ends are left as they are written.
    :param columns: names of the columns.
    :param rows: values by column, as they are sent to EspoCRM; a missing one is left empty.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(name)) for name in columns])


def cell(value: Any) -> str:
    """Return a value as EspoCRM's import reads it.

    :param value: as it would be sent as JSON. Of a time the seconds are cut off.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        found = _WITH_SECONDS.fullmatch(value)
        return found[1] if found else value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _lines(source: Source) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    while block := source.read(BLOCK_SIZE):
        text = rest + decoder.decode(block)
        *lines, rest = text.split("\n")
        yield from (line + "\n" for line in lines)
        if len(rest) > _LONGEST_LINE:
            raise csv.Error("a line has no end")
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest
