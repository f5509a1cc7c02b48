"""How far the tries of a task have come with loading a table: kept in Airflow's task state store, where there is one.

What is noted is committed in the database before, and loading a record again changes nothing. So a note may come late,
and one that is lost costs time alone.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo import compat
from airflow_provider_espo.operators.tries import generation

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.extraction import Part

#: Seconds between two notes of where a part stands.
_BETWEEN_NOTES = 2.0


class LoadProgress:
    """What is loaded of each part.

    :param context: Airflow's context.
    :param asked: everything that makes this load what it is; what an earlier try did for another is no use.
    """

    def __init__(self, context: Context, *asked: object) -> None:
        from airflow_provider_espo.client.extraction import Part

        self._store = compat.task_state_store(context)
        self._key = f"espo_load_{generation(context)}"
        self._asked = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        self._lock = threading.Lock()
        self._noted_at = float("-inf")
        self.parts: list[Part] = []
        #: What all tries share beside the parts: plain JSON.
        self.notes: dict[str, Any] = {}
        self._last_ids: dict[int, str] = {}
        self._records: dict[int, int] = {}
        self._finished: set[int] = set()
        known: Any = None if self._store is None else self._store.get(self._key)
        if isinstance(known, Mapping) and known.get("asked") == self._asked:
            self.parts = [Part.from_dict(part) for part in known["parts"]]
            self.notes = dict(known["notes"])
            self._finished = set(known["finished"])
            self._last_ids = {int(number): last_id for number, last_id in known["last_ids"].items()}
            self._records = {int(number): count for number, count in known["records"].items()}

    @property
    def records(self) -> int:
        """How many records all tries have loaded; a few may be counted by two of them."""
        return sum(self._records.values())

    @property
    def parts_left(self) -> list[Part]:
        """Parts that are not all loaded yet."""
        return [part for part in self.parts if part.number not in self._finished]

    @property
    def after(self) -> dict[int, str | None]:
        """Id up to which a part is loaded, by its number."""
        return dict(self._last_ids)

    def plan(self, parts: Sequence[Part], **notes: Any) -> None:
        """Settle what all tries do, and begin anew.

        :param parts: to be loaded.
        :param notes: what else they share.
        """
        self.parts, self.notes = list(parts), notes
        self._last_ids, self._records, self._finished = {}, {}, set()
        self._save()

    def note(self, **notes: Any) -> None:
        """Remember more."""
        self.notes |= notes
        self._save()

    def loaded(self, number: int, last_id: str, records: int) -> None:
        """Know that a part is committed up to an id.

        :param number: the part's.
        :param last_id: the id.
        :param records: how many came since the last call.
        """
        with self._lock:
            self._last_ids[number] = last_id
            self._records[number] = self._records.get(number, 0) + records
            due = time.monotonic() - self._noted_at >= _BETWEEN_NOTES
        if due:
            self._save()

    def finish(self, number: int) -> None:
        """Know that a part is all loaded.

        :param number: the part's.
        """
        with self._lock:
            self._finished.add(number)
        self._save()

    def _save(self) -> None:
        if self._store is None:
            return
        with self._lock:
            self._noted_at = time.monotonic()
            known: dict[str, Any] = {
                "asked": self._asked,
                "parts": [part.as_dict() for part in self.parts],
                "notes": self.notes,
                "finished": sorted(self._finished),
                "last_ids": {str(number): last_id for number, last_id in self._last_ids.items()},
                "records": {str(number): count for number, count in self._records.items()},
            }
            self._store.set(self._key, known)
