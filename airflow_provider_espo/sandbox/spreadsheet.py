"""Writes rows as CSV in PHP's way, and as a workbook with one sheet."""

from __future__ import annotations

import json
import zipfile
from typing import IO, TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

#: Characters for which PHP puts a cell into quotation marks.
QUOTED = frozenset(' ,"\n\r\t')
#: What a spreadsheet would take for the beginning of a formula.
FORMULA_STARTS = ("+", "-", "@", "=")
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEADER = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
PARTS = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{CONTENT_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{CONTENT_TYPE}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" Type="{OFFICE}/worksheet"'
        ' Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}


def csv_line(cells: Iterable[Any], delimiter: str = ",") -> str:
    """A line of CSV with its end."""
    return delimiter.join(csv_cell(cell, delimiter) for cell in cells) + "\n"


def csv_cell(value: Any, delimiter: str = ",") -> str:
    """A value as PHP writes it: true is 1; false and nothing are empty; lists and objects are JSON."""
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    if isinstance(value, list | dict):
        value = json.dumps(value, separators=(",", ":")).replace("/", "\\/")
    text = str(value)
    if isinstance(value, str) and text.startswith(FORMULA_STARTS):
        text = f"'{text}"
    if delimiter in text or not QUOTED.isdisjoint(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def column_name(index: int) -> str:
    """Name of a column: A, B, ..., Z, AA, ...

    :param index: from 0
    """
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def write_workbook(path: Path, title: str, rows: Iterable[Sequence[Any]]) -> None:
    """Write a workbook; rows are taken one by one.

    :param title: name of the sheet
    :param rows: numbers, bools, texts and None
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in PARTS.items():
            book.writestr(name, HEADER + text)
        sheets = f'<sheet name="{escape(title[:31], {chr(34): "&quot;"})}" sheetId="1" r:id="rId1"/>'
        book.writestr(
            "xl/workbook.xml",
            f'{HEADER}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{sheets}</sheets></workbook>',
        )
        with book.open("xl/worksheets/sheet1.xml", "w") as sheet:
            write_sheet(sheet, rows)


def write_sheet(sheet: IO[bytes], rows: Iterable[Sequence[Any]]) -> None:
    """Write the rows of a sheet."""
    sheet.write(f'{HEADER}<worksheet xmlns="{MAIN}"><sheetData>'.encode())
    for number, row in enumerate(rows, 1):
        cells = "".join(sheet_cell(f"{column_name(i)}{number}", value) for i, value in enumerate(row))
        sheet.write(f'<row r="{number}">{cells}</row>'.encode())
    sheet.write(b"</sheetData></worksheet>")


def sheet_cell(place: str, value: Any) -> str:
    """A cell of a sheet."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    text = escape("".join(c for c in str(value) if c >= " " or c in "\t\n\r"))
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
