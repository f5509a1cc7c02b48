"""Where one stands among changes, so that none is missed and none is told twice.

A change is told by the record's id and the second of its ``createdAt`` or ``modifiedAt``. Seconds are coarse, a change
is stamped before its transaction is over, and servers' clocks differ: one may appear behind others that are newer. So
each look goes back by ``lag`` seconds and leaves out what it knows from before. A change that comes later than that is
missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.moments import parse, utc_text
from airflow_provider_espo.client.wire import Record

#: How many seconds a look goes back by default.
LAG = 30.0

#: Changes that a cursor remembers at most: it is kept in Airflow's database, which wants it below 64 KB. Where more lie
#: within the lag, the oldest of them are told again.
MOST_KNOWN = 3_000

_LONG_AGO = "1970-01-01 00:00:00"


@dataclass(frozen=True)
class ChangeCursor:
    """A place among the changes of an entity type's records.

    :param at: the newest stamp seen, in EspoCRM's form.
    :param known: stamps of the changes seen lately, by the records' ids.
    :param position: stamp and id up to which a look came that was not brought to its end.
    """

    at: str = _LONG_AGO
    known: Mapping[str, str] = field(default_factory=dict)
    position: tuple[str, str] | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` gave.

        :raises EspoInputError: it is something else.
        """
        given = value if isinstance(value, Mapping) else {}
        at, known, position = given.get("at"), given.get("known"), given.get("position")
        if not isinstance(at, str) or parse(at) is None or not isinstance(known, Mapping):
            raise EspoInputError("This is no place among changes")
        ids = {str(record_id): str(stamp) for stamp, listed in known.items() for record_id in str(listed).split()}
        return cls(at, ids, (str(position[0]), str(position[1])) if position else None)

    def to_json(self) -> dict[str, Any]:
        """Give the cursor as plain JSON, small: ids by their stamps."""
        by_stamp: dict[str, list[str]] = {}
        for record_id, stamp in self.known.items():
            by_stamp.setdefault(stamp, []).append(record_id)
        return {
            "at": self.at,
            "known": {stamp: " ".join(ids) for stamp, ids in by_stamp.items()},
            "position": list(self.position) if self.position else None,
        }

    def look_from(self, lag: float) -> str:
        """Return the stamp that the next look begins with.

        :param lag: seconds to go back.
        """
        moment = parse(self.at)
        if moment is None or self.at <= _LONG_AGO:
            return _LONG_AGO
        return utc_text(moment - timedelta(seconds=lag))

    def is_new(self, record: Record, attribute: str) -> bool:
        """Whether this change was not seen before.

        :param record: with its id and the attribute.
        :param attribute: ``createdAt`` or ``modifiedAt``.
        """
        return self.known.get(str(record["id"])) != str(record[attribute])

    def after(
        self, records: Sequence[Record], attribute: str, lag: float, *, finished: bool, now: str | None = None
    ) -> Self:
        """Return the place after a page of changes.

        :param records: all records of the page, the oldest first, with their ids and the attribute.
        :param attribute: ``createdAt`` or ``modifiedAt``.
        :param lag: seconds that the next look will go back.
        :param finished: whether the look has come to its end; otherwise the next one goes on behind these records.
        :param now: the server's clock. What bears a later stamp is remembered, and the place stays where others will
            come: there are records from clocks that go wrong.
        """
        found = {str(record["id"]): str(record[attribute]) for record in records}
        at = max([self.at, *(stamp for stamp in found.values() if now is None or stamp <= now)])
        since = type(self)(at).look_from(lag)
        kept = {key: stamp for key, stamp in {**self.known, **found}.items() if stamp >= since}
        if len(kept) > MOST_KNOWN:
            kept = dict(sorted(kept.items(), key=lambda item: item[1])[-MOST_KNOWN:])
        if finished:
            return type(self)(at, kept)
        last = records[-1] if records else None
        return type(self)(at, kept, (str(last[attribute]), str(last["id"])) if last else self.position)
