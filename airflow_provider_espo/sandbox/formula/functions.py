"""Functions that scripts can call, beside those of the language itself."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.formula.values import number, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_espo.sandbox.formula.evaluate import Function, Target

DATE, DATETIME = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"


def rounded(arguments: Sequence[Any]) -> float:
    """A number with so many digits after the point, halves away from zero."""
    digits = int(number(arguments[1])) if len(arguments) > 1 else 0
    factor = 10.0**digits
    value = number(arguments[0]) * factor
    return math.copysign(math.floor(abs(value) + 0.5), value) / factor


def substring(arguments: Sequence[Any]) -> str:
    """A part of a text: from a place (from the end if negative), of a length."""
    text, start = text_of(arguments[0]), int(number(arguments[1]))
    start = max(len(text) + start, 0) if start < 0 else start
    if len(arguments) < 3 or arguments[2] is None:
        return text[start:]
    length = int(number(arguments[2]))
    return text[start:length] if length < 0 else text[start : start + length]


def position(arguments: Sequence[Any]) -> int | bool:
    """Where a text stands in another one, or false."""
    found = text_of(arguments[0]).find(text_of(arguments[1]))
    return False if found < 0 else found


def without(arguments: Sequence[Any]) -> list[Any]:
    """A list without a value."""
    return [item for item in arguments[0] or [] if item != arguments[1]]


def shifted(unit: str) -> Function:
    """A function that moves a date or a time."""

    def shift(arguments: Sequence[Any]) -> str | None:
        text = arguments[0]
        if not text:
            return None
        form = DATE if len(text) == len("2000-01-01") else DATETIME
        step = dt.timedelta(**{unit: number(arguments[1])})
        return (dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC) + step).strftime(form)

    return shift


PLAIN: Mapping[str, Function] = {
    "list": list,
    "string\\concatenate": lambda a: "".join("" if item is None else text_of(item) for item in a),
    "string\\length": lambda a: len(text_of(a[0])),
    "string\\trim": lambda a: text_of(a[0]).strip(),
    "string\\upperCase": lambda a: text_of(a[0]).upper(),
    "string\\lowerCase": lambda a: text_of(a[0]).lower(),
    "string\\contains": lambda a: text_of(a[1]) in text_of(a[0]),
    "string\\replace": lambda a: text_of(a[0]).replace(text_of(a[1]), text_of(a[2])),
    "string\\split": lambda a: text_of(a[0]).split(text_of(a[1])),
    "string\\substring": substring,
    "string\\pos": position,
    "number\\abs": lambda a: abs(number(a[0])),
    "number\\round": rounded,
    "number\\floor": lambda a: math.floor(number(a[0])),
    "number\\ceil": lambda a: math.ceil(number(a[0])),
    "number\\power": lambda a: number(a[0]) ** number(a[1]),
    "array\\length": lambda a: len(a[0] or []),
    "array\\at": lambda a: (a[0] or [])[int(number(a[1]))],
    "array\\includes": lambda a: a[1] in (a[0] or []),
    "array\\push": lambda a: [*(a[0] or []), *a[1:]],
    "array\\join": lambda a: text_of(a[1]).join(text_of(item) for item in a[0] or []),
    "array\\removeAt": lambda a: [item for i, item in enumerate(a[0] or []) if i != int(number(a[1]))],
    "array\\remove": without,
    "datetime\\addDays": shifted("days"),
    "datetime\\addHours": shifted("hours"),
    "datetime\\addMinutes": shifted("minutes"),
    "datetime\\addSeconds": shifted("seconds"),
    "datetime\\addWeeks": shifted("weeks"),
}


def functions(clock: Callable[[], dt.datetime], user: Mapping[str, Any], target: Target | None) -> dict[str, Function]:
    """All functions.

    :param clock: gives the time
    :param user: attributes of the user who runs the script
    """
    found = {
        **PLAIN,
        "datetime\\now": lambda a: clock().astimezone(dt.UTC).strftime(DATETIME),
        "datetime\\today": lambda a: clock().astimezone(dt.UTC).strftime(DATE),
        "env\\userAttribute": lambda a: user.get(a[0]),
    }
    if target is not None:
        found["entity\\attribute"] = lambda a: target.get(a[0])
        found["entity\\setAttribute"] = lambda a: target.set(a[0], a[1])
    return found
