"""The figures of a run: what each is, its bound, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A figure.

    :param where: what it was measured against
    :param value: as it is shown
    :param bound: as it is shown; empty if there is none
    :param holds: whether the bound holds; None if there is none, or if it does not apply to this run
    """

    where: str
    what: str
    value: str
    bound: str = ""
    holds: bool | None = None

    @property
    def verdict(self) -> str:
        return {None: "", True: "pass", False: "FAIL"}[self.holds]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def at_most(
    where: str, what: str, value: float, bound: float, unit: str, digits: int = 2, *, applies: bool = True
) -> Row:
    """A figure with an upper bound; ``applies`` tells whether this run is one that the bound is about."""
    holds = value <= bound if applies else None
    return Row(where, what, f"{value:.{digits}f} {unit}", f"<= {bound:g} {unit}", holds)


def at_least(where: str, what: str, value: float, bound: float, unit: str, *, applies: bool = True) -> Row:
    """A figure with a lower bound; ``applies`` tells whether this run is one that the bound is about."""
    return Row(where, what, f"{value:.1f} {unit}", f">= {bound:g} {unit}", value >= bound if applies else None)


def table(rows: Sequence[Row]) -> str:
    """All figures, aligned."""
    lines = [("against", "what", "value", "bound", "")]
    lines += [(row.where, row.what, row.value, row.bound, row.verdict) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "-" * max(map(len, shown)), *shown[1:]])
