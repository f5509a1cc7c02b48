"""Values as EspoCRM's JSON has them, made what a typed column holds.

Files of text keep values as they came. What has types, Arrow and databases, gets Python's: moments are aware and in
UTC, decimals exact. What does not fit is an error and never a guess; it names the attribute and the record, and never
the value, which is personal data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any, Literal

from airflow_provider_espo.client import comparing, moments
from airflow_provider_espo.client.attributes import Kind
from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError

#: What a typed column holds, whatever the kind of attribute: the least that files, Arrow and databases have in common.
#: ``json`` is text with JSON in it.
ValueType = Literal["text", "integer", "number", "decimal", "boolean", "date", "datetime", "texts", "integers", "json"]

Converter = Callable[[Any], Any]

_TYPES: Mapping[Kind, ValueType] = {
    **dict.fromkeys(("id", "string", "text", "enum", "email", "phone"), "text"),
    "int": "integer",
    "float": "number",
    "decimal": "decimal",
    "bool": "boolean",
    "date": "date",
    "datetime": "datetime",
    "ids": "texts",
}

_LIST_TYPES: Mapping[Kind | None, ValueType] = {"string": "texts", "id": "texts", "int": "integers"}

_INT64 = 2**63

#: Digits of a decimal that Arrow and databases have room for, and one more than that to compute with.
MOST_DIGITS = 38
_ROOMY = Context(prec=2 * MOST_DIGITS)


def value_type(column: Column) -> ValueType:
    """Return what a typed column for an attribute holds.

    :param column: the attribute's column.
    """
    if column.kind == "list":
        return _LIST_TYPES.get(column.items, "json")
    return _TYPES.get(column.kind, "json")


def converter(column: Column) -> Converter:
    """Return a function that turns a JSON value into what a typed column holds; ``None`` stays ``None``.

    It raises ``ValueError`` for what does not fit, without the value in it.

    :param column: the attribute's column.
    """
    convert = _CONVERTERS[value_type(column)]
    if column.kind == "decimal":
        scale = column.scale

        def convert_decimal(value: Any) -> Decimal:
            return _decimal(value, scale)

        convert = convert_decimal
    if column.kind == "any":
        convert = _anything
    return lambda value: None if value is None else convert(value)


def misfit(column: Column, record: Mapping[str, Any], why: str) -> EspoBadAnswerError:
    """Return the error for a value that does not fit.

    :param column: whose value it is.
    :param record: that has it.
    :param why: what it is instead, without the value.
    """
    return EspoBadAnswerError(
        f"{column.name} of record {record.get('id')} does not fit its type, {value_type(column)}: {why}",
        hint="Correct the record, or leave the attribute out by select",
    )


def from_cell(column: Column, cell: str) -> Any:
    """Return the value that a cell of a CSV file stands for, in the form in which attributes are written.

    Lists and maps are JSON in such cells; all others are left as text, which EspoCRM's types are read from.

    :param column: the attribute's column.
    :param cell: the text; empty for no value.
    :raises EspoInputError: a list or a map is wanted and the text is none.
    """
    if not cell:
        return None
    if not column.is_nested:
        return cell
    try:
        value = json.loads(cell)
    except ValueError:
        value = cell
    if isinstance(value, list | dict) or value is None:
        return value
    raise EspoInputError(f"{column.name}: the cell holds no list or map", hint='Write it as JSON, such as ["a", "b"]')


def json_text(value: Any) -> str:
    """Return a value as JSON in its shortest form.

    :param value: what JSON has.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        raise ValueError(f"a {_word(value)}")
    return str(value)


def _integer(value: Any) -> int:
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    number = comparing.number(value)
    if number is None:
        raise ValueError(f"a {_word(value)}")
    # Looked at before it is made an int, which takes for ever of 1e999999999.
    if number.adjusted() >= 20 or not -_INT64 <= (whole := int(number)) < _INT64:
        raise ValueError("too large")
    if whole != number:
        raise ValueError("a fraction")
    return whole


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    number = comparing.number(value)
    if number is None:
        raise ValueError(f"a {_word(value)}")
    found = float(number)
    if not math.isfinite(found):
        raise ValueError("too large")
    return found


def _decimal(value: Any, scale: int | None) -> Decimal:
    number = comparing.number(value)
    if number is None:
        raise ValueError(f"a {_word(value)}")
    if scale is None:
        return number
    if number and number.adjusted() + 1 + scale > MOST_DIGITS:
        raise ValueError("too large")
    rounded = number.quantize(Decimal(1).scaleb(-scale), context=_ROOMY)
    if rounded != number:
        raise ValueError(f"more than {scale} digits behind the point")
    return rounded


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise ValueError(f"a {_word(value)}")


def _day(value: Any) -> date:
    if isinstance(value, str) and moments.is_date(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise ValueError(f"a {_word(value)} that is no date")


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        found = None
        with suppress(ValueError):
            # EspoCRM's own form, read by what is fast: this is done for every record.
            found = datetime.fromisoformat(value) if len(value) == 19 else moments.parse(value)
        if found is not None:
            return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    raise ValueError(f"a {_word(value)} that is no moment")


def _texts(value: Any) -> list[str | None]:
    return [None if item is None else _text(item) for item in _listed(value)]


def _integers(value: Any) -> list[int | None]:
    return [None if item is None else _integer(item) for item in _listed(value)]


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if value == {}:
        return []
    raise ValueError(f"a {_word(value)}")


def _anything(value: Any) -> str:
    """A value of which the metadata does not tell what it is: a text as it stands, anything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def _word(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "map"}
    return names.get(type(value), "value of another kind")


_CONVERTERS: Mapping[ValueType, Converter] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "decimal": lambda value: _decimal(value, None),
    "boolean": _boolean,
    "date": _day,
    "datetime": _moment,
    "texts": _texts,
    "integers": _integers,
    "json": json_text,
}
