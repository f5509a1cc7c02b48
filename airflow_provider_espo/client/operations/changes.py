"""Changes of records since one last looked.

A record may change a second time in the same second, and nothing in its stamp tells. So a change is told when the
server's clock has left its second: then the record read afterwards has both.

That also keeps stamps of the future out, which imports and wrong clocks leave: a place that went along with one would
miss all that comes until then. Such a change is told when its time has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Unpack, cast

from airflow_provider_espo.client.change_cursor import ChangeCursor
from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.moments import from_http, parse, utc_text
from airflow_provider_espo.client.operations.listing import Filters, ListOptions, build_search
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.paging import KeysetPager
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, Response, build_request, expect_object, record_path

ChangeKind = Literal["created", "modified"]

_A_SECOND_LATER = 1.0

#: Seconds that one server's clock may be ahead of another's: a change is waited for so long. One with a later stamp is
#: from the future.
_NEAR = 60.0

#: The attribute that tells of each kind of change. A new record counts as modified too: EspoCRM stamps both.
ATTRIBUTES: dict[str, str] = {"created": "createdAt", "modified": "modifiedAt"}


def stamp_attribute(event: str) -> str:
    """Return the attribute that tells of a kind of change.

    :raises EspoInputError: there is no such kind.
    """
    if event not in ATTRIBUTES:
        raise EspoInputError(f"event is {event!r}", hint=f"Give one of {', '.join(ATTRIBUTES)}")
    return ATTRIBUTES[event]


def first_place(
    state: ClientState, entity_type: str, event: ChangeKind, *, lag: float, **filters: Unpack[Filters]
) -> Operation[ChangeCursor]:
    """Return the place after all changes there are, so that only what comes from now on is new.

    :param entity_type: such as ``Lead``.
    :param event: kind of change.
    :param lag: seconds that looks go back.
    :param filters: which records, as in ``iter_records``.
    """
    attribute = stamp_attribute(event)
    place, upto = ChangeCursor(), None
    newest = yield from newest_changes(state, entity_type, event, place, lag=lag, size=1, **filters)
    if newest.from_future:
        upto = newest.near
        newest = yield from newest_changes(state, entity_type, event, place, lag=lag, size=1, upto=upto, **filters)
    if not newest.records:
        return place
    # What lies in the lag of the newest is not new either.
    place = ChangeCursor(min(newest.now, newest.records[0][attribute]))
    pager = KeysetPager(_search(place, attribute, lag, filters, upto).with_(order="asc"), state.config.page_size)
    path = record_path(entity_type)
    while (page := (yield from next_page(pager, path))) is not None:
        place = place.after(_stamped(page, attribute, path), attribute, lag, finished=True, now=newest.now)
    return place


@dataclass(frozen=True)
class Newest:
    """The newest changes.

    :param records: with id and stamp, the newest first; also those known to the place. None of them from the future.
    :param now: the server's clock.
    :param from_future: whether some were left out that are from the future, which may have hidden others.
    """

    records: list[Record]
    now: str
    from_future: bool

    @property
    def near(self) -> str:
        """The last stamp that is not from the future."""
        return later(self.now, _NEAR)


def newest_changes(
    state: ClientState,
    entity_type: str,
    event: ChangeKind,
    place: ChangeCursor,
    *,
    lag: float,
    size: int | None = None,
    upto: str | None = None,
    **filters: Unpack[Filters],
) -> Operation[Newest]:
    """Ask once for the newest changes since a place, one page at most: enough to know whether there is anything new.

    :param entity_type: such as ``Lead``.
    :param event: kind of change.
    :param place: where one stands.
    :param lag: seconds to go back.
    :param size: records at most, the connection's page size by default.
    :param upto: stamp after which none is asked for.
    :param filters: which records, as in ``iter_records``.
    """
    attribute = stamp_attribute(event)
    search = _search(place, attribute, lag, filters, upto).with_(
        order="desc", max_size=size if size is not None else state.config.page_size
    )
    path = record_path(entity_type)
    outgoing = build_request("GET", path, query=search.to_query(), headers={"X-No-Total": "true"})
    clock = _Clock(state)
    response = yield outgoing
    clock.heed(response)
    rows = _stamped(expect_object(outgoing, response).get("list"), attribute, path)
    present = [row for row in rows if row[attribute] <= later(clock.this_second, _NEAR)]
    return Newest(present, clock.this_second, len(present) < len(rows))


def later(stamp: str, seconds: float) -> str:
    """Return a stamp so many seconds later.

    :param stamp: in EspoCRM's form.
    :param seconds: how many.
    """
    moment = parse(stamp)
    return stamp if moment is None else utc_text(moment + timedelta(seconds=seconds))


def changes(
    state: ClientState,
    entity_type: str,
    event: ChangeKind,
    place: ChangeCursor,
    *,
    lag: float,
    limit: int | None,
    seconds: float | None = None,
    **filters: Unpack[Filters],
) -> Operation[tuple[list[Record], ChangeCursor, float | None]]:
    """Return changes since a place, the oldest first.

    :param entity_type: such as ``Lead``.
    :param event: kind of change.
    :param place: where one stands.
    :param lag: seconds to go back.
    :param limit: new changes after which no further page is asked for.
    :param seconds: time after which no further page is asked for: where each takes long, the next look goes on.
    :param filters: which records, as in ``iter_records``.
    :return: records with id and stamp, the place after them, and in how many seconds to look again for what was left;
        ``None`` if nothing was.
    """
    attribute = stamp_attribute(event)
    search = _search(place, attribute, lag, filters).with_(order="asc")
    pager = KeysetPager(search, state.config.page_size, after=place.position)
    path = record_path(entity_type)
    clock, begun = _Clock(state), state.clock()
    found: list[Record] = []
    while (page := (yield from next_page(pager, path, clock.heed))) is not None:
        rows = _stamped(page, attribute, path)
        settled = [row for row in rows if row[attribute] < clock.this_second]
        found += [row for row in settled if place.is_new(row, attribute)]
        place = place.after(settled, attribute, lag, finished=False)
        if len(settled) < len(rows):
            again = clock.seconds_to(rows[len(settled)][attribute])
            return found, place.after((), attribute, lag, finished=True), again
        if (limit is not None and len(found) >= limit) or (seconds is not None and state.clock() - begun >= seconds):
            return found, place, 0.0
    return found, place.after((), attribute, lag, finished=True), None


class _Clock:
    """The server's clock, to the second: at the first answer, and at the last."""

    def __init__(self, state: ClientState) -> None:
        self._state = state
        self.this_second = self._last = ""

    def heed(self, response: Response) -> None:
        """Read it off an answer."""
        moment = from_http(response.headers.get("date", "")) or datetime.fromtimestamp(self._state.wall_clock(), UTC)
        self._last = utc_text(moment)
        self.this_second = self.this_second or self._last

    def seconds_to(self, stamp: str) -> float | None:
        """Return in how many seconds a second will be over; ``None`` if that lies in the future."""
        moment, now = parse(stamp), parse(self._last)
        if moment is None or now is None or stamp > later(self._last, _NEAR):
            return None
        return max(0.0, (moment - now).total_seconds()) + _A_SECOND_LATER


def _search(place: ChangeCursor, attribute: str, lag: float, filters: Filters, upto: str | None = None) -> Search:
    search = build_search(cast("ListOptions", filters)).with_(select=["id", attribute], order_by=attribute)
    search = search.and_where({"type": "greaterThanOrEquals", "attribute": attribute, "value": place.look_from(lag)})
    return (
        search
        if upto is None
        else search.and_where({"type": "lessThanOrEquals", "attribute": attribute, "value": upto})
    )


def _stamped(rows: object, attribute: str, path: str) -> list[Record]:
    """Records with id and stamp, and nothing else of theirs."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
        raise EspoBadAnswerError("A page has no list of records with ids", method="GET", path=path)
    return [{"id": str(row["id"]), attribute: row[attribute]} for row in rows if isinstance(row.get(attribute), str)]
