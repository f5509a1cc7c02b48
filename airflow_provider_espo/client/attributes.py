"""Which attributes a field of EspoCRM has, by its type.

EspoCRM's metadata speaks of *fields*, its API of *attributes*: the field ``account`` of type ``link`` is the
attributes ``accountId`` and ``accountName``. API users are served the fields; which attributes a field of
each type has is in the table below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal[
    "id",  # id of a record
    "string",  # one line; the server trims it
    "text",
    "enum",
    "email",
    "phone",
    "int",
    "float",
    "decimal",  # a number the server keeps as text, to the last digit
    "bool",
    "date",
    "datetime",
    "ids",  # link-multiple: list of record ids, no order
    "names",  # map of record id to name
    "columns",  # map of record id to the link's columns
    "email_data",
    "phone_data",
    "list",
    "object",
    "any",  # not known
]

READ_ONLY_FIELD = "so the server's metadata has it"
_NAME_OF_LINK = "EspoCRM fills it in from the linked record"
_CONVERTED = "EspoCRM computes it from the amount and the rates"
_OF_ATTACHMENT = "EspoCRM fills it in from the attachments"
_PERSON_NAME = "EspoCRM composes it from firstName, middleName and lastName"
_FOREIGN = "it belongs to the linked record"

#: Digits behind the point that EspoCRM keeps of a decimal where the field does not say otherwise.
DEFAULT_SCALE = 4


@dataclass(frozen=True)
class Attribute:
    """One attribute of an entity type.

    :param name: name in requests and answers.
    :param kind: how its values look and compare.
    :param writable: whether a value sent for it is kept.
    :param field: the field it belongs to, such as ``address`` for ``addressCity``; validation errors name it.
    :param field_type: EspoCRM's type of that field.
    :param why_read_only: why a value sent for it is dropped; ``None`` where it is kept.
    :param options: allowed values of an enum or multi-enum; empty where the metadata has none.
    :param max_length: in characters; ``None`` where there is no limit in the metadata.
    :param scale: digits behind the point that are kept; only of decimals.
    :param create_only: the server takes it when a record is created and drops it in updates.
    :param listed: lists can show it; ``False`` for what only the answer for a single record has.
    :param worked_out: no column stands behind it and the metadata has no expression for it: EspoCRM works it out, for
        single records mostly, or shows it only where a record is listed as another's.
    """

    name: str
    kind: Kind
    writable: bool
    field: str
    field_type: str
    why_read_only: str | None = None
    options: tuple[str, ...] = ()
    max_length: int | None = None
    scale: int | None = None
    create_only: bool = False
    listed: bool = True
    worked_out: bool = False


@dataclass(frozen=True)
class _Part:
    """One attribute of a field type: its name is the field's with a suffix or a prefix, or both."""

    kind: Kind
    suffix: str = ""
    prefix: str = ""
    why_read_only: str | None = None
    listed: bool = True

    def name(self, field: str) -> str:
        """Name of the attribute for a field of this name."""
        return (self.prefix + _capital(field) if self.prefix else field) + self.suffix


def _plain(kind: Kind) -> tuple[_Part, ...]:
    return (_Part(kind),)


_LINK = (_Part("id", "Id"), _Part("string", "Name", why_read_only=_NAME_OF_LINK))
_CURRENCY = (
    _Part("float"),
    _Part("enum", "Currency"),
    _Part("float", "Converted", why_read_only=_CONVERTED),
)

