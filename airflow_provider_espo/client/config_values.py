"""Reads single values of an Airflow connection's extra, which may have come as text from a connection URI.

Every function takes the setting's name for its error text, and no error text repeats the value, not even in
the error's context: a secret may have been put into the wrong field.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_espo.client.errors import EspoConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: Headers that the client itself decides on, and what to use instead.
_RESERVED_HEADERS: Mapping[str, str] = {
    "accept": "The client sets it",
    "content-length": "The client sets it",
    "content-type": "The client sets it",
    "transfer-encoding": "The client sets it",
    "espo-authorization": "Use login, password and auth_method",
    "espo-authorization-by-token": "Use auth_method token",
    "espo-authorization-code": "A second factor cannot be answered by a task",
    "espo-authorization-create-token-secret": "Use auth_method token",
    "x-api-key": "Put the key into password, with auth_method api_key",
    "x-hmac-authorization": "Use auth_method hmac",
    "x-another-user": "Use act_as",
    "x-no-total": "The client sets it where it serves",
    "x-skip-duplicate-check": "Use on_duplicate of the task that creates",
    "x-duplicate-source-id": "Give it with the request that needs it",
    "x-version-number": "Use version_number of the task that updates",
}


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Raise :class:`EspoConfigError`."""
    raise EspoConfigError(message, hint=hint)


def is_empty(value: Any) -> bool:
    """Tell whether a form field was left empty (``None`` or blank text)."""
    return value is None or (isinstance(value, str) and not value.strip())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that is most like a given one, if any is."""
    found = difflib.get_close_matches(name.lower().replace("-", "_"), list(known), n=1)
    return found[0] if found else None


@dataclass(frozen=True)
class NumberRange:
    """What numbers a setting takes.

    :param default: value when none is given; ``None`` means no value.
    :param minimum: smallest number allowed.
    :param maximum: largest number allowed, ``None`` for no bound.
    :param whole: whether only whole numbers count.
    :param above_minimum: whether the minimum itself is not allowed.
    :param unit: for error texts and labels.
    """

    default: float | None
    minimum: float
    maximum: float | None = None
    whole: bool = False
    above_minimum: bool = False
    unit: str = ""

    @property
    def allowed(self) -> str:
        """The range in words."""
        kind = "a whole number" if self.whole else "a number"
        unit = f" of {self.unit}" if self.unit else ""
        if self.maximum is not None:
            return f"{kind}{unit} from {self.minimum:g} to {self.maximum:g}"
        return f"{kind}{unit}, " + (
            f"more than {self.minimum:g}" if self.above_minimum else f"{self.minimum:g} or more"
        )

    def read(self, name: str, value: Any) -> float | None:
        """Read a number.

        :raises EspoConfigError: not a number, or out of the range.
        """
        if is_empty(value):
            return self.default
        number = math.nan
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.nan
        too_small = number <= self.minimum if self.above_minimum else number < self.minimum
        too_large = self.maximum is not None and number > self.maximum
        uneven = self.whole and math.isfinite(number) and not number.is_integer()
        if not math.isfinite(number) or too_small or too_large or uneven:
            refuse(f"{name} must be {self.allowed}")
        return int(number) if self.whole else number


def read_bool(name: str, value: Any, default: bool) -> bool:
    """Read a switch: a boolean, 0 or 1, or text such as ``true``, ``no``, ``off``.

    :raises EspoConfigError: anything else.
    """
    if isinstance(value, bool):
        return value
    if is_empty(value):
        return default
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text not in _TRUE | _FALSE:
        hint = "A file with certificates of a CA goes into ca_file" if name == "verify" else None
        refuse(f"{name} must be true or false", hint)
    return text in _TRUE


def read_choice(name: str, value: Any, choices: Iterable[str], default: str) -> str:
    """Read one of some words; case, blanks and dashes do not matter.

    :raises EspoConfigError: none of them.
    """
    if is_empty(value):
        return default
    choices = list(choices)
    text = re.sub(r"[\s-]+", "_", value.strip().lower()) if isinstance(value, str) else ""
    if text not in choices:
        near = nearest(text, choices)
        refuse(f"{name} must be one of {', '.join(choices)}", f"Perhaps {near} is meant" if near else None)
    return text


def read_text(name: str, value: Any) -> str | None:
    """Read one line of text, without the blanks around it; ``None`` when empty.

    :raises EspoConfigError: not text, or with a control character in it.
    """
    if is_empty(value):
        return None
    if not isinstance(value, str):
        refuse(f"{name} must be text")
    text = value.strip()
    if _CONTROL.search(text):
        refuse(f"{name} holds a line break or another control character")
    return text


def read_headers(name: str, value: Any) -> dict[str, str]:
    """Read additional HTTP headers: a mapping, or JSON text of an object.

    :raises EspoConfigError: not such an object, a name or value that HTTP does not allow, or a header that
        the client itself sets.
    """
    headers: dict[str, str] = {}
    for header, content in _read_object(name, value).items():
        if not _HEADER_NAME.fullmatch(header):
            refuse(f"{name} holds a header name with characters that HTTP does not allow")
        if hint := _RESERVED_HEADERS.get(header.lower()):
            refuse(f"{name} must not hold {header}", hint)
        if isinstance(content, bool) or not isinstance(content, str | int):
            refuse(f"{name}: the value of {header} must be text")
        text = str(content).strip()
        if _CONTROL.search(text) or not text.isascii():
            refuse(f"{name}: the value of {header} holds a line break or a character outside of ASCII")
        headers[header] = text
    if len({header.lower() for header in headers}) < len(headers):
        refuse(f"{name} holds the same header twice")
    return headers


def read_proxies(name: str, value: Any) -> dict[str, str]:
    """Read proxies: an object such as ``{"https": "http://proxy:3128"}``, its JSON text, or one URL for all.

    :return: proxy URLs by ``http``, ``https`` or ``all``.
    :raises EspoConfigError: another key, or not an ``http://`` or ``https://`` URL.
    """
    if isinstance(value, str) and re.match(r"\s*https?://", value, re.IGNORECASE):
        value = {"all": value}
    proxies: dict[str, str] = {}
    for scheme, url in _read_object(name, value).items():
        key = scheme.lower().removesuffix("://")
        if key not in {"http", "https", "all"}:
            refuse(f"{name} must be given by http, https or all")
        proxies[key] = _read_proxy_url(f"{name}: the proxy for {key}", url)
    return proxies


def _read_proxy_url(what: str, url: Any) -> str:
    example = "Give a URL such as http://proxy.example.com:3128"
    text = url.strip() if isinstance(url, str) else ""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or re.search(r"[\s\x00-\x1f\x7f]", text):
        refuse(f"{what} is not an http:// or https:// URL", example)
    return text


def _read_object(name: str, value: Any) -> dict[str, Any]:
    if is_empty(value):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        refuse(f"{name} must be a JSON object", 'Give it as {"name": "value"}')
    return dict(value)
