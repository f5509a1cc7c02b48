"""How many tries died, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tests.kill.driver import SEED

PROPERTY: Final = "espo_kill"


def lines(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Return a table.

    :param found: ``title``, ``deaths``, ``histories`` and ``where`` (deaths by kind of point) of each test.
    """
    every: Counter[str] = Counter()
    deaths = 0
    for one in sorted(found, key=lambda it: str(it["title"])):
        where = ", ".join(f"{kind} {count}" for kind, count in sorted(one["where"].items()))
        yield f"{one['deaths']:5} deaths, {one['histories']:4} playings  {one['title']}  ({where})"
        every.update(one["where"])
        deaths += one["deaths"]
    yield f"ESPO_KILL_SEED={SEED}"
    yield f"{deaths:5} deaths in all: " + ", ".join(f"{kind} {count}" for kind, count in every.most_common())
