"""From a CSV file as people really write it to leads as EspoCRM takes them.

Plain functions without Airflow and without EspoCRM, used by ``lead_intake.py`` and easy to test alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

COLUMNS = ("first_name", "last_name", "company", "email", "phone", "country", "source", "met_at", "notes")

# Nobody writes so much about a lead: a quotation mark is missing.
LONGEST_CELL = 100_000

# What people write, and what EspoCRM's field "source" knows.
SOURCES = {
    "call": "Call",
    "phone": "Call",
    "e-mail": "Email",
    "email": "Email",
    "newsletter": "Email",
    "customer": "Existing Customer",
    "existing customer": "Existing Customer",
    "partner": "Partner",
    "reseller": "Partner",
    "press": "Public Relations",
    "public relations": "Public Relations",
    "web": "Web Site",
    "web form": "Web Site",
    "web site": "Web Site",
    "website": "Web Site",
    "campaign": "Campaign",
    "fair": "Other",
    "trade fair": "Other",
    "other": "Other",
}

# Country code, and how few and how many digits a number has after it.
COUNTRIES = {
    "AT": ("43", 7, 12),
    "CZ": ("420", 9, 9),
    "DE": ("49", 6, 12),
    "ES": ("34", 9, 9),
    "FR": ("33", 9, 9),
    "GB": ("44", 9, 10),
    "PL": ("48", 9, 9),
    "SE": ("46", 7, 10),
    "UA": ("380", 9, 9),
    "US": ("1", 10, 10),
}

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+(?<!\.)@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
# A day, or a time with or without a zone, as in ISO 8601.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


@dataclass
class Cleaned:
    """What came of a file.

    ``leads``: attributes of a lead each, with the line it came from under ``line``.
    ``rejects``: rows that cannot be used, as ``{"line", "reason"}``, with ``"to_line"`` where a row has several lines.
    ``notes``: what was mended or left out in rows that are used, as ``{"line", "note"}``.
    ``sha256``: of the file, to tell later whether it is still the same.

    Only ``leads`` holds what people wrote.
    """

    leads: list[dict[str, str | int]] = field(default_factory=list)
    rejects: list[dict[str, str | int]] = field(default_factory=list)
    notes: list[dict[str, str | int]] = field(default_factory=list)
    rows: int = 0
    sha256: str = ""


@dataclass
class Row:
    """A row of the file: the lines it stands in, its cells, and the header's names."""

    line: int
    to_line: int
    cells: Sequence[str]
    header: Sequence[str]

    @property
    def place(self) -> dict[str, str | int]:
        """Where it stands, for a report."""
        return {"line": self.line} if self.line == self.to_line else {"line": self.line, "to_line": self.to_line}

    def named(self) -> dict[str, str]:
        """Return the cells by column.

        :raises Reject: the cells do not fit the columns.
        """
        if len(self.cells) > len(self.header):
            raise Reject("more cells than columns: a comma outside of quotation marks?")
        row = dict(zip(self.header, self.cells, strict=False))
        for name, cell in row.items():
            if name != "notes" and re.search(r"[\r\n]", cell.strip()):
                raise Reject("a line break outside of the notes: a quotation mark that is not closed?")
        return row


class Reject(Exception):
    """A row cannot be used; the text is the reason."""


def clean_file(path: Path) -> Cleaned:
    """Read and clean a file.

    :raises OSError: the file cannot be read.
    :raises ValueError: it is no file of leads as a whole: not UTF-8 text, empty, without a column, or with a quotation
        mark that is never closed.
    """
    content = path.read_bytes()
    result = Cleaned(sha256=hashlib.sha256(content).hexdigest())
    merged: dict[str, dict[str, str | int]] = {}
    for row in _rows(_text_of(content, path.name), path.name):
        result.rows += 1
        try:
            lead, notes = clean_row(row.named())
        except Reject as reason:
            result.rejects.append({**row.place, "reason": str(reason)})
            continue
        line = row.line
        result.notes += [{"line": line, "note": note} for note in notes]
        key = lead["emailAddress"].lower()
        if key in merged:
            # The file is a log: what was written last, is meant. An empty cell says nothing.
            note = "same e-mail address as an earlier line: merged"
            result.notes.append({"line": line, "note": note, "of": merged[key]["line"]})
            merged[key].update({name: value for name, value in lead.items() if name != "emailAddress"})
        else:
            merged[key] = {"line": line, **lead}
    result.leads = list(merged.values())
    return result


