"""From a CSV file as people really write it to leads as EspoCRM takes them.

Plain functions without Airflow and without EspoCRM, used by ``lead_intake.py`` and easy to test alone.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import pendulum

COLUMNS = ("first_name", "last_name", "company", "email", "phone", "country", "source", "met_at", "notes")

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

# Country code, and how many digits a number has after it.
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
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)


@dataclass
class Cleaned:
    """What came of a file.

    ``leads``: attributes of a lead each, with the line it came from under ``line``.
    ``rejects``: rows that cannot be used, as ``{"line", "reason"}``.
    ``notes``: what was mended or left out in rows that are used, as ``{"line", "note"}``.
    """

    leads: list[dict[str, str | int]] = field(default_factory=list)
    rejects: list[dict[str, str | int]] = field(default_factory=list)
    notes: list[dict[str, str | int]] = field(default_factory=list)
    rows: int = 0


class Reject(Exception):
    """A row cannot be used; the text is the reason."""


def clean_file(path: Path) -> Cleaned:
    """Read and clean a file.

    :raises OSError: the file cannot be read.
    :raises ValueError: a column is missing, or the file is not UTF-8 text.
    """
    result = Cleaned()
    merged: dict[str, dict[str, str | int]] = {}
    for line, row in _rows(path):
        result.rows += 1
        try:
            lead, notes = clean_row(row)
        except Reject as reason:
            result.rejects.append({"line": line, "reason": str(reason)})
            continue
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
    address = text.removeprefix("mailto:").strip("<>;,. ").lower()
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
    number = re.sub(r"(?i)\s*(ext|x|durchwahl)\.?\s*\d+$", "", text)
    # "+49 (0)30 ..." writes the trunk zero for readers at home.
    number = re.sub(r"\(0\)", "", number)
    digits = re.sub(r"\D", "", number)
    code, least, most = COUNTRIES.get(country.upper(), ("", 0, 0))
    if number.strip().startswith("+"):
        international = digits
    elif digits.startswith("00"):
        international = digits[2:]
    elif code and digits.startswith(code) and len(digits) - len(code) == most == least:
        international = digits
    elif code:
        international = code + digits.removeprefix("0")
    else:
        international = ""
    if not _is_possible(international):
        notes.append("phone number left out: not a number of any country known here")
        return ""
    return f"+{international}"


def _is_possible(international: str) -> bool:
    return any(
        international.startswith(code) and least <= len(international) - len(code) <= most
        for code, least, most in COUNTRIES.values()
    )


def describe(met_at: str, notes_text: str, notes: list[str]) -> str:
    """Put into words what has no field of its own: when we met (in UTC), and what was said."""
    parts = []
    if met_at:
        try:
            moment = pendulum.parse(met_at, strict=False)
        except ValueError:
            notes.append("date not understood: left out")
        else:
            if isinstance(moment, pendulum.DateTime):
                parts.append(f"Met on {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")
    if notes_text:
        parts.append(notes_text)
    return " ".join(parts)


def chunks(leads: list[dict[str, str | int]], size: int) -> list[list[dict[str, str | int]]]:
    """Cut a list into pieces of a size, for mapped tasks."""
    return [leads[start : start + size] for start in range(0, len(leads), size)]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with the line they begin in; spreadsheets mark UTF-8 by a byte order mark."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        if missing := [name for name in COLUMNS if name not in header]:
            raise ValueError(f"{path.name} has no column {', '.join(missing)}")
        reader.fieldnames = header
        first_line = reader.line_num + 1
        for row in reader:
            yield first_line, {name: value for name, value in row.items() if isinstance(name, str) and value}
            first_line = reader.line_num + 1


def count_by(rows: Iterable[dict[str, str | int]], name: str) -> dict[str, int]:
    """Count rows by a value, most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row[name])] = counts.get(str(row[name]), 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
