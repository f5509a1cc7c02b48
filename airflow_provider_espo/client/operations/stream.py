"""Read streams, post to them, follow records (EspoCRM's stream)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.client.moments import utc_text
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.stream_cursor import OVERLAP, StreamCursor, stream_number
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)

StreamName = Literal["global", "own"]

_PATHS: Mapping[str, str] = {"global": "GlobalStream", "own": "Stream"}

#: ``total`` when EspoCRM does not count: there are more, there are no more.
_MORE, _NO_MORE = -1, -2

#: Notes that one look of a sensor takes at most.
MOST_NEW_NOTES = 10_000

#: A number this far above the newest note's cannot come from this server; notes deleted since explain less.
_FUTURE_MARGIN = 1000


class NoteFilters(TypedDict, total=False):
    """Which notes of which stream. All given must hold.

    ``entity_type``, ``record_id``: the record whose stream is meant.
    ``stream``: without a record ``global`` (default; all the user may read) or ``own`` (records the user follows, posts
    to the user).
    ``note_types``: such as ``["Post", "Update"]``.
    ``parent_types``: entity types of the records the notes are about.
    ``created_by``: id of the author.
    ``text``: text that the post contains.
    ``where``: more conditions on attributes of Note, as of :mod:`airflow_provider_espo.where`.
    """

    entity_type: str | None
    record_id: str | None
    stream: StreamName | None
    note_types: Sequence[str] | None
    parent_types: Sequence[str] | None
    created_by: str | None
    text: str | None
    where: Sequence[Mapping[str, Any]] | None


def list_notes(
    state: ClientState,
    *,
    after_number: int | None = None,
    before_number: int | None = None,
    limit: int | None = None,
    **filters: Unpack[NoteFilters],
) -> Operation[list[Record]]:
    """Return the notes of a stream, in the order of their numbers.

    :param after_number: notes with a higher number only.
    :param before_number: notes with a lower number only.
    :param limit: at most so many, the newest ones.
    :param entity_type: with ``record_id``: the record whose stream is meant.
    :param record_id: id of that record.
    :param stream: without a record: ``global`` (default; all the user may read, EspoCRM 8.2 and later) or ``own``.
    :param note_types: types, such as ``["Post", "Update"]``.
    :param parent_types: entity types of the records the notes are about.
    :param created_by: id of the author.
    :param text: text that the post contains.
    :param where: more conditions on attributes of Note.
    :return: notes as EspoCRM gives them, with ``id``, ``number``, ``type``, ``post``, ``data``, ``parentType`` …
    :raises EspoForbiddenError: the user's role has no access to the stream.
    """
    path, items = stream_path(filters), _items(filters)
    if after_number is not None:
        items.append(
            {"type": "greaterThan", "attribute": "number", "value": stream_number("after_number", after_number)}
        )
    lowest = None if before_number is None else stream_number("before_number", before_number)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise EspoInputError("limit is not a whole number of 0 or more")
    notes: list[Record] = []
    while limit is None or len(notes) < limit:
        size = state.config.page_size if limit is None else min(state.config.page_size, limit - len(notes))
        rows, over = yield from _page(path, items, lowest, size)
        notes += rows
        if over:
            break
        if lowest is not None and int(rows[-1]["number"]) >= lowest:
            raise EspoInputError("The server gave the same notes twice", method="GET", path=path)
        lowest = int(rows[-1]["number"])
    return notes[::-1]


def new_notes(
    state: ClientState,
    *,
    cursor: Mapping[str, Any] | None = None,
    since_number: int | None = None,
    overlap: int = OVERLAP,
    **filters: Unpack[NoteFilters],
) -> Operation[Record]:
    """Look once for notes that came since.

    Takes the filters of :meth:`list_notes`. See :mod:`airflow_provider_espo.client.stream_cursor` for why a look goes
    back a little.

    :param cursor: the ``cursor`` of an earlier result, to go on exactly there.
    :param since_number: without a cursor: notes above this number are new; by default those that come from now on.
    :param overlap: how many numbers a look goes back for notes that became visible late.
    :return: ``{"note_ids", "last_number", "cursor"}``; ``note_ids`` in the order of the numbers, maybe empty.
    :raises EspoInputError: the number is negative, or above all there are.
    """
    if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
        raise EspoInputError("overlap is not a whole number of 0 or more")
    if cursor is not None:
        place = StreamCursor.from_json(cursor)
    else:
        place = yield from _start(state, since_number, overlap, filters)
    found = yield from _window(state, place, overlap, filters)
    if found is None:
        raise EspoInputError(
            f"More than {MOST_NEW_NOTES} notes came since number {place.last_number}",
            hint="Begin at a later number, or filter by note_types or parent_types",
        )
    new, place = place.advance(found, overlap)
    return {
        "note_ids": [str(note["id"]) for note in new],
        "last_number": place.last_number,
        "cursor": place.to_json(),
    }


def notes_since(
    state: ClientState, place: StreamCursor, *, overlap: int = OVERLAP, **filters: Unpack[NoteFilters]
) -> Operation[tuple[list[Record], StreamCursor, bool]]:
    """Return the notes since a place, in the order of their numbers; the oldest of them where there are too many.

    :param place: where one stands.
    :param overlap: how many numbers to go back for notes that became visible late.
    :return: the new notes, the place after them, and whether there may be more.
    """
    found = yield from _window(state, place, overlap, filters)
    if found is not None:
        return (*place.advance(found, overlap), False)
    # Streams are read from the newest note down: so the oldest of many are asked for by their numbers.
    upto = place.last_number + MOST_NEW_NOTES
    found = yield from list_notes(state, after_number=place.look_from(overlap), before_number=upto + 1, **filters)
    new, after = place.advance(found, overlap)
    return (
        new,
        StreamCursor(upto, {key: number for key, number in after.known.items() if number > upto - overlap}),
        True,
    )


def _window(
    state: ClientState, place: StreamCursor, overlap: int, filters: NoteFilters
) -> Operation[list[Record] | None]:
    """Notes from the overlap up, ``None`` if there are too many to take at once."""
    notes = yield from list_notes(state, after_number=place.look_from(overlap), limit=MOST_NEW_NOTES + 1, **filters)
    return notes if len(notes) <= MOST_NEW_NOTES else None


def stream_path(filters: NoteFilters) -> str:
    """Path of the stream that filters are about.

    :raises EspoInputError: half a record, a record and a stream's name, or a name that is none.
    """
    entity_type, record_id, name = filters.get("entity_type"), filters.get("record_id"), filters.get("stream")
    if entity_type is None and record_id is None:
        if (name or "global") not in _PATHS:
            raise EspoInputError(f"stream is {name!r}", hint=f"Give one of {', '.join(_PATHS)}, or a record")
        return _PATHS[name or "global"]
    if entity_type is None or record_id is None:
        raise EspoInputError("A record's stream needs entity_type and record_id")
    if name is not None:
        raise EspoInputError("A record's stream has no other name", hint="Leave stream out, or the record")
    return f"{record_path(entity_type, record_id_segment(record_id))}/stream"


def _start(state: ClientState, since_number: int | None, overlap: int, filters: NoteFilters) -> Operation[StreamCursor]:
    """Place to begin at: what is there up to a number is known."""
    place_only: NoteFilters = {
        "entity_type": filters.get("entity_type"),
        "record_id": filters.get("record_id"),
        "stream": filters.get("stream"),
    }
    newest = yield from list_notes(state, limit=1, **place_only)
    top = int(newest[0]["number"]) if newest else 0
    number = top if since_number is None else stream_number("since_number", since_number)
    if number > top + _FUTURE_MARGIN:
        raise EspoInputError(
            f"since_number is {number}, and the newest note there is has number {top}",
            hint="Is the number from another server, or no note's number?",
        )
    place = StreamCursor(number)
    window = yield from list_notes(state, after_number=place.look_from(overlap), before_number=number + 1, **filters)
    _, place = place.advance(window, overlap)
    return place


def _page(
    path: str, items: Sequence[Mapping[str, Any]], below: int | None, size: int
) -> Operation[tuple[list[Record], bool]]:
    """One page from the newest down, and whether it is the last."""
    where = list(items)
    if below is not None:
        where.append({"type": "lessThan", "attribute": "number", "value": below})
    outgoing = build_request("GET", path, query=Search(where=where, max_size=size).to_query())
    try:
        answer = expect_object(outgoing, (yield outgoing))
    except EspoNotFoundError as error:
        if path == _PATHS["global"]:
            error.hint = "The global stream came with EspoCRM 8.2: give a record, or stream='own'"
        raise
    except EspoForbiddenError as error:
        error.hint = f"{error.hint}; the global stream is a scope of its own there" if error.hint else None
        raise
    rows: list[Record] = list(answer.get("list") or [])
    total = answer.get("total")
    over = not rows or total == _NO_MORE or (total != _MORE and len(rows) < size)
    return rows, over


def _items(filters: NoteFilters) -> list[dict[str, Any]]:
    given = filters.get("where")
    items: list[dict[str, Any]] = check_where(given, rendered=True) if given is not None else []
    for name, attribute in (("note_types", "type"), ("parent_types", "parentType")):
        values = filters.get(name)
        if values is None:
            continue
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise EspoInputError(f"{name} is not a list of names")
        items.append({"type": "in", "attribute": attribute, "value": list(values)})
    if (author := filters.get("created_by")) is not None:
        items.append({"type": "equals", "attribute": "createdById", "value": record_id_segment(author)})
    if text := filters.get("text"):
        items.append({"type": "contains", "attribute": "post", "value": text})
    return items


def earlier_post(path: str, wanted: Mapping[str, Any], author: str, since: datetime) -> Operation[Record | None]:
    """Find the post that an earlier try of ours may have made.

    :param path: of the stream where it would be.
    :param wanted: what was sent.
    :param author: id of our user.
    :param since: when the earlier try began.
    """
    items: list[dict[str, Any]] = [
        {"type": "equals", "attribute": "type", "value": "Post"},
        {"type": "equals", "attribute": "createdById", "value": author},
        {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": utc_text(since)},
    ]
    below: int | None = None
    while True:
        rows, over = yield from _page(path, items, below, 100)
        for note in rows:
            if _is_the_post(note, wanted):
                return note
        if over:
            return None
        below = int(rows[-1]["number"])


def _is_the_post(note: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    same_text = (note.get("post") or "").strip() == (wanted.get("post") or "").strip()
    same_files = set(note.get("attachmentsIds") or ()) == set(wanted.get("attachmentsIds") or ())
    # A post to people has no parent; to whom it went is not in every list.
    places = ("parentType", "parentId", "targetType")
    return same_text and same_files and all(note.get(name) == wanted.get(name) for name in places)
