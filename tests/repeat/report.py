"""The table of what was killed where, for the test output and for the guide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.repeat.harness import Scenario

PROPERTY = "killed"
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "repeat.md"

SAME, SENT_AGAIN = "same", "not: said in its text"


def outcome(scenario: Scenario) -> str:
    """What the guide says of a scenario."""
    return SAME if scenario.repeatable else SENT_AGAIN


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each task and request at which it was killed.

    :param found: for each task ``title``, ``key`` and ``points``: how it was killed, at which request, what came of it.
    """
    table = []
    for one in sorted(found, key=lambda one: str(one["title"])):
        table.append(f"{one['title']}  [{one['key']}]")
        table += [f"    {how:<24} {request:<52} {result}" for how, request, result in one["points"]]
    points = sum(len(one["points"]) for one in found)
    other = sum(result != SAME for one in found for *_, result in one["points"])
    return [*table, f"{len(found)} tasks, {points} deaths, {points - other} with the end state of a clean run"]


def guide_rows() -> dict[str, tuple[str, str, str]]:
    """Return the guide's table: number of deaths, result and key by title."""
    rows = {}
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[1].isdigit():
            rows[cells[0].replace("`", "")] = (cells[1], cells[2], cells[3])
    return rows


def differences(expected: Any, found: Any) -> list[str]:
    """Say in which values two snapshots differ, one line for each."""
    before, after = dict(_values(expected)), dict(_values(found))
    places = sorted(before.keys() | after.keys())
    return [
        f"{place}: {after.get(place, 'nothing')!r} in place of {before.get(place, 'nothing')!r}"
        for place in places
        if before.get(place) != after.get(place)
    ]


def _values(seen: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(seen, dict) and seen:
        for name, value in seen.items():
            yield from _values(value, f"{place} {name}")
    elif isinstance(seen, list) and seen:
        for index, value in enumerate(seen):
            named = (
                f"{value['type']} {value['record']['name']}" if isinstance(value, dict) and "record" in value else ""
            )
            yield from _values(value, f"{place} [{named or index}]")
    else:
        yield place, seen
