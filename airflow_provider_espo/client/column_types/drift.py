"""What differs between the columns that were, and those that are now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.column_types.values import value_type


@dataclass(frozen=True)
class Change:
    """A column whose values are of another type now.

    :param name: the attribute's name.
    :param old: the type that it had, in words.
    :param new: the type that it has.
    """

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.name} ({self.old} before, {self.new} now)"


@dataclass(frozen=True)
class Drift:
    """What differs; false where nothing does.

    :param added: columns that are new.
    :param removed: names of columns that are gone.
    :param changed: columns of another type.
    """

    added: tuple[Column, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        parts = []
        if self.added:
            parts.append(f"new {', '.join(column.name for column in self.added)}")
        if self.removed:
            parts.append(f"gone {', '.join(self.removed)}")
        if self.changed:
            parts.append(f"of another type {', '.join(map(str, self.changed))}")
        return "; ".join(parts) or "no difference"


def compare(old: Iterable[Column], new: Iterable[Column]) -> Drift:
    """Compare columns by name.

    A column fits its former self as long as the values are of the same type: other lengths, options, and fewer digits
    behind the point are no difference, and neither is the order.

    :param old: columns as they were.
    :param new: columns as they are.
    """
    before = {column.name: column for column in old}
    now = {column.name: column for column in new}
    changed = [
        Change(name, type_in_words(before[name]), type_in_words(column))
        for name, column in now.items()
        if name in before and not _fits(before[name], column)
    ]
    return Drift(
        added=tuple(column for name, column in now.items() if name not in before),
        removed=tuple(name for name in before if name not in now),
        changed=tuple(changed),
    )


def type_in_words(column: Column) -> str:
    """Return the type of a column's values for people to read.

    :param column: the column.
    """
    found = value_type(column)
    return f"decimal with {column.scale} digits behind the point" if found == "decimal" else _WORDS.get(found, found)


_WORDS = {"texts": "list of texts", "integers": "list of integers", "json": "JSON"}


def _fits(old: Column, new: Column) -> bool:
    if value_type(old) != value_type(new):
        return False
    return new.kind != "decimal" or (new.scale or 0) <= (old.scale or 0)
