"""Whether a value that is wanted differs from the one that a record has, as EspoCRM would see it.

Every update moves ``modifiedAt`` and fires webhooks, also one that changes nothing. So an upsert that runs
each night must see that nothing changed although EspoCRM gives values back in another form than they were
sent: trimmed, e-mail addresses in another letter case, phone numbers without blanks, numbers as texts, null
for an empty text. Where it is doubtful whether two values are the same, they differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_espo.client import moments
from airflow_provider_espo.client.attributes import DEFAULT_SCALE, SENT_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Hashable

    from airflow_provider_espo.client.attributes import Attribute, Kind
    from airflow_provider_espo.client.schema import EntitySchema

#: Stands for the value of an attribute that an answer does not have.
ABSENT: Final = object()

_PHONE_FILLERS = re.compile(r"[\s()./\u2010-\u2015-]+")
_LISTS = frozenset({"ids", "list", "email_data", "phone_data"})
_MAPS = frozenset({"columns", "names", "object"})

#: Kinds of attributes by how their names end, for when there is no schema.
_KIND_BY_END: tuple[tuple[str, Kind], ...] = (
    ("emailAddressData", "email_data"),
    ("phoneNumberData", "phone_data"),
    ("emailAddress", "email"),
    ("phoneNumber", "phone"),
    ("Columns", "columns"),
    ("Ids", "ids"),
)


def changed(schema: EntitySchema | None, wanted: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Find what of the wanted values an update has to send.

    Attributes of one field that only make sense together (``parentType`` and ``parentId``, an amount and its
    currency, ``Ids`` and ``Columns``) are sent together when one of them differs. Attributes that EspoCRM
    takes only on creation are left out.

    :param schema: of the entity type; ``None`` where it is not known.
    :param wanted: values as :func:`~airflow_provider_espo.client.values.to_wire` gives them.
    :param current: the record as the server gave it. Lists cut texts after 10,000 characters and lack some
        attributes, which then look different: the answer for a single record is better.
    :return: the part of ``wanted`` to send; empty where nothing differs.
    """
    known = {name: schema.attribute(name) if schema else None for name in wanted}
    different = set()
    for name, value in wanted.items():
        attribute = known[name]
        if attribute is not None and (attribute.create_only or _whole_day(attribute, wanted, current)):
            continue
        if differs(schema, name, value, current.get(name, ABSENT)):
            different.add(name)
    fields = {it.field for it in map(known.get, different) if it and it.field_type in SENT_TOGETHER}
    return {
        name: value
        for name, value in wanted.items()
        if name in different or ((it := known[name]) is not None and it.field in fields and not it.create_only)
    }


