"""Rows as they come made rows of attributes: columns renamed, texts of CSV cells made values."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client import comparing
from airflow_provider_espo.client.column_types.columns import NESTED_KINDS
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.wording import a_kind

if TYPE_CHECKING:
    from airflow_provider_espo.client.schema import EntitySchema

_NUMBERS = frozenset({"int", "float", "decimal"})

#: What a line of a result file with failed rows has: such a file can be given again once it is mended.
FAILED_LINE = frozenset({"index", "error", "row"})


class Shaping:
    """Makes rows of attributes.

    :param columns: which columns hold what: by a column's name the attribute it holds, ``None`` to leave it out, others
        hold the attribute of their name; or a list of the columns that are taken, under their names.
    :param texts: whether all values are texts, as in CSV.
    :raises EspoInputError: ``columns`` is neither, or names an attribute twice.
    """

    def __init__(self, columns: Mapping[str, str | None] | Sequence[str] | None = None, *, texts: bool = False) -> None:
        self._only: frozenset[str] | None = None
        self._columns: Mapping[str, str | None] = {}
        self.texts = texts
        if isinstance(columns, Mapping):
            self._columns = columns
        elif columns is not None:
            if isinstance(columns, str) or not isinstance(columns, Sequence):
                raise EspoInputError("columns is neither a dict of attributes by column nor a list of columns")
            self._only = frozenset(columns)
        _check_names(self._columns, self._only)

    def check(self, found: Collection[str]) -> None:
        """Refuse names of columns that are not there.

        :param found: names of columns.
        """
        if lacking := sorted({*self._columns, *(self._only or ())} - set(found)):
            raise EspoInputError(
                f"columns names {', '.join(lacking)}, which the input does not have",
                hint=f"It has {', '.join(map(str, list(found)[:50]))}",
            )

    def shaped(self, row: object, schema: EntitySchema | None) -> dict[str, Any]:
        """Return a row's values by attribute.

        :param row: as it came.
        :param schema: of the entity type, where known.
        :raises EspoInputError: it is no row, or a text is no value of its attribute.
        """
        if not isinstance(row, Mapping):
            raise EspoInputError(f"The row is {a_kind(row)} and not a dict")
        renamed: dict[str, Any] = {}
        for column, value in row.items():
            name = self._columns.get(column, column)
            if name is None or (self._only is not None and column not in self._only):
                continue
            if name in renamed:
                raise EspoInputError(f"Two columns of the row hold {name}")
            renamed[name] = value
        if schema is None:
            return renamed
        return {name: _value(name, value, schema, from_text=self.texts) for name, value in renamed.items()}


def unwrapped(row: object) -> object:
    """Return the row of a line of a result file with failed rows; any other row as it is."""
    if isinstance(row, dict) and row.keys() == FAILED_LINE and isinstance(row["row"], dict):
        return row["row"]
    return row


def _check_names(columns: Mapping[str, str | None], only: Collection[str] | None) -> None:
    names = [name for name in columns.values() if name is not None]
    if not all(isinstance(name, str) and name for name in (*columns, *names, *(only or ()))):
        raise EspoInputError("columns has something that is no name")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EspoInputError(f"columns names {', '.join(twice)} more than once")


def _value(name: object, value: Any, schema: EntitySchema, *, from_text: bool) -> Any:
    attribute = schema.attribute(name) if isinstance(name, str) and isinstance(value, str) else None
    if attribute is None:
        return value
    if attribute.kind in _NUMBERS and value.strip():
        number = comparing.number(value.strip())
        if number is None:
            # EspoCRM would store the digits it begins with, or zero.
            raise EspoInputError(f"{name} is a number and was given a text that is none")
        # A decimal keeps every digit, as text.
        return float(number) if from_text and attribute.kind == "float" else value.strip()
    if from_text and attribute.kind in NESTED_KINDS:
        try:
            return json.loads(value)
        except ValueError:
            raise EspoInputError(f"{name} is a list or a map, and its cell holds no JSON") from None
    return value
