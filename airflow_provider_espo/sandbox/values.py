"""What becomes of a value that a client sends: how it is cast, and which rule of its field it breaks."""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import phone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import AttributeDef, FieldDef
    from airflow_provider_espo.sandbox.settings import Settings

DATE = re.compile(r"\d{4}-\d\d-\d\d")
DATETIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)(:\d\d)?")
ISO_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)")
#: As PHP's filter has it: ASCII only.
EMAIL = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
#: Characters that a field marked ``clean`` refuses: they make no sense in names and much in markup.
BAD_CHARACTERS = re.compile(r"[<>=]")
#: Characters of a URL up to its first dot; ``&`` and ``~`` may come behind it.
URL_CHARACTERS = frozenset(string.ascii_letters + string.digits + "%./?:@-_=#$!+*()',")
ABSOLUTE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+\S*")
#: Ids: those that EspoCRM makes and those that imports bring along.
RECORD_ID = re.compile(r"[A-Za-z0-9_=.-]+")
MAX_ADDRESSES = 10
MAX_ITEM_LENGTH = 100
MAX_INT = 2**31 - 1
NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
TRIMMED_TYPES = frozenset({"varchar", "personName", "url", "email"})
LIST_TYPES = frozenset({"array", "multiEnum", "checklist", "urlMultiple"})
DEFAULT_MAX_LENGTH = 255


def cast(value: Any, attribute: AttributeDef, field_def: FieldDef | None) -> Any:
    """A value as it is set on the record. What cannot be cast stays as it is; :func:`broken_rule` finds it."""
    if value is None:
        return [] if field_def is not None and field_def.type in LIST_TYPES else None
    match attribute.kind:
        case "varchar" | "text" | "id" | "foreignId" | "foreignType":
            return cast_text(value, attribute, field_def)
        case "int" | "float":
            return cast_number(value, attribute.kind)
        case "bool":
            return value is True or value in (1, "1", "true")
        case "datetime":
            return cast_datetime(value)
        case "date":
            return cast_date(value)
        case "jsonArray":
            return cast_list(value, attribute)
        case "jsonObject":
            return value if isinstance(value, dict) else {} if value == [] else value


def cast_list(value: Any, attribute: AttributeDef) -> Any:
    """A list; its texts lose the blanks at their ends. What is no list is no ids, else it stays as it is."""
    if not isinstance(value, list):
        return [] if attribute.source == "linkIds" else value
    if attribute.source != "stored":
        return value
    return [item.strip() if isinstance(item, str) else item for item in value]


def cast_text(value: Any, attribute: AttributeDef, field_def: FieldDef | None) -> str | None:
    """Text of a value, as PHP makes it; blanks at the ends of names go, an empty text is none."""
    text = php_text(value)
    field_type = field_def.type if field_def else "varchar"
    if field_type == "phone":
        text = phone.canonical(text)
    elif field_type in TRIMMED_TYPES:
        text = text.strip()
    if text == "" and field_type != "enum":
        return None
    return text


def php_text(value: Any) -> str:
    """A JSON value as text."""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, list):
        return "Array"
    return "Object" if isinstance(value, dict) else str(value)