def clean_row(row: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return a lead's attributes and what was mended.

    :raises Reject: the row cannot be used.
    """
    cells = {name: " ".join((row.get(name) or "").split()) for name in COLUMNS}
    notes: list[str] = []
    lead = {
        "firstName": cells["first_name"],
        "lastName": cells["last_name"],
        "accountName": cells["company"],
        "emailAddress": clean_email(cells["email"]),
        "source": clean_source(cells["source"], notes),
        "phoneNumber": clean_phone(cells["phone"], cells["country"], notes),
        "description": describe(cells["met_at"], cells["notes"], notes),
    }
    if not lead["lastName"] and lead["firstName"]:
        # A single name is more often a family name in a CRM's lists.
        lead["lastName"], lead["firstName"] = lead["firstName"], ""
        notes.append("one name only: taken for the last name")
    if not lead["lastName"] and not lead["accountName"]:
        raise Reject("neither name nor company")
    return {name: value for name, value in lead.items() if value}, notes


def clean_email(text: str) -> str:
    """Return an e-mail address in lower case."""
    if not text:
        raise Reject("no e-mail address")
    address = text.lower().strip("<>;,. ").removeprefix("mailto:").strip()
    if not _EMAIL.fullmatch(address) or ".." in address:
        raise Reject("not an e-mail address")
    return address


def clean_source(text: str, notes: list[str]) -> str:
    """Return a source that EspoCRM knows."""
    if not text:
        return ""
    known = SOURCES.get(text.lower())
    if known is None:
        notes.append("unknown source: taken for Other")
    return known or "Other"


def clean_phone(text: str, country: str, notes: list[str]) -> str:
    """Return a phone number in the international form EspoCRM wants (E.164), or nothing."""
    if not text:
        return ""
    number = re.sub(r"(?i)\s*(ext|x|durchwahl)\.?\s*\d+$", "", unicodedata.normalize("NFKC", text))
    number = re.sub(r"(?i)^tel(ephone|efon)?[.:]*\s*", "", number)
    # "+49 (0)30 ..." writes the trunk zero for readers at home.
    number = re.sub(r"\(0\)", "", number)
    digits = re.sub(r"[^0-9]", "", number)
    code, least, most = COUNTRIES.get(country.upper(), ("", 0, 0))
    if number.startswith("+"):
        international = digits
    elif digits.startswith("00"):
        international = digits[2:]
    elif code and digits.startswith(code) and least <= len(digits) - len(code) <= most:
        international = digits
    elif code:
        international = code + digits.removeprefix("0")
    else:
        international = ""
    international = _without_trunk_zero(international)
    if not _is_possible(international):
        notes.append("phone number left out: not a number of any country known here")
        return ""
    return f"+{international}"


def _without_trunk_zero(international: str) -> str:
    """Mend ``+49 030 ...``: in these countries no number has a zero after the country code."""
    for code, _, _ in COUNTRIES.values():
        if international.startswith(code + "0"):
            return code + international.removeprefix(code).lstrip("0")
    return international


def _is_possible(international: str) -> bool:
    return any(
        international.startswith(code) and least <= len(international) - len(code) <= most
        for code, least, most in COUNTRIES.values()
    )


def describe(met_at: str, notes_text: str, notes: list[str]) -> str:
    """Put into words what has no field of its own: when we met (in UTC), and what was said."""
    parts = []
    if met_at and (moment := when(met_at)):
        parts.append(f"Met on {moment}.")
    elif met_at:
        notes.append("date not understood: left out")
    if notes_text:
        parts.append(notes_text)
    return " ".join(parts)


def when(text: str) -> str:
    """Return a point in time in UTC, a local time where no zone is given, or a day; nothing for what is none of these.

    Only in the form of ISO 8601: ``04/11/2026`` is April to some and November to others, and ``Tuesday`` is another day
    each time the file is read.
    """
    if not _TIME.fullmatch(text):
        return ""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return ""
    return text if len(text) == len("2026-11-04") else f"{moment:%Y-%m-%d %H:%M}"


def chunks(count: int, size: int) -> list[list[int]]:
    """Cut a list of a length into pieces of a size, for mapped tasks: where each begins and ends."""
    return [[start, min(start + size, count)] for start in range(0, count, size)]


def _text_of(content: bytes, name: str) -> str:
    """Decode a file; spreadsheets mark UTF-8 by a byte order mark."""
    # UTF-16 may decode as UTF-8, with null characters.
    bad = content.find(b"\0")
    if bad < 0:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            bad = error.start
    # The decoder's own error would carry the content along.
    line = content.count(b"\n", 0, bad) + 1
    raise ValueError(f"{name}, line {line}: this is not UTF-8 text. Save the file as CSV in UTF-8")


def _rows(text: str, name: str) -> Iterator[Row]:
    """Rows below the header, with the lines they stand in; blank lines are none."""
    header: list[str] = []
    for first, last, cells in _records(text, name):
        if header:
            yield Row(first, last, cells, header)
        else:
            header = _header(cells, name)
    if not header:
        raise ValueError(f"{name} is empty: not even a header is there")


def _records(text: str, name: str) -> Iterator[tuple[int, int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    lines = io.StringIO(text, newline="").readlines()
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{name}, line {first}: {error}") from None
        if cells is None:
            return
        if reader.line_num == len(lines) > first and _is_open("".join(lines[first - 1 :])):
            raise ValueError(f"{name}, line {first}: a quotation mark is opened here and never closed")
        if any(len(cell) > LONGEST_CELL for cell in cells):
            raise ValueError(f"{name}, line {first}: a cell is longer than {LONGEST_CELL} characters")
        if cells:
            yield first, reader.line_num, cells


def _is_open(text: str) -> bool:
    """Whether the text ends within quotation marks, so that the rest of the file was read as one cell."""
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return text.count('"') % 2 == 1
    return False


def _header(cells: list[str], name: str) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    if missing := [column for column in COLUMNS if column not in header]:
        hint = "; the columns must be separated by commas" if len(header) == 1 else ""
        raise ValueError(f"{name} has no column {', '.join(missing)}{hint}")
    if double := [column for column in COLUMNS if header.count(column) > 1]:
        raise ValueError(f"{name} has column {', '.join(double)} twice")
    return header


def count_by(rows: Iterable[dict[str, str | int]], name: str) -> dict[str, int]:
    """Count rows by a value, most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row[name])] = counts.get(str(row[name]), 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
