"""Which records an incremental extraction asks for, and which of them it has handed out before.

EspoCRM's moments have whole seconds, and a record is seen when its transaction is over, which may be some time after
the moment that it bears. So a window begins a little, the *lag*, before the last one ended; what was handed out
already is known by id, value and content, and left out. A window ends at the server's own time: what changes in that
second or later belongs to the next one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self, TypeAlias, get_args

import msgspec

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page, RowKeys
from airflow_provider_espo.client.moments import is_date, parse, utc_text
from airflow_provider_espo.client.where_check import WhereItem
from airflow_provider_espo.client.wording import a_kind

IncrementalBy: TypeAlias = Literal["modifiedAt", "createdAt", "number"]
Value: TypeAlias = str | int

INCREMENTAL_BY: Final = get_args(IncrementalBy)

#: Seconds; numbers where records are counted.
DEFAULT_LAG: Final = 300
DEFAULT_NUMBER_LAG: Final = 100

#: Seconds by which clocks differ that are kept right.
CLOCKS_DIFFER: Final = 60

_DIGEST_SIZE = 16
_CONTENT_DIGEST_SIZE = 8
_FRACTION: Final = re.compile(r":\d\d[.,](\d+)")


@dataclass(frozen=True, kw_only=True)
class Window:
    """Values of an attribute, from one up to and without another.

    :param by: the attribute.
    :param low: smallest value; ``None`` for all from the beginning, and records without a value.
    :param high: first value that is not in it any more; ``None`` for no end.
    :param known: below this value records may have been handed out before; ``None`` where none were.
    :param floor: from this value on the next window looks at records again; ``None`` where there is no next one.
    """

    by: str
    low: Value | None
    high: Value | None
    known: Value | None = None
    floor: Value | None = None

    def where(self) -> list[WhereItem]:
        """Give the where items of the window."""
        items: list[WhereItem] = []
        if self.low is not None:
            items.append({"type": "greaterThanOrEquals", "attribute": self.by, "value": self.low})
        if self.high is None:
            return items
        below: WhereItem = {"type": "lessThan", "attribute": self.by, "value": self.high}
        if self.low is None and self.by != "number":
            # What was written past EspoCRM may have no value; it comes with the first window or never.
            below = {"type": "or", "value": [below, {"type": "isNull", "attribute": self.by}]}
        return [*items, below]

    @property
    def watermark(self) -> Value | None:
        """Where the next window begins, apart from the lag; ``None`` where no watermark is kept."""
        return self.high if self.floor is not None else None

    def is_looked_at_again(self, row: RowKeys) -> bool:
        """Whether the next window asks for this record again, should it stay as it is."""
        value = self._value(row)
        return self.floor is not None and value is not None and value >= self.floor  # type: ignore[operator]

    def may_be_known(self, row: RowKeys) -> bool:
        """Whether the record may have been handed out before."""
        value = self._value(row)
        return self.known is not None and value is not None and value < self.known  # type: ignore[operator]

    def seen_line(self, row: RowKeys, content: bytes | msgspec.Raw) -> bytes:
        """Return the line by which a record is known in the state it has now.

        A second may see a record changed twice, and the second change committed after the first was handed out. So
        where changes count, what the record holds tells its state, and not the moment alone.

        :param row: the record's keys.
        :param content: its JSON as it came.
        """
        state: list[Value | None] = [row["id"], self._value(row)]
        if self.by == "modifiedAt":
            state.append(hashlib.blake2b(content, digest_size=_CONTENT_DIGEST_SIZE).hexdigest())
        return msgspec.json.encode(state) + b"\n"

    def _value(self, row: RowKeys) -> Value | None:
        value: Value | None = row.get(self.by)  # type: ignore[assignment]
        return value

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, for XCom and files."""
        return {"by": self.by, "low": self.low, "high": self.high, "known": self.known, "floor": self.floor}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` returned.

        :raises EspoInputError: it is something else.
        """
        by = given.get("by")
        kind = int if by == "number" else str
        bounds = {name: given.get(name) for name in ("low", "high", "known", "floor")}
        if (
            not isinstance(by, str)
            or by not in INCREMENTAL_BY
            or not all(
                value is None or (isinstance(value, kind) and not isinstance(value, bool)) for value in bounds.values()
            )
        ):
            raise EspoInputError("This is no window of an incremental extraction", hint="Give what a plan returned")
        return cls(by=by, **bounds)


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """How far the runs have come.

    :param value: all records below it were handed out.
    :param dataset: folder of the last run's dataset, where it left what it handed out lately and which records there
        are; ``None`` where the records went elsewhere.
    :param run: tag of that run, which the names of these files have.
    """

    value: Value
    dataset: str | None = None
    run: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"watermark": self.value, "dataset": self.dataset, "run": self.run}

    @classmethod
    def from_dict(cls, given: object, by: str) -> Self:
        """Read what :meth:`as_dict` returned, or what somebody set by hand.

        :param given: the stored value.
        :param by: attribute that the extraction goes by.
        :raises EspoInputError: it is no watermark of this attribute.
        """
        if not isinstance(given, Mapping):
            given = {"watermark": given}
        dataset, run = given.get("dataset"), given.get("run")
        return cls(
            value=bound(by, "watermark", given.get("watermark")),
            dataset=str(dataset) if dataset else None,
            run=str(run) if run else None,
        )


def check_incremental(by: object, lag: object) -> None:
    """Refuse what cannot be gone by.

    :raises EspoInputError: another attribute, or no lag.
    """
    if by is None:
        return
    if by not in INCREMENTAL_BY:
        raise EspoInputError(
            f"incremental_by is {by if isinstance(by, str) and len(by) < 60 else a_kind(by)}, which does not tell of "
            "changes in an order that holds",
            hint=f"Give one of {', '.join(INCREMENTAL_BY)}",
        )
    lag_of(str(by), lag)


def lag_of(by: str, lag: object) -> int:
    """Return how far a window goes back behind the end of the last one.

    :param by: attribute.
    :param lag: seconds or a ``timedelta``; records for ``number``; ``None`` for the default.
    :return: whole seconds, or records.
    :raises EspoInputError: none of these, or less than 0.
    """
    if lag is None:
        return DEFAULT_NUMBER_LAG if by == "number" else DEFAULT_LAG
    if by == "number":
        if isinstance(lag, int) and not isinstance(lag, bool) and lag >= 0:
            return lag
        raise EspoInputError("lag is no whole number of records from 0 up", hint="With number, lag counts numbers")
    seconds = lag.total_seconds() if isinstance(lag, timedelta) else lag
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise EspoInputError("lag is no time from 0 seconds up", hint="Give seconds or a timedelta")
    return -int(-seconds // 1)


def next_window(by: str, lag: int, last: Value | None, upper: Value) -> Window:
    """Return the window that follows the last one.

    :param by: attribute.
    :param lag: as :func:`lag_of` returned it.
    :param last: the watermark; ``None`` if there is none yet: then all there is.
    :param upper: the server's time, or the first number that is not given yet.
    """
    # A clock that was set back must not take the watermark along.
    high = upper if last is None else max(last, upper)
    return Window(by=by, low=None if last is None else _back(last, lag), high=high, known=last, floor=_back(high, lag))


def check_not_ahead(by: str, lag: int, last: Value, upper: Value) -> None:
    """Refuse a watermark that the server's clock is far from having reached: what changes until then would be missed.

    :param by: attribute. Numbers may be fewer than they were, when the highest records are gone.
    :param lag: as :func:`lag_of` returned it; clocks that are set back by less do no harm.
    :param last: the watermark.
    :param upper: the server's time.
    :raises EspoInputError: it is ahead by more than the lag, and by more than clocks differ.
    """
    if by != "number" and _back(last, max(lag, CLOCKS_DIFFER)) > upper:  # type: ignore[operator]
        raise EspoInputError(
            f"The watermark is at {last}, and it is {upper} on the server: what changes until then would be missed",
            hint="Was the server's clock set back, or the watermark set by hand? Set it to a moment before that, and "
            "what an earlier run may have handed out comes once more",
        )


def bounded_window(by: str, start: object, end: object) -> Window:
    """Return a window with bounds of its own, for which no watermark is read or kept.

    :param by: attribute.
    :param start: smallest value, a moment or a number; ``None`` for none.
    :param end: first value that is not in it any more; ``None`` for none.
    :raises EspoInputError: one of them is no such value, or the end is not behind the start.
    """
    low = None if start is None else bound(by, "start", start)
    high = None if end is None else bound(by, "end", end)
    if low is not None and high is not None and not low < high:  # type: ignore[operator]
        raise EspoInputError(
            "end is not behind start",
            hint="Did the run have a data interval? In Airflow 3 schedule='@daily' alone gives none, "
            "CronDataIntervalTimetable does",
        )
    return Window(by=by, low=low, high=high)


def bound(by: str, name: str, value: object) -> Value:
    """Read a bound, which a template may have made a text.

    :param by: attribute.
    :param name: the argument's name, for the error.
    :param value: a moment, its text or a date's; without a zone it is UTC. A number for ``number``.
    :return: in EspoCRM's form; a fraction of a second is rounded up, as values have none.
    :raises EspoInputError: none of these.
    """
    if by == "number":
        text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if text.removeprefix("-").isdecimal():
            return int(text)
        raise EspoInputError(f"{name} is no whole number", hint="incremental_by='number' goes by numbers")
    moment = value if isinstance(value, datetime) else _moment(value)
    if moment is None:
        raise EspoInputError(
            f"{name} is no moment",
            hint="Give an ISO text such as {{ data_interval_start }}; a run that was started by hand may have none",
        )
    if moment.microsecond:
        moment += timedelta(seconds=1, microseconds=-moment.microsecond)
    return utc_text(moment)


class Seen:
    """Records that were handed out, each in the state it had: a million take 16 MB.

    :param lines: as :meth:`Window.seen_line` gave them.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        digests = sorted({_digest(line) for line in lines})
        self._digests = b"".join(digests)
        self._count = len(digests)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, line: bytes) -> bool:
        wanted, low, high = _digest(line), 0, self._count
        while low < high:
            middle = (low + high) // 2
            found = self._digests[middle * _DIGEST_SIZE : (middle + 1) * _DIGEST_SIZE]
            if found == wanted:
                return True
            low, high = (middle + 1, high) if found < wanted else (low, middle)
        return False


def without_known(page: Page, window: Window, seen: Seen) -> Page:
    """Return a page without the records that were handed out before as they are now.

    :param page: records of the window.
    :param window: the window.
    :param seen: what was handed out.
    """
    if window.known is None or not len(seen):
        return page
    known = {
        row["id"]
        for row, content in zip(page.keys, page.rows, strict=True)
        if window.may_be_known(row) and window.seen_line(row, content) in seen
    }
    return page.where(lambda row: row["id"] not in known)


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line.rstrip(b"\r\n"), digest_size=_DIGEST_SIZE).digest()


def _back(value: Value, lag: int) -> Value:
    if isinstance(value, int):
        return value - lag
    moment = parse(value)
    if moment is None:
        raise EspoInputError("The watermark is no moment")
    try:
        return utc_text(moment - timedelta(seconds=lag))
    except OverflowError:
        return utc_text(datetime.min)  # noqa: DTZ901 - EspoCRM's form is UTC without a mark


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    moment = parse(f"{value.strip()} 00:00:00") if is_date(value) else parse(value)
    fraction = _FRACTION.search(value)
    if moment is not None and fraction is not None and fraction[1].strip("0"):
        moment += timedelta(seconds=1)
    return moment
