"""Reads the rows of an import: cells of a CSV file, and what their texts mean for the attributes of a type."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import phone
from airflow_provider_espo.sandbox.search.dates import find_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_espo.sandbox.definitions import AttributeDef, EntityDef

#: Parts of the front end's date formats and how Python spells them.
FORMAT_PARTS = {
    "YYYY": "%Y",
    "MM": "%m",
    "DD": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "A": "%p",
    "a": "%p",
}
FORMAT_PART = re.compile("|".join(FORMAT_PARTS))
#: Further addresses have a column each: ``emailAddress2`` ...
FURTHER_EMAIL = re.compile(r"emailAddress[234]")
NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class BadCellError(Exception):
    """A text that is no value of its attribute's type."""


@dataclass(frozen=True, slots=True)
class ImportParams:
    """How a file is to be read and what is to be done, as the request states it."""

    action: str | None = None
    currency: str | None = None
    date_format: str = "YYYY-MM-DD"
    time_format: str = "HH:mm"
    timezone: str = "UTC"
    decimal_mark: str = "."
    delimiter: str = ","
    text_qualifier: str = '"'
    person_name_format: str = ""
    header_row: bool = False
    idle_mode: bool = False
    manual_mode: bool = False
    silent_mode: bool = False
    skip_duplicate_checking: bool = False
    update_by: tuple[int, ...] = ()
    default_values: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_raw(cls, body: Mapping[str, Any]) -> ImportParams:
        """Read a request's body, or what was kept of it."""
        defaults = body.get("defaultValues") or {}
        update_by = body.get("updateBy") or []
        flags = {name: bool(body.get(name)) for name in RAW_FLAGS}
        raw = {name: body.get(name) for name in RAW_TEXTS}
        raw |= {**flags, "defaultValues": defaults, "updateBy": update_by}
        return cls(
            action=body.get("action"),
            currency=body.get("currency"),
            date_format=body.get("dateFormat") or "YYYY-MM-DD",
            time_format=body.get("timeFormat") or "HH:mm",
            timezone=body.get("timezone") or "UTC",
            decimal_mark=body.get("decimalMark") or ".",
            delimiter=str(body.get("delimiter") or ",").replace("\\t", "\t"),
            text_qualifier=body.get("textQualifier") or '"',
            person_name_format=body.get("personNameFormat") or "",
            header_row=flags["headerRow"],
            idle_mode=flags["idleMode"],
            manual_mode=flags["manualMode"],
            silent_mode=flags["silentMode"],
            skip_duplicate_checking=flags["skipDuplicateChecking"],
            update_by=tuple(int(index) for index in update_by),
            default_values=dict(defaults) if isinstance(defaults, dict) else {},
            raw=raw,
        )


RAW_TEXTS = (
    "action",
    "currency",
    "dateFormat",
    "decimalMark",
    "delimiter",
    "personNameFormat",
    "textQualifier",
    "phoneNumberCountry",
    "timeFormat",
    "timezone",
    "defaultFieldList",
)
RAW_FLAGS = ("headerRow", "idleMode", "manualMode", "silentMode", "skipDuplicateChecking", "startFromLastIndex")