def cast_number(value: Any, kind: str) -> Any:
    """A number; text that is not one stays text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            return value or None
        value = float(value)
    if isinstance(value, float) and (kind == "int" or value.is_integer()):
        return int(value)
    return value


def cast_date(value: Any) -> Any:
    """A day; of a time with its zone the day as it is written."""
    return value[:10] if isinstance(value, str) and ISO_DATETIME.fullmatch(value) else value or None


def cast_datetime(value: Any) -> Any:
    """A time in UTC without zone; what is in another form stays as it is."""
    if not isinstance(value, str) or not ISO_DATETIME.fullmatch(value):
        return value or None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return value
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def is_date(value: Any) -> bool:
    """Whether a value is a day of the calendar as ``YYYY-MM-DD``."""
    if not isinstance(value, str) or not DATE.fullmatch(value):
        return False
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_datetime(value: Any) -> bool:
    """Whether a value is a time as ``YYYY-MM-DD HH:MM[:SS]``."""
    if not isinstance(value, str) or not (match := DATETIME.fullmatch(value)):
        return False
    try:
        dt.datetime.fromisoformat(f"{match[1]} {match[2]}{match[3] or ''}")
    except ValueError:
        return False
    return True


def is_url(value: str) -> bool:
    """Whether a text is a URL for EspoCRM: ASCII, a dot somewhere behind the first character, any scheme or none."""
    head, dot, tail = value[1:].partition(".")
    return bool(dot) and {*value[:1], *head} <= URL_CHARACTERS and set(tail) <= URL_CHARACTERS | {"&", "~"}


def is_email(value: str) -> bool:
    """Whether a text can be an e-mail address."""
    return len(value) <= 254 and EMAIL.fullmatch(value) is not None


# --- rules ---


def broken_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """Find the first rule of a field that a record breaks (``required``, ``valid``, ``maxLength``, ...), or None.

    :param record: attributes of the record as it would be stored
    """
    if field_def.required and "suppressRequired" not in field_def.flags and is_missing(field_def, record):
        return "required"
    rule = RULES.get(field_def.type)
    return rule(field_def, record, settings) if rule is not None else None


def is_missing(field_def: FieldDef, record: Mapping[str, Any]) -> bool:
    """Whether a required field has no value."""
    name = field_def.name
    match field_def.type:
        case "link" | "file" | "image":
            return not record.get(f"{name}Id")
        case "linkParent":
            return not record.get(f"{name}Id") or not record.get(f"{name}Type")
        case "linkMultiple" | "attachmentMultiple":
            return not record.get(f"{name}Ids")
        case "datetimeOptional":
            return not record.get(name) and not record.get(f"{name}Date")
        case "personName":
            return not record.get("firstName") and not record.get("lastName")
        case "email" | "phone":
            return not record.get(name) and not record.get(f"{name}Data")
        case "bool":
            return not record.get(name)
    return record.get(name) in (None, "", [])


def is_missing_name(field_def: FieldDef, record: Mapping[str, Any]) -> bool:
    """Whether a person has neither a name nor what may stand for it."""
    stand_ins = [value for name in field_def.any_of for value in (record.get(name), record.get(f"{name}Data"))]
    return is_missing(field_def, record) and not any(stand_ins)


def broken_name_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """Some people need a name or something that stands for it."""
    return "required" if field_def.any_of and is_missing_name(field_def, record) else None


def broken_text_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """Length, and characters that names do not have."""
    if (value := record.get(field_def.name)) is None:
        return None
    text = str(value)
    limit = field_def.max_length or (None if field_def.type == "text" else DEFAULT_MAX_LENGTH)
    if limit is not None and len(text) > limit:
        return "maxLength"
    if field_def.type == "url":
        needs_scheme = "protocolRequired" in field_def.flags
        if not (ABSOLUTE_URL.fullmatch(text) if needs_scheme else is_url(text)):
            return "valid"
    return "pattern" if "pattern" in field_def.flags and BAD_CHARACTERS.search(text) else None


def broken_option_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """One of the options; nothing only if that is one of them."""
    value = record.get(field_def.name)
    if not field_def.options or (value is None and field_def.name not in record):
        return None
    return None if value in field_def.options or (value is None and "" in field_def.options) else "valid"


def broken_number_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """A number within its bounds, in a currency that is in use."""
    if (value := record.get(field_def.name)) is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "valid"
    currency = record.get(f"{field_def.name}Currency") if field_def.type == "currency" else None
    if currency is not None and currency not in settings.currency_list:
        return "validCurrency"
    if field_def.min is not None and value < field_def.min:
        return "min"
    if field_def.max is not None and value > field_def.max:
        return "max"
    return "rangeInternal" if field_def.type == "int" and not -MAX_INT - 1 <= value <= MAX_INT else None


def broken_date_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """A day of the calendar."""
    value = record.get(field_def.name)
    return None if value is None or is_date(value) else "valid"


def broken_datetime_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """A time in UTC; for some fields a day may stand for it."""
    value = record.get(field_def.name)
    day = record.get(f"{field_def.name}Date") if field_def.type == "datetimeOptional" else None
    is_bad = (value is not None and not is_datetime(value)) or (day is not None and not is_date(day))
    return "valid" if is_bad else None


def broken_email_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """E-mail addresses that can exist."""
    addresses = [record.get(field_def.name)]
    for item in record.get(f"{field_def.name}Data") or ():
        if not isinstance(item, dict):
            return "emailAddress"
        addresses.append(item.get("emailAddress"))
    if not all(a in (None, "") or (isinstance(a, str) and is_email(a)) for a in addresses):
        return "emailAddress"
    return broken_data_count_rule(field_def, record)


def broken_phone_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """Phone numbers that can exist."""
    numbers = [record.get(field_def.name)]
    for item in record.get(f"{field_def.name}Data") or ():
        if not isinstance(item, dict) or not item.get("phoneNumber"):
            return "valid"
        kind = item.get("type")
        if kind is not None and field_def.phone_types and kind not in field_def.phone_types:
            return "valid"
        numbers.append(phone.canonical(php_text(item["phoneNumber"])))
    if not all(n is None or phone.is_possible(n) for n in numbers):
        return "valid"
    return broken_data_count_rule(field_def, record)


def broken_data_count_rule(field_def: FieldDef, record: Mapping[str, Any]) -> str | None:
    """Not more addresses or numbers than a record takes."""
    return "maxCount" if len(record.get(f"{field_def.name}Data") or ()) > MAX_ADDRESSES else None


def broken_list_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """A list of texts, from the options if those are all that there is."""
    if (value := record.get(field_def.name)) is None:
        return None
    if not isinstance(value, list):
        return "array"
    if not all(isinstance(item, str) for item in value):
        return "arrayOfString"
    if field_def.options and "allowCustomOptions" not in field_def.flags and not set(value) <= set(field_def.options):
        return "valid"
    return "maxItemLength" if any(len(item) > MAX_ITEM_LENGTH for item in value) else None


def broken_link_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """Something that can be an id."""
    record_id = record.get(f"{field_def.name}Id")
    return None if record_id is None or RECORD_ID.fullmatch(str(record_id)) else "pattern"


def broken_parent_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """A parent of one of the allowed types. An id without a type is not looked at: it leads nowhere."""
    if rule := broken_link_rule(field_def, record, settings):
        return rule
    parent_type = record.get(f"{field_def.name}Type")
    is_bad = parent_type is not None and field_def.entity_types and parent_type not in field_def.entity_types
    return "valid" if is_bad else None


def broken_links_rule(field_def: FieldDef, record: Mapping[str, Any], settings: Settings) -> str | None:
    """Ids that can be some, and not more of them than a field takes."""
    ids = record.get(f"{field_def.name}Ids") or ()
    if not all(isinstance(i, str) and RECORD_ID.fullmatch(i) for i in ids):
        return "pattern"
    limit = field_def.extra.get("maxCount")
    return "maxCount" if limit and len(ids) > limit else None


Rule = Callable[["FieldDef", "Mapping[str, Any]", "Settings"], "str | None"]

RULES: dict[str, Rule] = {
    "personName": broken_name_rule,
    **dict.fromkeys(("varchar", "text", "url", "password"), broken_text_rule),
    "enum": broken_option_rule,
    **dict.fromkeys(("int", "float", "currency"), broken_number_rule),
    "date": broken_date_rule,
    **dict.fromkeys(("datetime", "datetimeOptional"), broken_datetime_rule),
    "email": broken_email_rule,
    "phone": broken_phone_rule,
    **dict.fromkeys(("array", "multiEnum", "checklist", "urlMultiple"), broken_list_rule),
    "linkParent": broken_parent_rule,
    "link": broken_link_rule,
    "linkMultiple": broken_links_rule,
}
