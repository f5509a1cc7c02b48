"""Start DAGs when notes appear in a stream."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.stream import StreamName, list_notes, new_notes, notes_since, stream_path
from airflow_provider_espo.client.stream_cursor import OVERLAP, StreamCursor
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.events import EspoEventTrigger, refusing, where_items, where_text
from airflow_provider_espo.triggers.watching import Feed

if TYPE_CHECKING:
    from airflow_provider_espo.client.operations.stream import NoteFilters


#: Notes that the poll takes at most: the newest tell whether there are new ones.
_ENOUGH_FOR_NEWS = 100


class StreamFeed(Feed):
    """Notes of a stream, whatever the filter.

    :param espo_conn_id: Airflow connection.
    :param poll_interval: seconds between polls.
    :param stream: which stream.
    :param overlap: how many numbers a look goes back.
    """

    def __init__(self, espo_conn_id: str, poll_interval: float, stream: NoteFilters, overlap: int) -> None:
        super().__init__(espo_conn_id, poll_interval)
        self._stream = stream
        self._overlap = overlap
        self._place = StreamCursor(0)

    @property
    def key(self) -> Hashable:
        """What makes two feeds one."""
        return (self.espo_conn_id, stream_path(self._stream), self.poll_interval, self._overlap)

    async def has_news(self, hook: EspoAsyncHook) -> bool:
        """Ask once for new notes."""
        state, after = await hook.ready(), self._place.look_from(self._overlap)
        newest = await hook.run(list_notes(state, after_number=after, limit=_ENOUGH_FOR_NEWS, **self._stream))
        new, self._place = self._place.advance(newest, self._overlap)
        return bool(new)


class EspoStreamEventTrigger(EspoEventTrigger):
    """Has an event when there are new notes in a stream: for ``AssetWatcher``.

    The payload of an event is ``{"stream", "ids", "stamps", "count", "watermark"}``: ids of the notes in the order of
    their numbers, their numbers, how many there are, and the last number. No text is in it, as Airflow logs events:
    read the notes in the DAG. An event may come a second time after a restart of the triggerer; the same note has the
    same id and number.

    While nothing happens, all triggers on the same connection, stream, ``poll_interval`` and ``overlap`` cost one small
    request an interval, whatever their filters (Airflow 3.3; before, each polls for itself).

    :param entity_type: with ``record_id``: the record whose stream is watched.
    :param record_id: id of that record.
    :param stream: without a record: ``global`` (default; all the user may read, EspoCRM 8.2 and later) or ``own``.
    :param note_types: types of notes, such as ``["Post"]``.
    :param parent_types: entity types of the records the notes are about.
    :param created_by: id of the author.
    :param text: text that the post contains.
    :param where: more conditions on attributes of Note, as of :mod:`airflow_provider_espo.where`.
    :param poll_interval: seconds between polls, 30 by default; at least 1.
    :param batch_size: ids in an event at most, 100 by default; one look that finds more has several events.
    :param overlap: how many numbers a look goes back for notes that became visible late, 50 by default.
    :param espo_conn_id: Airflow connection, of type *EspoCRM*.
    """

    def __init__(
        self,
        *,
        entity_type: str | None = None,
        record_id: str | None = None,
        stream: StreamName | None = None,
        note_types: Sequence[str] | None = None,
        parent_types: Sequence[str] | None = None,
        created_by: str | None = None,
        text: str | None = None,
        where: Sequence[Mapping[str, Any]] | str | None = None,
        poll_interval: float = 30.0,
        batch_size: int = 100,
        overlap: int = OVERLAP,
        espo_conn_id: str = "espo_default",
    ) -> None:
        super().__init__(espo_conn_id=espo_conn_id, poll_interval=poll_interval, batch_size=batch_size)
        with refusing():
            if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
                raise EspoInputError("overlap is not a whole number of 0 or more")
            self.where = where_items(where)
        self.entity_type = entity_type
        self.record_id = record_id
        self.stream: StreamName | None = stream
        self.note_types = note_types
        self.parent_types = parent_types
        self.created_by = created_by
        self.text = text
        self.overlap = overlap
        with refusing():
            # In the DAG file and not in the triggerer.
            stream_path(self._stream())

    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of the base class."""
        return {**self._stream(), **self._conditions(), "where": where_text(self.where), "overlap": self.overlap}

    def identity(self) -> dict[str, Any]:
        """Return what the trigger's place belongs to."""
        return {name: value for name, value in super().identity().items() if name != "overlap"}

    def feed(self) -> Feed:
        """Return what is polled."""
        return StreamFeed(self.espo_conn_id, self.poll_interval, self._stream(), self.overlap)

    async def first_place(self, hook: EspoAsyncHook) -> dict[str, Any]:
        """Return the place after all notes there are."""
        found = await hook.run(new_notes(await hook.ready(), overlap=self.overlap, **self._filters()))
        cursor: dict[str, Any] = found["cursor"]
        return cursor

    async def look(
        self, hook: EspoAsyncHook, place: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any], float | None]:
        """Look for notes since a place."""
        new, after, more = await hook.run(
            notes_since(await hook.ready(), StreamCursor.from_json(place), overlap=self.overlap, **self._filters())
        )
        return [{"id": note["id"], "stamp": note["number"]} for note in new], after.to_json(), 0.0 if more else None

    def payload(self, batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the event of a batch."""
        return {
            "stream": stream_path(self._stream()),
            "ids": [note["id"] for note in batch],
            "stamps": [note["stamp"] for note in batch],
            "count": len(batch),
            "watermark": batch[-1]["stamp"],
        }

    def _stream(self) -> NoteFilters:
        return {"entity_type": self.entity_type, "record_id": self.record_id, "stream": self.stream}

    def _conditions(self) -> NoteFilters:
        return {
            "note_types": self.note_types,
            "parent_types": self.parent_types,
            "created_by": self.created_by,
            "text": self.text,
            "where": self.where,
        }

    def _filters(self) -> NoteFilters:
        return {**self._stream(), **self._conditions()}
