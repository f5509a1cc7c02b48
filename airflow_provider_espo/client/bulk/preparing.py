"""Rows made ready to be sent: what is wrong with all of them is refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_espo.client.bulk.shaping import Shaping, unwrapped
from airflow_provider_espo.client.errors import EspoError, EspoInputError
from airflow_provider_espo.client.operations.bulk_rows import has_key
from airflow_provider_espo.client.schema import check_readable, check_writable
from airflow_provider_espo.client.values import to_wire

if TYPE_CHECKING:
    from airflow_provider_espo.client.operations.bulk import Outcome
    from airflow_provider_espo.client.operations.bulk_lanes import Lane
    from airflow_provider_espo.client.operations.keys import MatchKey

#: Combinations of names that are remembered.
_MOST_NAMES: Final = 1000


@dataclass
class Preparing:
    """Makes rows ready to be sent.

    :param key: what makes the key, with the entity type's schema where names are checked.
    :param operation: what is to be done with the rows.
    :param keyed: whether rows without the key cannot be written.
    :param shaping: renames columns and makes values of texts.
    """

    key: MatchKey
    operation: str
    keyed: bool
    shaping: Shaping
    _names: dict[frozenset[str], EspoError | None] = field(default_factory=dict)

    def check_first(self, rows: Sequence[Any]) -> None:
        """Look at the first rows before anything is written.

        :raises EspoUnknownNameError: an attribute that the server does not have, or drops.
        :raises EspoInputError: no row has the key, or there is nothing to be set.
        """
        given = [row for row in map(unwrapped, rows) if isinstance(row, Mapping)]
        found = {name: None for row in given for name in row if isinstance(name, str)}
        if not found:
            return
        self.shaping.check(found)
        shaped = []
        for row in given:
            try:
                shaped.append(self.shaping.shaped(row, self.key.schema))
            except EspoError:
                continue
        names = {name for row in shaped for name in row if isinstance(name, str) and name}
        if error := self._names_error(frozenset(names)):
            raise error
        if self.keyed and shaped and not any(self._has_key(row) for row in shaped):
            raise EspoInputError(
                f"None of the first {len(given)} rows has {self.key}, by which records are found",
                hint=f"The input has {', '.join(sorted(names)[:50])}; columns renames, match_by names another key",
            )
        # Empty cells of CSV may have been left out of all of them.
        if self.operation == "update" and names and names <= set(self.key.names) and not self.shaping.texts:
            raise EspoInputError("There is nothing to update", hint="The rows hold the key only")

    def ready(self, rows: Sequence[tuple[int, Any]]) -> tuple[Lane, list[Outcome]]:
        """Make rows ready to be sent.

        :param rows: place among all rows, and the row as it was given.
        :return: places and values of those that can be sent, and the failures of all others.
        """
        ready: Lane = []
        failed: list[Outcome] = []
        for index, row in rows:
            try:
                ready.append((index, self._wire(unwrapped(row))))
            except EspoError as error:
                failed.append({"index": index, "id": None, "action": "failed", "error": str(error)})
        return ready, failed

    def _wire(self, row: object) -> dict[str, Any]:
        shaped = self.shaping.shaped(row, self.key.schema)
        if self.operation == "delete":
            # Of such a row only the key counts.
            shaped = {name: shaped[name] for name in self.key.names if name in shaped}
        elif error := self._names_error(frozenset(name for name in shaped if isinstance(name, str) and name)):
            raise error
        wire = to_wire(shaped, self.key.schema)
        if self.keyed:
            self.key.of(wire)
        return wire

    def _has_key(self, row: Mapping[str, Any]) -> bool:
        try:
            return has_key(self.key, to_wire({name: row.get(name) for name in self.key.names}, self.key.schema))
        except EspoError:
            return False

    def _names_error(self, names: frozenset[str]) -> EspoError | None:
        """Say what is wrong with the names of a row; the same names are looked at once."""
        schema = self.key.schema
        if schema is None:
            return None
        if names not in self._names:
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            key = set(self.key.names) if self.operation in ("update", "delete") else set()
            try:
                if self.operation != "delete":
                    check_writable(schema, sorted(names - key), updating=self.operation == "update")
                check_readable(schema, sorted(key - {"id"}), "match_by")
                self._names[names] = None
            except EspoError as error:
                self._names[names] = error
        return self._names[names]
