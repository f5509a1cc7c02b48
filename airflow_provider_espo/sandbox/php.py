"""Reads a query string, and base64, the way PHP does.

EspoCRM runs on PHP, and its list parameters come as PHP arrays: ``where[0][type]=equals``, ``select[]=name``.
What PHP makes of unusual input (a bracket that is not closed, a name with a dot, the same name twice, too
many variables) decides what a server answers, so it is done here in the same way. A PHP array is an ordered
map; here it is a ``list`` if its keys are 0, 1, 2, ... in this order and a ``dict`` otherwise, which is also
how arrays look that come as JSON. :func:`values` reads both.
"""

from __future__ import annotations

import base64
import re
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

#: What PHP counts: the pairs of a query string that are read (``max_input_vars``) and the brackets of one
#: name (``max_input_nesting_level``). What is beyond is dropped without a word.
MAX_INPUT_VARS = 1000
MAX_NESTING = 64

_Key: TypeAlias = int | str
_Map: TypeAlias = dict[_Key, Any]

# What PHP takes for an integer key: no sign but minus, no leading zero, within 64 bits.
_INTEGER_KEY = re.compile(r"0|-?[1-9][0-9]*")
_INTEGER_START = re.compile(r"[ \t\n\r\v\f]*([+-]?[0-9]+)")
_NUMBER_START = re.compile(r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def parse_query(query: str) -> dict[str, Any]:
    """Parse a query string into nested lists and dicts of strings.

    Pairs beyond :data:`MAX_INPUT_VARS` are dropped, and so is one with more than :data:`MAX_NESTING` brackets.

    :param query: the part of the URL behind ``?``, still percent-encoded
    :return: top-level names with a string, a list or a dict each
    """
    variables: _Map = {}
    count = 0
    for pair in query.split("&"):
        if not pair:
            continue
        count += 1
        if count > MAX_INPUT_VARS:
            break
        name, _, value = pair.partition("=")
        _register(variables, _decode(name), _decode(value))
    return {str(name): _tidy(value) for name, value in variables.items()}


def is_array(value: Any) -> bool:
    """Whether PHP would call this value an array."""
    return isinstance(value, list | dict)


def values(array: Any) -> list[Any]:
    """The values of a PHP array in order, whatever its keys are."""
    return list(array.values()) if isinstance(array, dict) else list(array)


def is_list(array: Any) -> bool:
    """Whether an array has the keys 0, 1, 2, ... in this order. An empty one has."""
    return isinstance(array, list) or not array


def is_empty(value: Any) -> bool:
    """PHP's ``empty()``: besides nothing, false, 0 and ``""`` also the string ``"0"``."""
    return not value or value == "0"


def to_int(value: Any) -> int:
    """PHP's ``intval()``: the number a string begins with or 0; 1 for an array with anything in it."""
    if isinstance(value, str):
        match = _INTEGER_START.match(value)
        number = _NUMBER_START.match(value)
        if match is None or number is None:
            return 0
        return int(float(number[1])) if match[1] != number[1] else int(match[1])
    if is_array(value):
        return 1 if value else 0
    return int(value or 0)


def to_string(value: Any) -> str:
    """What PHP makes of a value that is put into a string (``Array`` of any array)."""
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    if is_array(value):
        return "Array"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def is_numeric(text: str) -> bool:
    """PHP's ``is_numeric()`` for a string: a number with blanks around it at most."""
    match = _NUMBER_START.match(text)
    return match is not None and not text[match.end() :].strip(" \t\n\r\v\f")


def leading_number(text: str) -> float:
    """The number a string begins with or 0.0; the database compares strings with numbers like this."""
    match = _NUMBER_START.match(text)
    return float(match[1]) if match else 0.0


def _decode(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _register(variables: _Map, name: str, value: str) -> None:
    path = _split_name(name)
    if not path or len(path) - 1 > MAX_NESTING:
        return
    target = variables
    for key in path[:-1]:
        inner = target.get(key) if key is not None else None
        if not isinstance(inner, dict):
            inner = {}
            _put(target, key, inner)
        target = inner
    _put(target, path[-1], value)


def _put(target: _Map, key: _Key | None, value: Any) -> None:
    """Set a key; None stands for ``[]``, which takes the number after the highest one."""
    if key is None:
        key = max((k for k in target if isinstance(k, int)), default=-1) + 1
    target[key] = value


def _split_name(name: str) -> list[_Key | None]:
    """Path of a variable name; empty if PHP would drop it."""
    name = name.split("\0", 1)[0].lstrip(" ")
    base, bracket, rest = name.partition("[")
    base = re.sub(r"[ .]", "_", base)
    if not base:
        return []
    path: list[_Key | None] = [base]
    while bracket:
        key, closed, behind = rest.partition("]")
        if not closed:
            # A bracket that nobody closes is part of the name it stands in.
            tail = "_" + re.sub(r"[ .\[]", "_", rest)
            last = path[-1]
            path[-1] = tail if last is None else _key(f"{last}{tail}")
            break
        path.append(_key(key) if key.strip() else None)
        # What stands between "]" and the next "[" is dropped, and so are the brackets behind it.
        if not behind.startswith("["):
            break
        rest = behind[1:]
    return path


def _key(text: str) -> _Key:
    if _INTEGER_KEY.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    return text


def _tidy(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    tidied = {key: _tidy(inner) for key, inner in value.items()}
    if list(tidied) == list(range(len(tidied))):
        return list(tidied.values())
    return tidied


def base64_decode(text: str | bytes) -> bytes:
    """Decode base64: what does not belong there is passed over, padding may be missing."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        return base64.b64decode(raw, validate=True)
    except ValueError:
        digits = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
        if len(digits) % 4 == 1:
            digits = digits[:-1]
        return base64.b64decode(digits + b"=" * (-len(digits) % 4))
