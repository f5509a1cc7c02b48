"""Text comparison as in MariaDB's ``utf8mb4_unicode_ci``: case, accents and trailing blanks do not count."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

COLLATION = "ESPO"


def fold(text: str) -> str:
    """The form under which texts compare equal."""
    if text.isascii():
        return text.lower().rstrip(" ")
    return _fold_wide(text)


@lru_cache(maxsize=65_536)
def _fold_wide(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).rstrip(" ")


def compare(left: str, right: str) -> int:
    """Order of two texts: negative, zero or positive."""
    if left == right:
        return 0
    a, b = fold(left), fold(right)
    return (a > b) - (a < b)


@lru_cache(maxsize=512)
def _like_pattern(pattern: str, escape: str | None) -> re.Pattern[str]:
    parts: list[str] = []
    literal = ""
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            literal += next(characters, character)
        elif character in "%_":
            parts += [re.escape(_fold_part(literal)), ".*" if character == "%" else "."]
            literal = ""
        else:
            literal += character
    return re.compile("".join(parts) + re.escape(_fold_part(literal)), re.DOTALL)


def _fold_part(text: str) -> str:
    """Fold a part of a pattern; blanks at its end count, unlike those at the end of a text."""
    folded = fold(text)
    return folded + " " * (len(text) - len(text.rstrip(" ")))


def like(pattern: str | None, text: object, escape: str | None = None) -> bool | None:
    """SQL's ``text LIKE pattern ESCAPE escape`` under the collation; None if either is NULL."""
    if pattern is None or text is None:
        return None
    folded = _fold_part(text if isinstance(text, str) else str(text))
    return _like_pattern(pattern, escape).fullmatch(folded) is not None
