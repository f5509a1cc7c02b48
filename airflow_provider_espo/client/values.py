"""Attribute values, made ready to send.

What EspoCRM would store otherwise than it was meant is refused here, because it answers 200 to it: a list
given for a text is stored as the word ``Array``, ``"yes"`` for a bool as false, 10.5 for an integer as 10,
and anything but a list for a link-multiple attribute removes all links.

Errors name the attribute and never the value: values are personal data.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_provider_espo.client import comparing, moments
from airflow_provider_espo.client.errors import EspoInputError

if TYPE_CHECKING:
    from airflow_provider_espo.client.schema import Attribute, EntitySchema

#: PHP, which reads the JSON, gives up at 512.
_DEEPEST = 100
#: Keys inside values that may be shown in an error; any other may be somebody's name.
_KNOWN_KEYS = frozenset({"emailAddress", "phoneNumber", "type", "primary", "optOut", "invalid", "lower"})
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})

Converter = Callable[[Any, str, "Attribute"], Any]


def to_wire(attributes: Mapping[str, Any], schema: EntitySchema | None = None) -> dict[str, Any]:
    """Make attribute values ready to send.

    A ``datetime`` (pendulum's too) becomes EspoCRM's UTC form, one without a zone counts as UTC; a ``date``
    becomes ``YYYY-MM-DD``; a ``Decimal`` a JSON number where that is exact and a text otherwise; enum
    members their value, UUIDs text, tuples lists, NumPy's scalars Python's. With a schema also, by the
    attribute's kind:

    * datetime: ISO texts are converted to UTC form as datetimes are. A bare date is refused.
    * date: a datetime or an ISO text is taken where its own clock shows midnight. With another time of day
      it is refused: which day is meant then depends on a zone that nobody named.
    * decimal: becomes a text, as EspoCRM keeps it.
    * int: a fraction is refused. bool: ``true``, ``false``, 1 and 0 are taken, in any letter case, as texts
      too.
    * one of text: lists and maps are refused. ids: anything but a list of texts is refused.

    Doing it twice is the same as doing it once.

    :param attributes: names and values; nothing in it is changed.
    :param schema: of the entity type; ``None`` where it is not known.
    :return: a new dict of what JSON has: ``None``, bool, int, float, str, lists and dicts.
    :raises EspoInputError: naming the attribute, for what cannot be sent or would be stored otherwise than
        meant.
    """
    if not isinstance(attributes, Mapping):
        raise EspoInputError(f"attributes must be a mapping of attribute names to values, not {_type_name(attributes)}")
    result: dict[str, Any] = {}
    for name, value in attributes.items():
        if not isinstance(name, str) or not name:
            raise EspoInputError(
                "attributes has a name that is empty or no text",
                hint="Every key must be the name of an attribute",
            )
        attribute = schema.attribute(name) if schema else None
        result[str(name)] = _converted(_bare(value), str(name), attribute)
    return result


def _converted(value: Any, path: str, attribute: Attribute | None) -> Any:
    if value is None:
        return None
    if attribute is None or attribute.kind not in _BY_KIND:
        return _plain(value, path)
    return _BY_KIND[attribute.kind](value, path, attribute)


def _plain(value: Any, path: str, depth: int = 0) -> Any:
    """Turn a value into what JSON has, without knowing what it is for."""
    value = _bare(value)
    if value is None or isinstance(value, bool):
        return value
    if depth > _DEEPEST:
        raise EspoInputError(f"{path.partition('.')[0].partition('[')[0]}: nested too deeply, or within itself")
    for types, convert in _SCALARS:
        if isinstance(value, types):
            return convert(value, path)
    if isinstance(value, Mapping):
        return {
            _key(key, path): _plain(item, f"{path}.{key if key in _KNOWN_KEYS else '*'}", depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise EspoInputError(f"{path}: a value of type {_type_name(value)} cannot be sent as JSON", hint=_json_hint(value))


def _json_hint(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return "Decode it to text first"
    if isinstance(value, set | frozenset):
        return "Give a list in a fixed order, such as sorted(…)"
    return "Give text, numbers, true, false, null, dates, and lists or dicts of them"


def _bare(value: Any) -> Any:
    """Take the value out of what only wraps it."""
    if isinstance(value, enum.Enum):
        return _bare(value.value)
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    # NumPy's bool, int, unsigned, float and text scalars; its times are left out, their item() may be a bare
    # count.
    if kind in {"b", "i", "u", "f", "U"} and getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _key(key: Any, path: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if not isinstance(key, str):
        raise EspoInputError(f"{path}: a key within the value is of type {_type_name(key)}, not a text")
    return _text(key, path)


def _text(value: str, path: str) -> str:
    plain = str.__str__(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise EspoInputError(f"{path}: the text is not valid Unicode and cannot be sent") from None
    return plain


def _int(value: int, _path: str) -> int:
    return int(value)


def _float(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise EspoInputError(f"{path}: NaN and infinity cannot be sent", hint="Send null for no value")
    return float(value)


def _decimal(value: Decimal, path: str) -> int | float | str:
    _finite(value, path)
    number = float(value)
    if not math.isfinite(number) or Decimal(repr(number)) != value:
        return _digits(value)
    return int(number) if number.is_integer() and value.as_tuple().exponent == 0 else number


def _digits(value: Decimal) -> str:
    return f"{value:f}"


def _finite(value: Decimal, path: str) -> None:
    if not value.is_finite():
        raise EspoInputError(f"{path}: NaN and infinity cannot be sent", hint="Send null for no value")
    if value and abs(value.adjusted()) > 400:
        raise EspoInputError(f"{path}: the number is too large or too small to be sent")


def _moment(value: datetime, path: str) -> str:
    # pandas' NaT is a datetime that is not equal to itself.
    if value != value:  # noqa: PLR0124
        raise EspoInputError(f"{path}: NaT cannot be sent", hint="Send null for no value")
    try:
        return moments.utc_text(value)
    except (OverflowError, ValueError):
        raise EspoInputError(f"{path}: the point in time is out of range") from None


def _day(value: date, _path: str) -> str:
    return moments.date_text(value)


def _uuid(value: UUID, _path: str) -> str:
    return str(value)


_SCALARS: tuple[tuple[type, Callable[[Any, str], Any]], ...] = (
    (str, _text),
    (int, _int),
    (float, _float),
    (Decimal, _decimal),
    (datetime, _moment),
    (date, _day),
    (UUID, _uuid),
)


def _as_text(value: Any, path: str, _attribute: Attribute) -> Any:
    plain = _plain(value, path)
    if isinstance(plain, list | dict):
        raise EspoInputError(
            f"{path} is a text and was given {_type_name(value)}",
            hint="EspoCRM would store the word Array or Object in its place",
        )
    return plain


def _as_moment(value: Any, path: str, attribute: Attribute) -> Any:
    parsed = moments.parse(value) if isinstance(value, str) else None
    if parsed is not None:
        return _moment(parsed, path)
    bare = moments.is_date(value) if isinstance(value, str) else _is_day(value)
    if bare:
        hint = "Give a time of day as well"
        if attribute.field_type == "datetimeOptional" and path == attribute.field:
            hint = f"For a whole day set {path}Date instead"
        raise EspoInputError(f"{path} is a date with a time and was given a date alone", hint=hint)
    return _plain(value, path)


def _as_day(value: Any, path: str, _attribute: Attribute) -> Any:
    at = value if isinstance(value, datetime) and value == value else None  # noqa: PLR0124
    if isinstance(value, str):
        at = moments.parse(value)
    if at is None:
        return _plain(value, path)
    if at.time() != time():
        raise EspoInputError(
            f"{path} is a date and was given a time of day with it",
            hint="Which day is meant depends on the zone: give a date alone, such as {{ ds }}",
        )
    return moments.date_text(at)


def _is_day(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _as_int(value: Any, path: str, _attribute: Attribute) -> Any:
    plain = _plain(value, path)
    number = value if isinstance(value, Decimal) else plain
    if isinstance(plain, str):
        number = comparing.number(plain)
        if number is not None and number.adjusted() > 30:
            return plain
    if isinstance(number, float | Decimal) and number != int(number):
        raise EspoInputError(f"{path} is an integer and was given a fraction", hint="EspoCRM would cut it off")
    return int(number) if isinstance(number, float | Decimal) else plain


def _as_decimal(value: Any, path: str, _attribute: Attribute) -> Any:
    if isinstance(value, Decimal):
        _finite(value, path)
        return _digits(value)
    plain = _plain(value, path)
    if isinstance(plain, int | float) and not isinstance(plain, bool):
        return _digits(Decimal(repr(plain)))
    return plain


def _as_bool(value: Any, path: str, _attribute: Attribute) -> Any:
    plain = _plain(value, path)
    word = plain.strip().lower() if isinstance(plain, str) else None
    if isinstance(plain, bool):
        return plain
    if word in _TRUE or plain == 1:
        return True
    if word in _FALSE or plain == 0:
        return False
    raise EspoInputError(
        f"{path} is a bool and was given something else",
        hint="Give true or false: EspoCRM reads any other text as one of them, mostly the wrong one",
    )


def _as_ids(value: Any, path: str, _attribute: Attribute) -> Any:
    plain = _plain(value, path)
    if not isinstance(plain, list) or not all(isinstance(item, str) and item for item in plain):
        raise EspoInputError(
            f"{path} must be a list of record ids",
            hint="EspoCRM would read anything else as an empty list and remove all links",
        )
    return plain


def _as_map(value: Any, path: str, _attribute: Attribute) -> Any:
    plain = _plain(value, path)
    if isinstance(plain, dict) and all(isinstance(columns, dict) for columns in plain.values()):
        return plain
    raise EspoInputError(f"{path} must be a map of record ids to maps of columns")


def _as_items(value: Any, path: str, _attribute: Attribute) -> Any:
    plain = _plain(value, path)
    if isinstance(plain, list) and all(isinstance(item, dict) for item in plain):
        return plain
    raise EspoInputError(f"{path} must be a list of maps, one for each address or number")


_BY_KIND: Mapping[str, Converter] = {
    **dict.fromkeys(("id", "string", "text", "enum", "email", "phone"), _as_text),
    "datetime": _as_moment,
    "date": _as_day,
    "int": _as_int,
    "decimal": _as_decimal,
    "bool": _as_bool,
    "ids": _as_ids,
    "columns": _as_map,
    "email_data": _as_items,
    "phone_data": _as_items,
}


def _type_name(value: Any) -> str:
    return type(value).__name__
