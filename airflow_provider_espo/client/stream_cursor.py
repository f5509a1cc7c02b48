"""Where one stands in a stream, so that every note is seen once.

Notes have a number that only grows. But a note takes its number when it is inserted and is seen when its transaction
is over: one that was at work for long appears behind others that are newer. So each look goes back a little, by
``overlap`` numbers, and leaves out what it knows from before. A note that comes later than that is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.wire import Record

#: How many numbers a look goes back by default.
OVERLAP = 50


@dataclass(frozen=True)
class StreamCursor:
    """A place in a stream.

    :param last_number: the highest number seen.
    :param known: numbers of the notes seen lately, by their ids.
    """

    last_number: int
    known: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` gave, also from a template that made numbers of it texts.

        :raises EspoInputError: it is something else.
        """
        if not isinstance(value, Mapping) or set(value) - {"last_number", "known"} or "last_number" not in value:
            raise EspoInputError(
                "The cursor is not one", hint="Give the 'cursor' of an earlier result as it is, or since_number"
            )
        known = {} if value.get("known") is None else value["known"]
        if not isinstance(known, Mapping):
            raise EspoInputError("The cursor's known notes are no object of ids and numbers")
        return cls(
            stream_number("last_number", value["last_number"]),
            {str(note_id): stream_number("known", number) for note_id, number in known.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Give the cursor as plain JSON."""
        return {"last_number": self.last_number, "known": dict(self.known)}

    def look_from(self, overlap: int) -> int:
        """Return the number that the next look has to look behind."""
        return max(0, self.last_number - overlap)

    def advance(self, notes: Iterable[Record], overlap: int) -> tuple[list[Record], Self]:
        """Tell the new notes from those known, and step on.

        :param notes: all notes with numbers above :meth:`look_from`.
        :param overlap: as for :meth:`look_from`.
        :return: what is new, in the order of the numbers, and the place after it.
        """
        found = sorted(notes, key=lambda note: int(note["number"]))
        new = [note for note in found if str(note["id"]) not in self.known]
        last = max([self.last_number, *(int(note["number"]) for note in found)])
        known = {**self.known, **{str(note["id"]): int(note["number"]) for note in found}}
        kept = {note_id: number for note_id, number in known.items() if number > last - overlap}
        return new, type(self)(last, kept)


def stream_number(name: str, value: object) -> int:
    """Return a note's number, which a template may have made a text of.

    :raises EspoInputError: it is none.
    """
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise EspoInputError(f"{name} is not a note's number", hint="Give a whole number of 0 or more")
    return value
