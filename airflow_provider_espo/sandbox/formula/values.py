"""Values of scripts: as text, as numbers, compared."""

from __future__ import annotations

import json
import re
from typing import Any

NUMBER = re.compile(r"\s*[-+]?\d+(?:\.\d+)?")


def is_true(value: Any) -> bool:
    """Whether a value counts as true."""
    return bool(value) and value != "0"


def number(value: Any) -> float:
    """A value as a number; text counts as far as it begins with one, all else is 0."""
    if isinstance(value, bool) or value is None:
        return int(bool(value))
    if isinstance(value, int | float):
        return value
    match = NUMBER.match(value) if isinstance(value, str) else None
    if match is None:
        return 0
    return float(match.group()) if "." in match.group() else int(match.group())


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal: of one kind, numbers whatever theirs."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def compare(left: Any, right: Any) -> int:
    """Which of two values is greater: texts by their letters, else as numbers."""
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = number(left), number(right)
    return int(left > right) - int(left < right)


def text_of(value: Any) -> str:
    """A value as it is printed."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
