"""What the CRM was asked, as the sandbox writes it down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request.

    :param at: when it was answered, in seconds since 1970.
    """

    at: float
    method: str
    path: str
    query: str
    status: int

    @property
    def where(self) -> list[Any]:
        """The filter that was asked for."""
        _, _, search = self.query.partition("searchParams=")
        found: list[Any] = json.loads(search).get("where", []) if search else []
        return found

    @property
    def attributes(self) -> set[str]:
        """Attributes that the filter is about."""
        return {str(item.get("attribute")) for item in self.where}


class Traffic:
    """Reads the sandbox's log of requests.

    :param path: the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def since(self, moment: float, method: str = "GET", path: str = "") -> Sequence[Asked]:
        """Return requests after a moment.

        :param moment: in seconds since 1970.
        :param method: of these requests.
        :param path: beginning of their paths.
        """
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = (Asked(**json.loads(line)) for line in lines)
        return [one for one in found if one.at > moment and one.method == method and one.path.startswith(path)]