#: Field types whose name alone is no attribute are in here too: ``map`` shows an address and holds nothing.
_PARTS: Mapping[str, tuple[_Part, ...]] = {
    **dict.fromkeys(("varchar", "url", "password", "barcode", "colorpicker", "number"), _plain("string")),
    **dict.fromkeys(("text", "wysiwyg"), _plain("text")),
    **dict.fromkeys(("int", "autoincrement", "duration", "enumInt"), _plain("int")),
    **dict.fromkeys(("float", "enumFloat"), _plain("float")),
    **dict.fromkeys(("multiEnum", "multienum", "array", "arrayInt", "checklist"), _plain("list")),
    **dict.fromkeys(("urlMultiple", "jsonArray"), _plain("list")),
    **dict.fromkeys(("link", "linkOne", "file", "image", "attachment"), _LINK),
    "enum": _plain("enum"),
    "decimal": _plain("decimal"),
    "bool": _plain("bool"),
    "date": _plain("date"),
    "datetime": _plain("datetime"),
    "datetimeOptional": (_Part("datetime"), _Part("date", "Date")),
    "jsonObject": _plain("object"),
    "base": _plain("any"),
    "map": (),
    "foreign": (_Part("any", why_read_only=_FOREIGN),),
    "currencyConverted": (_Part("float", why_read_only=_CONVERTED),),
    "currency": _CURRENCY,
    "personName": (
        _Part("string", why_read_only=_PERSON_NAME),
        _Part("enum", prefix="salutation"),
        _Part("string", prefix="first"),
        _Part("string", prefix="middle"),
        _Part("string", prefix="last"),
    ),
    "linkParent": (*_LINK, _Part("string", "Type")),
    "linkMultiple": (_Part("ids", "Ids"), _Part("names", "Names", why_read_only=_NAME_OF_LINK)),
    "attachmentMultiple": (
        _Part("ids", "Ids"),
        _Part("names", "Names", why_read_only=_OF_ATTACHMENT),
        _Part("names", "Types", why_read_only=_OF_ATTACHMENT),
    ),
    "email": (
        _Part("email"),
        _Part("email_data", "Data", listed=False),
        _Part("bool", "IsOptedOut"),
        _Part("bool", "IsInvalid"),
    ),
    "phone": (
        _Part("phone"),
        _Part("phone_data", "Data", listed=False),
        _Part("bool", "IsOptedOut"),
        _Part("bool", "IsInvalid"),
    ),
    "address": (
        _Part("text", "Street"),
        _Part("string", "City"),
        _Part("string", "State"),
        _Part("string", "Country"),
        _Part("string", "PostalCode"),
    ),
    "rangeInt": (_Part("int", prefix="from"), _Part("int", prefix="to")),
    "rangeFloat": (_Part("float", prefix="from"), _Part("float", prefix="to")),
    "rangeCurrency": tuple(replace(part, prefix=prefix) for prefix in ("from", "to") for part in _CURRENCY),
}

#: Known types whose attributes' names are not all known from the metadata: a foreign field has the attributes
#: of the field that it shows.
_OPEN_TYPES = frozenset({"foreign"})

#: Types for which EspoCRM makes a database expression by itself, whether or not the metadata calls them stored.
_EXPRESSION_TYPES = frozenset({"currencyConverted", "duration", "email", "phone", "linkOne", "foreign", "personName"})

#: Attributes of one field that only make sense together, so that a change of one sends all that are wanted.
SENT_TOGETHER = frozenset({"linkParent", "linkMultiple", "currency", "datetimeOptional", "email", "phone"})


def is_open(field_type: str) -> bool:
    """Whether a field of this type may have attributes that cannot be told from the metadata."""
    return field_type in _OPEN_TYPES or field_type not in _PARTS


def attributes_of_field(field: str, defs: Mapping[str, Any]) -> Iterator[Attribute]:
    """Give the attributes of a field.

    :param field: name of the field.
    :param defs: its definition, as in ``entityDefs.<EntityType>.fields``.
    """
    field_type = str(defs.get("type") or "")
    for part in _PARTS.get(field_type, _plain("any")):
        yield _attribute(part, field, field_type, defs)
    extra = defs.get("additionalAttributeList")
    suffixes = [str(name) for name in extra] if isinstance(extra, list) else []
    if defs.get("columns") and "columns" not in suffixes:
        suffixes.append("columns")
    for suffix in suffixes:
        kind: Kind = "columns" if suffix == "columns" else "any"
        yield _attribute(_Part(kind, _capital(suffix)), field, field_type, defs)


def _attribute(part: _Part, field: str, field_type: str, defs: Mapping[str, Any]) -> Attribute:
    why = part.why_read_only or (READ_ONLY_FIELD if defs.get("readOnly") else None)
    own = not part.suffix and not part.prefix
    kind = part.kind
    if own and field_type == "currency" and defs.get("decimal"):
        kind = "decimal"
    options = defs.get("options")
    max_length = defs.get("maxLength")
    return Attribute(
        name=part.name(field),
        kind=kind,
        writable=why is None,
        field=field,
        field_type=field_type,
        why_read_only=why,
        options=tuple(str(option) for option in options) if own and isinstance(options, list) else (),
        max_length=max_length if own and isinstance(max_length, int) else None,
        scale=_scale(defs) if kind == "decimal" else None,
        create_only=bool(defs.get("readOnlyAfterCreate")),
        listed=part.listed,
        worked_out=_is_worked_out(field_type, defs),
    )


def _is_worked_out(field_type: str, defs: Mapping[str, Any]) -> bool:
    stored = not defs.get("notStorable") or bool(defs.get("select")) or field_type in _EXPRESSION_TYPES
    return not stored or bool(defs.get("internal"))


def _scale(defs: Mapping[str, Any]) -> int:
    scale = defs.get("scale")
    return scale if isinstance(scale, int) and scale >= 0 else DEFAULT_SCALE


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