def _whole_day(attribute: Attribute, wanted: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Whether null is wanted for a time that the server fills in because the field is set to a whole day."""
    name = attribute.name
    day = wanted.get(f"{name}Date")
    return (
        attribute.field_type == "datetimeOptional"
        and wanted[name] is None
        and day is not None
        and day == current.get(f"{name}Date")
    )


def differs(schema: EntitySchema | None, name: str, wanted: Any, current: Any) -> bool:
    """Whether a wanted value differs from the current one, as EspoCRM stores it.

    No value, an empty text, an empty list and (of a bool) false are the same. E-mail addresses ignore letter
    case, phone numbers the signs between digits, texts blanks around them. Numbers compare by value, whether
    they come as numbers or as texts; decimals to the digits that the field keeps. Ids ignore order; of
    columns, e-mail addresses and phone numbers with their flags only what is given is compared.

    :param schema: of the entity type; ``None`` where it is not known: then the name and the values
        themselves tell.
    :param name: the attribute's name.
    :param wanted: value as :func:`~airflow_provider_espo.client.values.to_wire` gives it.
    :param current: value in the record as the server gave it; :data:`ABSENT` where the record lacks it,
        which for lists and maps counts as different, because it is not known then.
    """
    attribute = schema.attribute(name) if schema else None
    kind = attribute.kind if attribute else _kind_by_name(name)
    if current is ABSENT:
        if kind in _LISTS or kind in _MAPS or isinstance(wanted, list | dict):
            return True
        current = None
    if _is_empty(kind, wanted) or _is_empty(kind, current):
        return _is_empty(kind, wanted) != _is_empty(kind, current)
    return not _same(kind, wanted, current, attribute)


def same_key(schema: EntitySchema | None, name: str, a: Any, b: Any) -> bool:
    """Whether two values of an attribute are the same key, such as one in a file and one found on the server.

    As for EspoCRM's database, letter case does not count; e-mail addresses and phone numbers compare as
    :func:`differs` does. Unlike for some databases accents do count: a look-up for *Muller* may find
    *Müller*, but that is somebody else. Nothing is the same as no value, not even no value.

    :param schema: of the entity type; ``None`` where it is not known.
    :param name: the attribute's name.
    :param a: one value.
    :param b: the other.
    """
    key = match_key(schema, name, a)
    return key is not None and key == match_key(schema, name, b)


def match_key(schema: EntitySchema | None, name: str, value: Any) -> Hashable | None:
    """Give what two values of an attribute have in common if and only if they are the same key.

    :param schema: of the entity type; ``None`` where it is not known.
    :param name: the attribute's name.
    :param value: the value.
    :return: a key for a dict, or ``None`` for no value, which matches nothing.
    """
    attribute = schema.attribute(name) if schema else None
    kind = attribute.kind if attribute else _kind_by_name(name)
    if isinstance(value, list | dict):
        return None if not value else repr(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if kind == "bool" or isinstance(value, bool):
        return bool(value)
    if kind == "id":
        return str(value)
    simple = _simple(kind, value, attribute)
    return unicodedata.normalize("NFC", simple).casefold() if isinstance(simple, str) else simple


def number(value: Any) -> Decimal | None:
    """Read a number, also one that is written as a text; ``None`` where it is none, and of a bool."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _kind_by_name(name: str) -> Kind:
    return next((kind for end, kind in _KIND_BY_END if name.lower().endswith(end.lower())), "any")


def _is_empty(kind: Kind, value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {}) or (kind == "bool" and value is False)


def _same(kind: Kind, wanted: Any, current: Any, attribute: Attribute | None) -> bool:
    if kind == "ids":
        return _is_list(wanted, current) and set(map(str, wanted)) == set(map(str, current))
    if kind == "columns":
        return _same_columns(wanted, current)
    if kind in {"email_data", "phone_data"}:
        return _same_items(kind, wanted, current)
    if kind in _LISTS or kind in _MAPS or isinstance(wanted, list | dict) or isinstance(current, list | dict):
        return _same_json(wanted, current)
    if kind == "any" and (isinstance(wanted, bool) or isinstance(current, bool)):
        return wanted is current
    if kind == "bool":
        return bool(wanted) == bool(current)
    if kind == "any" and not (isinstance(wanted, str) and isinstance(current, str)):
        numbers = number(wanted), number(current)
        return numbers[0] == numbers[1] if None not in numbers else str(wanted) == str(current)
    return bool(_simple(kind, wanted, attribute) == _simple(kind, current, attribute))


def _simple(kind: Kind, value: Any, attribute: Attribute | None) -> Decimal | float | str:
    """Bring a scalar to the form in which equal values are equal."""
    text = _php_text(value).strip()
    if kind == "email":
        return text.casefold()
    if kind == "phone":
        return _PHONE_FILLERS.sub("", text).casefold() or text
    if kind == "datetime":
        moment = moments.parse(text)
        return moments.utc_text(moment) if moment else text
    if kind == "date":
        return text[:10] if moments.parse(text) else text
    as_number = number(value) if kind in {"int", "float", "decimal"} else None
    if as_number is None:
        return text
    if kind == "float":
        # Kept in a floating-point column: more digits than it holds are no difference.
        return float(as_number)
    if kind == "decimal":
        scale = attribute.scale if attribute and attribute.scale is not None else DEFAULT_SCALE
        return _rounded(as_number, scale)
    return as_number


def _rounded(value: Decimal, scale: int) -> Decimal:
    try:
        return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    except InvalidOperation:
        # More digits than the context has: nothing a decimal column could hold.
        return value


def _php_text(value: Any) -> str:
    """Write a scalar as PHP does where a text is wanted."""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _is_list(*values: Any) -> bool:
    return all(isinstance(value, list) for value in values)


def _same_columns(wanted: Any, current: Any) -> bool:
    if not isinstance(wanted, Mapping) or not isinstance(current, Mapping):
        return False
    return all(
        isinstance(columns, Mapping)
        and (record_id in current or not columns)
        and _has_all(columns, current.get(record_id) or {})
        for record_id, columns in wanted.items()
    )


def _has_all(wanted: Mapping[str, Any], current: Any) -> bool:
    """Whether each wanted column or flag is there; no value and false are the same."""
    if not isinstance(current, Mapping):
        return False
    return all(
        (not value and not current.get(key)) or _same_json(value, current.get(key)) for key, value in wanted.items()
    )


def _same_items(kind: Kind, wanted: Any, current: Any) -> bool:
    """Whether the same addresses (or numbers) are there, each with the wanted flags, in any order."""
    item_kind: Kind = "email" if kind == "email_data" else "phone"
    by_wanted = _by_address(item_kind, wanted)
    by_current = _by_address(item_kind, current)
    if by_wanted is None or by_current is None:
        return bool(wanted == current)
    key = _ADDRESS_KEY[item_kind]
    return by_wanted.keys() == by_current.keys() and all(
        _has_all({flag: it for flag, it in item.items() if flag not in {key, "lower"}}, by_current[address])
        for address, item in by_wanted.items()
    )


_ADDRESS_KEY: Mapping[str, str] = {"email": "emailAddress", "phone": "phoneNumber"}


def _by_address(kind: Kind, items: Any) -> dict[str, Mapping[str, Any]] | None:
    if not isinstance(items, list):
        return None
    found: dict[str, Mapping[str, Any]] = {}
    for item in items:
        address = item.get(_ADDRESS_KEY[kind]) if isinstance(item, Mapping) else None
        if not isinstance(address, str):
            return None
        # Given twice, the server keeps the first.
        found.setdefault(str(_simple(kind, address, None)), item)
    return found


def _same_json(wanted: Any, current: Any) -> bool:
    """Whether two JSON values are the same; PHP gives an empty map back as an empty list."""
    if wanted in ([], {}) and current in ([], {}):
        return True
    if isinstance(wanted, list) and isinstance(current, list):
        return len(wanted) == len(current) and all(map(_same_json, wanted, current))
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        return wanted.keys() == current.keys() and all(_same_json(wanted[key], current[key]) for key in wanted)
    if isinstance(wanted, bool) or isinstance(current, bool):
        return wanted is current
    if isinstance(wanted, str) and isinstance(current, str):
        return wanted.strip() == current.strip()
    return bool(wanted == current)