def rows_of(text: str, delimiter: str, qualifier: str) -> Iterator[list[str]]:
    """Rows of a CSV text, as EspoCRM reads it.

    Empty cells at the end of a row are not there, and a row without any cell ends the file: what follows an
    empty line is not read.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = 0
    while start < len(text):
        cells, start = read_row(text, start, delimiter, qualifier)
        if not cells:
            return
        yield cells


def read_row(text: str, start: int, delimiter: str, qualifier: str) -> tuple[list[str], int]:
    """The row that begins at a place of a text, and where the next one begins."""
    cells: dict[int, str] = {}
    number, within, after = 0, False, False
    place = start
    while place < len(text):
        char = text[place]
        place += 1
        if char == qualifier:
            if after:
                cells[number] = cells.get(number, "") + char
            within, after = not within, within
        elif char == "\n" and not within:
            break
        elif char == delimiter and not within:
            number, after = number + 1, False
        else:
            cells[number] = (
                cells.get(number, "") + (qualifier if after and char not in (delimiter, "\n") else "") + char
            )
            after = False
    return [cells.get(i, "") for i in range(max(cells, default=-1) + 1)], place


@dataclass(slots=True)
class Row:
    """A row of an import while it is read.

    :param names: attributes of the columns; empty ones are not imported
    :param cells: the row's texts
    :param old: the record that is updated; empty for a new one
    :param values: what the row sets
    :param bad: fields whose cells make no sense
    """

    entity_def: EntityDef
    names: Sequence[str]
    cells: Sequence[str]
    params: ImportParams
    old: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    @property
    def given(self) -> dict[str, str]:
        """Texts by attribute."""
        return {name: text for name, text in zip(self.names, self.cells, strict=False) if name}

    def read(self) -> None:
        """Read every cell."""
        self.values = dict(self.params.default_values)
        for name, text in self.given.items():
            try:
                if name != "id":
                    self.read_cell(name, text)
            except BadCellError:
                self.bad.append(self.entity_def.attributes[name].field)

    def read_cell(self, name: str, text: str) -> None:
        """Set what one cell says.

        :raises BadCellError: if it makes no sense
        """
        attribute = self.entity_def.attributes.get(name)
        field_def = self.entity_def.fields.get(name)
        field_type = field_def.type if field_def else ""
        if attribute is None:
            if text:
                self.add_further_address(name, text)
        elif not text:
            if attribute.kind == "bool":
                self.values[name] = False
        elif field_type in ("email", "phone"):
            self.add_address(name, {key_of(name): address(name, text), "primary": True})
        elif field_type == "personName":
            for part, value in person_name(text, self.params.person_name_format).items():
                if value is not None and not self.values.get(part):
                    self.values[part] = shortened(self.entity_def.attributes[part], value)
        else:
            self.values[name] = parsed(attribute, text, self.params)

    def add_further_address(self, name: str, text: str) -> None:
        """Add a further e-mail address, or a phone number of a certain type (``phoneNumberMobile``)."""
        if FURTHER_EMAIL.fullmatch(name) and "emailAddress" in self.entity_def.fields:
            main, item = "emailAddress", {"emailAddress": text}
        else:
            phone_def = self.entity_def.fields.get("phoneNumber")
            types = phone_def.phone_types if phone_def else ()
            by_name = {f"phoneNumber{kind[:1].upper()}{kind[1:].replace(' ', '_')}": kind for kind in types}
            if name not in by_name:
                return
            main, item = "phoneNumber", {"phoneNumber": address("phoneNumber", text), "type": by_name[name]}
        is_first = not self.values.get(f"{main}Data") and not self.old.get(f"{main}Data")
        self.add_address(main, {**item, "primary": is_first and not self.given.get(main)})

    def add_address(self, name: str, item: dict[str, Any]) -> None:
        """Add an e-mail address or phone number to those that are there; the same one is not there twice."""
        data_name, key = f"{name}Data", key_of(name)
        data = self.values.get(data_name, self.old.get(data_name)) or []
        kept = [other for other in data if str(other.get(key)).lower() != str(item[key]).lower()]
        if item["primary"]:
            kept = [{**other, "primary": False} for other in kept]
        self.values[data_name] = [*kept, item]


def key_of(name: str) -> str:
    """The key of an address in its data."""
    return "emailAddress" if name.startswith("emailAddress") else "phoneNumber"


def address(name: str, text: str) -> str:
    """An address as it is stored."""
    return text if name.startswith("emailAddress") else phone.canonical(text.removeprefix("'"))


def person_name(text: str, form: str) -> dict[str, str | None]:
    """Parts of a person's name.

    :param form: ``f l``, ``l f``, ``l, f``, ``f m l`` or ``l f m``
    """
    order = [{"f": "firstName", "m": "middleName", "l": "lastName"}[c] for c in form if c in "fml"]
    parts = [p.strip() for p in text.split("," if "," in form else " ", max(len(order) - 1, 0))]
    if len(parts) == 1 or len(order) < 2:
        return {"lastName": text}
    if len(parts) < len(order):
        order = [name for name in order if name != "middleName"]
    return dict(zip(order, parts, strict=False))


def shortened(attribute: AttributeDef, text: str) -> str:
    """A text cut to what its column takes."""
    limit = attribute.max_length
    return text[:limit] if attribute.kind == "varchar" and limit else text


def parsed(attribute: AttributeDef, text: str, params: ImportParams) -> Any:
    """The value that a text stands for.

    :raises BadCellError: if it stands for none
    """
    if attribute.kind == "bool":
        return text.lower() not in ("false", "0")
    if text.lower() == "null":
        return None
    parse = PARSERS.get(attribute.kind)
    if parse is None:
        return shortened(attribute, text)
    try:
        return parse(text, params)
    except ValueError:
        raise BadCellError(attribute.name) from None


def day(text: str, params: ImportParams) -> str:
    """A day in the import's format."""
    return f"{dt.datetime.strptime(text, strptime_format(params.date_format)):%Y-%m-%d}"  # noqa: DTZ007


def moment(text: str, params: ImportParams) -> str:
    """A time in the import's format and time zone."""
    form = strptime_format(f"{params.date_format} {params.time_format}")
    local = dt.datetime.strptime(text, form).replace(tzinfo=find_zone(params.timezone))
    return f"{local.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"


def texts(text: str, params: ImportParams) -> Any:
    """A list, as JSON or with commas."""
    return json.loads(text) if text[0] == "[" else [item.strip() for item in text.split(",")]


def strptime_format(form: str) -> str:
    """A date format of the front end in Python's spelling."""
    return FORMAT_PART.sub(lambda match: FORMAT_PARTS[match[0]], form)


def decimal_number(text: str, params: ImportParams) -> float:
    """A number; blanks and the other mark part its thousands. What follows the digits is passed over.

    :raises ValueError: if it is none
    """
    mark = params.decimal_mark
    left, _, right = text.partition(mark)
    left = left.replace(" ", "").replace("," if mark == "." else ".", "")
    if not NUMBER.fullmatch(left):
        raise ValueError(text)
    found = NUMBER.match(f"{left}.{right.partition(mark)[0]}")
    return float(found[0]) if found else float(left)


def whole_number(text: str, params: ImportParams) -> int:
    """A number without a fraction.

    :raises ValueError: if it is none
    """
    mark = params.decimal_mark
    digits = text.replace(" ", "").replace("," if mark == "." else ".", "")
    if mark in digits or not NUMBER.fullmatch(digits):
        raise ValueError(text)
    return int(float(digits))


PARSERS: Mapping[str, Callable[[str, ImportParams], Any]] = {
    "date": day,
    "datetime": moment,
    "float": decimal_number,
    "int": whole_number,
    "jsonObject": lambda text, _: json.loads(text),
    "jsonArray": texts,
}
