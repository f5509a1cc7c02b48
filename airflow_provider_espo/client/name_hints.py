"""What somebody may have meant who wrote a name that EspoCRM does not have."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Names that people try (as :func:`_squeezed` makes them), and what EspoCRM calls it.
_USUAL = {
    "email": ("emailAddress",),
    "mail": ("emailAddress",),
    "phone": ("phoneNumber",),
    "telephone": ("phoneNumber",),
    "mobile": ("phoneNumber",),
    "company": ("accountId", "accountName"),
    "owner": ("assignedUserId",),
    "ownerid": ("assignedUserId",),
    "created": ("createdAt",),
    "modified": ("modifiedAt",),
    "updatedat": ("modifiedAt",),
}
_LONGEST = 60


def quoted(name: str) -> str:
    """Give a name for a message: printable and of bounded length."""
    return repr(name if len(name) <= _LONGEST else name[:_LONGEST] + "...")


def nearest(name: str, candidates: Iterable[str], count: int = 3) -> list[str]:
    """Find the names that may have been meant, best first.

    Covers another letter case, ``account_id`` and ``account`` for ``accountId``, one for many, usual other
    words such as ``email``, and mistyped names.

    :param name: what was written.
    :param candidates: the names there are.
    :param count: how many to give at most.
    """
    by_squeezed: dict[str, str] = {}
    for candidate in candidates:
        by_squeezed.setdefault(_squeezed(candidate), candidate)
    wanted = _squeezed(name)
    there = set(by_squeezed.values())
    found = [by_squeezed[wanted]] if wanted in by_squeezed else []
    found += [usual for usual in _USUAL.get(wanted, ()) if usual in there]
    found += [by_squeezed[wanted + end] for end in ("id", "ids", "s") if wanted + end in by_squeezed]
    if not found:
        close = difflib.get_close_matches(wanted, list(by_squeezed), n=count, cutoff=0.7)
        found = [by_squeezed[squeezed] for squeezed in close]
    return list(dict.fromkeys(found))[:count]


def or_these(names: Sequence[str]) -> str:
    """Give the end of a message that offers other names, empty where there are none."""
    return f", perhaps {' or '.join(names)}" if names else ""


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
